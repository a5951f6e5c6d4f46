// A day of one source, out of the store; or a stretch of it.

import { drawRhythm, drawTrend, holes, mostOf, rowsOf, timeAt } from "./chart.js";
import { episodeRows } from "./live.js";
import { $, MEASURES, dayOf, element, lasting, legend, onLook, percent, setText, swatch, timeOf } from "./look.js";

const BUCKETS = 480;
const INTERVALS = MEASURES.filter(({ key }) => key !== "hr_bpm");
const AGAIN_MS = 30_000;

const midnight = (date, days = 0) => new Date(date.getFullYear(), date.getMonth(), date.getDate() + days);
const nameOf = (date) => `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")}`;
const dateOf = (name) => (/^\d{4}-\d\d-\d\d$/.test(name ?? "") ? midnight(new Date(`${name}T12:00:00`)) : null);

export class Day {
  /** go(day, from, to): to another day, or a stretch, in s since 1970; it comes back through `show`. */
  constructor(go) {
    this.go = go;
    this.view = null;
    this.days = [];
    $("earlier").onclick = () => this.step(-1);
    $("later").onclick = () => this.step(1);
    $("date").onchange = () => { if (dateOf($("date").value)) this.go($("date").value); };
    $("whole").onclick = () => this.go(this.day);
    $("scrub").oninput = () => this.read(Number($("scrub").value));
    $("chart-legend").append(...INTERVALS.map(({ name, tone }) => element("span", {}, swatch(tone), name)));
    for (const canvas of this.canvases()) {
      canvas.onpointermove = canvas.onpointerdown = ({ clientX }) => this.view && this.read(this.indexAt(timeAt(canvas, clientX, this.view)));
      canvas.onpointerleave = () => this.read(null);
    }
    $("scrub").onblur = () => this.read(null);
    $("scrub").onfocus = () => this.read(Number($("scrub").value));
    new ResizeObserver(() => this.draw()).observe($("day"));
    onLook(() => this.draw());
  }

  canvases() { return [$("chart-hr"), $("chart-ms"), $("chart-rhythm")]; }

  /** day: 2026-11-21, of the local calendar, or none for the newest; from, to: a stretch. */
  async show(source, words, day, from, to) {
    Object.assign(this, { words });
    const asked = (this.asked = `${source} ${day} ${from} ${to}`);
    clearTimeout(this.timer);
    try {
      const known = await ask("days", { source });
      if (asked !== this.asked) return;
      this.days = localDays(known.days);
      const chosen = dateOf(day) ?? dateOf(this.days.at(-1)) ?? midnight(new Date());
      this.day = nameOf(chosen);
      const begin = from ?? chosen / 1000, end = to ?? midnight(chosen, 1) / 1000;
      const bucket_s = Math.max(1, Math.round((end - begin) / BUCKETS));
      const found = await ask("stretch", { source, start: iso(begin), end: iso(end), bucket_s });
      if (asked !== this.asked) return;
      this.fill(found, begin, end, from !== undefined);
      if (end > Date.now() / 1000) this.timer = setTimeout(() => this.show(source, words, day, from, to), AGAIN_MS);
    } catch (error) {
      if (asked === this.asked) this.nothing(error.message);
    }
  }

  hide() { clearTimeout(this.timer); this.asked = null; }

  step(by) {
    const at = this.days.indexOf(this.day);
    const next = at >= 0 ? this.days[at + by] : by < 0 ? this.days.findLast((d) => d < this.day) : this.days.find((d) => d > this.day);
    if (next) this.go(next);
  }

  fill({ trend, episodes, burden, bucket_s }, begin, end, part) {
    const rows = rowsOf(trend, bucket_s), known = Math.min(end, Date.now() / 1000);
    const read = this.view?.cursor ?? null;
    this.view = { begin, end, rows, holes: holes(rows, begin, known, bucket_s), mark: null, cursor: null };
    this.heading(begin, end, part);
    $("day-said").hidden = rows.length > 0;
    $("day-found").hidden = rows.length === 0;
    if (!rows.length) setText($("day-said"), part ? "Nothing was reported in this stretch." : "Nothing was reported on this day.");
    const listed = episodes.map((row) => ({ ...row, start: Date.parse(row.start_utc) / 1000, end: Date.parse(row.end_utc) / 1000 }));
    $("day-episodes").replaceChildren(...episodeRows(listed, this.words, (row) => this.openEpisode(row)));
    if (part) {
      const middle = (begin + end) / 2, at = listed.findIndex((row) => row.start <= middle && middle <= row.end && row.end - row.start > (end - begin) / 3);
      if (at >= 0) {
        this.view.mark = [listed[at].start, listed[at].end];
        $("day-episodes").children[at].firstElementChild.setAttribute("aria-current", "true");
      }
    }
    this.sum(rows, burden, bucket_s, known - begin, listed.length);
    Object.assign($("scrub"), { max: Math.max(0, rows.length - 1), value: Math.max(0, rows.length - 1) });
    this.draw();
    this.read(read === null ? null : this.indexAt(read));
  }

  heading(begin, end, part) {
    $("date").value = this.day;
    const at = this.days.indexOf(this.day);
    $("earlier").disabled = at >= 0 ? at === 0 : !this.days.some((d) => d < this.day);
    $("later").disabled = at >= 0 ? at === this.days.length - 1 : !this.days.some((d) => d > this.day);
    Object.assign($("date"), { min: this.days[0] ?? "", max: this.days.at(-1) ?? "" });
    $("whole").hidden = !part;
    setText($("stretch"), part ? `${dayOf(begin)}, ${timeOf(begin)} to ${timeOf(end)}` : dayOf(begin));
  }

  nothing(message) {
    this.view = null;
    $("day-found").hidden = true;
    $("day-said").hidden = false;
    setText($("stretch"), "");
    setText($("day-said"), message.charAt(0).toUpperCase() + message.slice(1));
  }

  /** Shows an episode with as much again on both sides of it. */
  openEpisode(row) {
    const pad = Math.max(60, (row.end - row.start) / 2);
    this.go(nameOf(new Date(row.start * 1000)), row.start - pad, row.end + pad);
    scrollTo({ top: 0 });
  }

  sum(rows, burden, bucket_s, seconds, episodes) {
    const rates = rows.filter(({ hr_bpm }) => hr_bpm?.valid).map(({ hr_bpm }) => hr_bpm.median);
    const reports = rows.reduce((sum, row) => sum + row.reports, 0), valid = rows.reduce((sum, row) => sum + (row.hr_bpm?.valid ?? 0), 0);
    const lost = rows.reduce((sum, row) => sum + (row.lost_samples ?? 0), 0);
    const cells = [
      ["Heart rate", rates.length ? `${Math.round(Math.min(...rates))} to ${Math.round(Math.max(...rates))} bpm` : "not known", `medians of ${lasting(bucket_s)}`],
      ["With a heart rate", reports ? percent(valid / reports) : "not known", `of ${reports} reports; ${lasting(this.view.holes.reduce((sum, [a, b]) => sum + b - a, 0))} without any`],
      ["In fibrillation", burden?.measured_s ? percent(burden.share ?? burden.af_s / burden.measured_s) : "not known", burden?.measured_s ? `${lasting(burden.af_s)} of ${lasting(burden.measured_s)} with a rhythm` : "no rhythm was measured"],
      ["Episodes", `${episodes}`, lost ? `${lost} samples were lost` : "no samples were lost"],
    ];
    $("sums").replaceChildren(...cells.map(([name, text, more]) => element("div", {}, element("dt", { text: name }), element("dd", {}, text, element("small", { text: more })))));
  }

  draw() {
    if (!this.view || $("day").hidden || $("day-found").hidden) return;
    const { view } = this, seconds = `${dayOf(view.begin)}, ${view.holes.length === 1 ? "1 stretch" : `${view.holes.length} stretches`} without reports`;
    drawTrend($("chart-hr"), MEASURES.slice(0, 1), view, 30);
    drawTrend($("chart-ms"), INTERVALS, view, 100);
    legend($("day-legend"), drawRhythm($("chart-rhythm"), view), this.words.rhythms);
    for (const [id, what] of [["chart-hr", "Heart rate"], ["chart-ms", "PR, QRS, QT and QTc"]]) {
      $(id).setAttribute("role", "img");
      $(id).setAttribute("aria-label", `${what} by time, ${seconds}; the slider below reads the values`);
    }
  }

  indexAt(s) {
    const { rows } = this.view;
    let best = null;
    rows.forEach((row, i) => { if (row.start <= s && s < row.end) best = i; });
    return best;
  }

  /** Says what was measured at this row; at none for null. */
  read(index) {
    if (!this.view) return;
    const row = index === null ? null : this.view.rows[index];
    const cursor = row ? (row.start + row.end) / 2 : null;
    let text = "";
    if (row) {
      $("scrub").value = index;
      const measured = MEASURES.filter(({ key }) => row[key]?.valid).map(({ key, name, unit }) => `${name} ${Math.round(row[key].median)} ${unit}`);
      const most = mostOf(row);
      text = [timeOf(row.start, row.end - row.start < 60), ...measured, most && `${this.words.rhythms[most[0]] ?? most[0]} ${percent(most[1] / row.reports)}`].filter(Boolean).join("  ·  ");
      $("scrub").setAttribute("aria-valuetext", text);
    }
    setText($("at"), text || "Point at a chart, or move the slider, to read its values.");
    if (cursor !== this.view.cursor) { this.view.cursor = cursor; this.draw(); }
  }
}

const iso = (s) => new Date(s * 1000).toISOString();

/** A UTC day is parts of two days elsewhere. */
function localDays(days) {
  const found = new Set();
  for (const day of days) for (const time of ["00:00:00", "23:59:59"]) found.add(nameOf(new Date(`${day}T${time}Z`)));
  return [...found].sort();
}

async function ask(what, query) {
  const answer = await fetch(`/past/${what}?${new URLSearchParams(query)}`).catch(() => null);
  if (!answer) throw new Error("no connection to Leadwire; the page tries again by itself");
  const said = await answer.json().catch(() => ({ error: `the store did not answer (${answer.status})` }));
  if (!answer.ok) throw new Error(said.error);
  return said;
}
