// One source, now.

import { $, MEASURES, colour, dayOf, element, hatch, lasting, legend, look, onLook, percent, setText, sharp, shortName, swatch, timeOf } from "./look.js";
import { Strip } from "./strip.js";

const RIBBON_S = 600;

export class Live {
  constructor() {
    this.openDay = null; // what opens an episode, where there is a store to show it from
    this.strip = new Strip($("trace"), { seconds: 10, rowMm: [50, 40, 32, 30] });
    this.tiles = MEASURES.map((measure) => new Tile(measure));
    $("values").append(...this.tiles.map(({ node }) => node));
    this.health = new Health($("health"));
    onLook(() => { this.strip.measure(); this.said = null; if (this.source) this.drawRibbon(); });
  }

  show(source) {
    if (source === this.source && this.strip.line === source.line) return;
    this.source = source;
    this.strip.show(source.line);
    this.said = this.listed = null;
  }

  frame(now) { this.strip.draw(now); }

  /** Call several times a second, and when something came. */
  update(words, live) {
    const { source } = this;
    if (!source) return;
    const trouble = source.trouble(words, live), { report } = source;
    const known = report && !["lost", "stale", "waiting"].includes(trouble?.code);
    this.strip.window = known && report.sampling_rate_hz && !trouble?.covers ? [report.start_s, report.end_s] : null;
    setText($("lead"), source.line.lead ? `Lead ${source.line.lead}` : "");
    setText($("scale"), `25 mm/s  ·  ${look.gain} mm/mV`);
    setText($("name"), shortName(source.name));
    $("name").title = source.name;
    this.veil(trouble ?? this.swapped(words), report);
    this.health.show(known ? report : null, source.line, live);
    const said = `${report?.utc} ${report?.sequence} ${trouble?.title}`;
    if (said === this.said) return;
    this.said = said;
    for (const tile of this.tiles) tile.show(known ? report[tile.measure.key] : null, trouble?.why, words);
    this.rhythm(known ? report.rhythm : null, trouble, words);
    this.drawRibbon(words);
    this.listEpisodes(words);
    $("trace").setAttribute("aria-label", `Trace of lead ${source.line.lead ?? ""}, 25 millimetres a second, ${look.gain} millimetres a millivolt${trouble ? `; ${trouble.title}` : ""}`);
  }

  /** A remark, and no trouble: an episode of swapped electrodes is open. */
  swapped(words) {
    const open = [...this.source.episodes.values()].some((episode) => episode.kind === "inverted" && episode.open);
    return open ? { code: "inverted", title: words.rhythms.inverted, advice: words.swapped, covers: false } : null;
  }

  veil(trouble, report) {
    const veil = $("veil");
    veil.hidden = !trouble;
    if (!trouble) return;
    veil.classList.toggle("soft", !trouble.covers);
    veil.dataset.code = trouble.code;
    const filling = trouble.code === "warming_up" ? ` ${Math.floor(report.end_s - report.start_s)} of 10 s so far.` : "";
    setText(veil.firstElementChild, trouble.title);
    setText(veil.lastElementChild, trouble.advice + filling);
  }

  rhythm(rhythm, trouble, words) {
    const valid = Boolean(rhythm?.valid);
    const node = $("rhythm");
    node.classList.toggle("none", !valid);
    setText(node, valid ? words.rhythms[rhythm.label] ?? rhythm.label : capital(words.whys[rhythm?.why] ?? trouble?.why ?? "not known"));
    setText($("rhythm-more"), valid ? `${percent(rhythm.probability)} probable` : "");
  }

  drawRibbon(words) {
    this.words = words ?? this.words;
    const [context, width, height] = sharp($("ribbon")), { spans } = this.source;
    context.clearRect(0, 0, width, height);
    const bar = height - 18, end = Math.max(...[...spans.values()].map((span) => span.end), 0);
    if (!end || !this.words) return;
    const begin = end - RIBBON_S, x = (s) => ((s - begin) / RIBBON_S) * width;
    hatch(context, 0, width, 0, bar);
    const share = {};
    for (const { start, end: until, label } of spans.values()) {
      if (until <= begin) continue;
      const from = Math.max(start, begin);
      share[label] = (share[label] ?? 0) + until - from;
      context.fillStyle = colour(label);
      context.fillRect(x(from), 0, Math.max(1, x(until) - x(from)), bar);
    }
    context.fillStyle = colour("quiet");
    context.font = "12px system-ui, sans-serif";
    for (let minute = Math.ceil(begin / 120) * 120; minute < end - 20; minute += 120) {
      context.fillRect(x(minute), bar, 1, 4);
      if (x(minute) > 16 && x(minute) < width - 50) { context.textAlign = "center"; context.fillText(timeOf(minute), x(minute), height - 2); }
    }
    context.textAlign = "right";
    context.fillText("now", width, height - 2);
    const labels = Object.keys(share).sort((a, b) => share[b] - share[a]);
    legend($("ribbon-legend"), labels, this.words.rhythms);
    const total = Object.values(share).reduce((a, b) => a + b, 0);
    $("ribbon").setAttribute("aria-label", `Rhythm of the last ${lasting(total)}: ` + labels.map((label) => `${this.words.rhythms[label] ?? label} ${percent(share[label] / total)}`).join(", "));
  }

  listEpisodes(words) {
    const rows = [...this.source.episodes.values()].sort((a, b) => b.start - a.start).slice(0, 40);
    const key = rows.map((row) => `${row.session}${row.number}${Math.round(row.end)}${row.open}`).join();
    if (key === this.listed) return;
    this.listed = key;
    const focused = document.activeElement?.dataset?.episode;
    $("episodes").replaceChildren(...episodeRows(rows, words, this.openDay));
    if (focused) $("episodes").querySelector(`[data-episode="${CSS.escape(focused)}"]`)?.focus();
  }
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Items of a list: a button each. open: called with the episode; null where there is nothing to open. */
export function episodeRows(rows, words, open) {
  if (!rows.length) return [element("li", { className: "none", text: "None yet." })];
  return rows.map((row) => {
    const name = words.rhythms[row.kind] ?? row.kind.replaceAll("_", " ");
    const when = `${timeOf(row.start)}–${row.open ? "now" : timeOf(row.end)}`;
    const sure = row.confidence === null || row.confidence === undefined ? "" : percent(row.confidence);
    const button = element("button", { type: "button", title: open ? `${dayOf(row.start)}: show this stretch` : dayOf(row.start), disabled: !open }, swatch(row.kind),
      element("b", { text: name }), element("span", { className: "quiet", text: `${when}, ${lasting(row.end - row.start)}` }), element("span", { className: "quiet", text: sure }));
    button.dataset.episode = `${row.session}/${row.number}`;
    if (open) button.onclick = () => open(row);
    return element("li", {}, button);
  });
}

class Tile {
  constructor(measure) {
    this.measure = measure;
    this.number = element("p", { className: "number" });
    this.why = element("p", { className: "why" });
    this.range = element("p", { className: "range" });
    this.band = element("i");
    this.tick = element("b");
    this.track = element("div", { className: "track" }, this.band, this.tick);
    this.track.setAttribute("aria-hidden", "true");
    const title = element("h2", {}, element("span", { text: measure.name }), element("span", { className: "quiet", text: measure.note ?? "" }));
    this.node = element("div", { className: `card value ${measure.key}` }, title, this.number, this.why, this.range, this.track);
    this.node.style.setProperty("--tone", `var(--${measure.tone})`);
  }

  show(value, otherwise, words) {
    const valid = Boolean(value?.valid), { unit, ends, digits } = this.measure;
    for (const part of [this.number, this.range, this.track]) part.hidden = !valid;
    this.why.hidden = valid;
    this.node.dataset.valid = valid;
    if (!valid) {
      this.number.replaceChildren();
      setText(this.range, "");
      setText(this.why, capital(words.whys[value?.why] ?? otherwise ?? "not known"));
      return;
    }
    this.number.replaceChildren(String(Math.round(value.value)), element("small", { text: unit }));
    setText(this.range, `90 %: ${value.low.toFixed(digits)} – ${value.high.toFixed(digits)}`);
    this.range.title = "The range that holds the truth in 90 % of windows";
    const place = (v) => Math.max(0, Math.min(100, (100 * (v - ends[0])) / (ends[1] - ends[0])));
    this.band.style.left = `${place(value.low)}%`;
    this.band.style.width = `${place(value.high) - place(value.low)}%`;
    this.tick.style.left = `${place(value.value)}%`;
  }
}

class Health {
  constructor(node) {
    this.rows = {};
    for (const name of ["Quality", "Lost", "Bridged", "Sampling rate", "Latency", "Newest sample"]) {
      const main = document.createTextNode(""), small = element("small");
      this.rows[name] = [main, small];
      node.append(element("div", {}, element("dt", { text: name }), element("dd", {}, main, small)));
    }
  }

  show(report, line, live) {
    const whole = report && "lost_samples" in report ? report : null;
    this.say("Quality", report?.quality === null || report?.quality === undefined ? "" : percent(report.quality), "that this heart rate is right");
    this.say("Lost", whole ? `${whole.lost_samples}` : "", "samples of this window");
    this.say("Bridged", whole ? `${whole.bridged_samples}` : "", "of these, by a line");
    this.say("Sampling rate", whole?.sampling_rate_hz ? `${whole.sampling_rate_hz.toFixed(1)} Hz` : "", "of the device");
    this.say("Latency", whole && whole.latency_ms !== null ? `${whole.latency_ms.toFixed(1)} ms` : "", "from last byte to report");
    const age = line.arrived === undefined ? null : Math.max(0, line.age());
    this.say("Newest sample", age === null ? "" : age < 0.1 ? "under 0.1 s ago" : age < 10 ? `${age.toFixed(1)} s ago` : `${lasting(age)} ago`, live ? "on its way to this page" : "and no connection");
  }

  say(name, text, more) {
    const [main, small] = this.rows[name];
    if (main.data !== (text || "not known")) main.data = text || "not known";
    setText(small, text ? more : "");
  }
}
