// All sources at once.

import { $, colour, element, onLook, setText, shortName } from "./look.js";
import { Strip } from "./strip.js";

const MOST_WATCHED = 48; // as many as the server lets one client see

export class Ward {
  constructor(open, watch) {
    this.open = open;
    this.watch = watch;
    this.tiles = [];
    this.seen = new Set();
    this.looking = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.seen.add(Number(target.dataset.source));
        else this.seen.delete(Number(target.dataset.source));
      }
      this.watch();
    });
    onLook(() => this.tiles.forEach(({ strip }) => strip.measure()));
  }

  watched() { return [...this.seen].sort((a, b) => a - b).slice(0, MOST_WATCHED); }

  show(sources) {
    for (let i = this.tiles.length; i < sources.length; i++) this.tiles.push(this.make(i));
    sources.forEach((source, i) => {
      const tile = this.tiles[i];
      setText(tile.name, shortName(source.name));
      tile.node.title = source.name;
      if (tile.strip.line !== source.line) tile.strip.show(source.line);
    });
  }

  make(i) {
    const tile = {
      name: element("span", { className: "name" }), lead: element("span", { className: "quiet" }),
      hr: element("span", { className: "hr" }), saying: element("span", { className: "saying" }), canvas: element("canvas"), veil: element("span", { className: "veil", hidden: true }),
    };
    tile.canvas.setAttribute("aria-hidden", "true");
    tile.node = element("button", { type: "button", className: "card tile" },
      element("span", { className: "top" }, tile.name, tile.lead), element("span", { className: "paper" }, tile.canvas, tile.veil), element("span", { className: "bottom" }, tile.hr, tile.saying));
    tile.node.dataset.source = i;
    tile.node.onclick = () => this.open(i);
    $("ward").append(tile.node);
    tile.strip = new Strip(tile.canvas, { seconds: 2, rowMm: [30], rows: 1, pulse: false });
    this.looking.observe(tile.node);
    return tile;
  }

  frame(now) { for (const i of this.seen) this.tiles[i]?.strip.draw(now); }

  update(sources, words, live) {
    sources.forEach((source, i) => {
      const tile = this.tiles[i], trouble = source.trouble(words, live), { report } = source;
      if (!tile) return;
      const hr = trouble ? null : report.hr_bpm, rhythm = trouble ? null : report.rhythm;
      setText(tile.lead, report?.lead && !trouble?.covers ? report.lead : "");
      tile.hr.classList.toggle("none", !hr?.valid);
      const number = hr?.valid ? `${Math.round(hr.value)}` : "";
      if (tile.said !== `${number}|${hr?.why}`) {
        tile.said = `${number}|${hr?.why}`;
        tile.hr.replaceChildren(...(number ? [number, element("small", { text: "bpm" })] : [hr ? words.whys[hr.why] ?? "" : ""]));
      }
      tile.veil.hidden = !trouble?.covers;
      setText(tile.veil, trouble?.covers ? trouble.title : "");
      setText(tile.saying, trouble ? (trouble.covers ? "" : trouble.title) : rhythm.valid ? words.rhythms[rhythm.label] : words.whys[rhythm.why] ?? "");
      tile.node.style.setProperty("--tone", colour(trouble ? trouble.code : rhythm.label ?? "uncertain"));
      tile.node.classList.toggle("still", Boolean(trouble));
    });
  }
}
