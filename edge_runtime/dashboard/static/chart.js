// Trends over time: a line with its range, broken where nothing was measured, and hatched where nothing was reported.

import { colour, dayOf, hatch, sharp, timeOf } from "./look.js";

const NEAR_S = 15; // a longer silence is a hole, however fine the buckets are
const LEFT = 40, BOTTOM = 20, TOP = 6;
const STEPS_S = [10, 30, 60, 300, 600, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** Buckets of the store as rows with `start` and `end` in s since 1970; one lasts to the next, if that is near. */
export function rowsOf(trend, bucket_s) {
  const rows = trend.map((row) => ({ ...row, start: Date.parse(row.utc) / 1000 }));
  rows.forEach((row, i) => {
    const next = rows[i + 1]?.start ?? Infinity;
    row.end = next - row.start <= Math.max(NEAR_S, 1.5 * bucket_s) ? next : row.start + bucket_s;
  });
  return rows;
}

/** Stretches of [begin, end] without any report. */
export function holes(rows, begin, end, bucket_s) {
  const found = [];
  let at = begin;
  for (const { start, end: until } of rows) {
    if (start - at > Math.max(NEAR_S, bucket_s * 0.5)) found.push([at, start]);
    at = Math.max(at, until);
  }
  if (end - at > Math.max(NEAR_S, bucket_s * 0.5)) found.push([at, end]);
  return found;
}

class Axes {
  constructor(canvas, begin, end) {
    [this.context, this.width, this.height] = sharp(canvas);
    Object.assign(this, { begin, end, bottom: this.height - BOTTOM });
    this.context.clearRect(0, 0, this.width, this.height);
    this.context.font = "12px system-ui, sans-serif";
  }
  x(s) { return LEFT + ((s - this.begin) / (this.end - this.begin)) * (this.width - LEFT - 2); }

  /** The times below; lines above them. */
  times() {
    const { context, begin, end, bottom } = this, most = Math.max(2, (this.width - LEFT) / 60);
    const step = STEPS_S.find((s) => (end - begin) / s <= most) ?? 86400;
    const shift = new Date(begin * 1000).getTimezoneOffset() * 60;
    context.textAlign = "center";
    for (let s = Math.ceil((begin - shift) / step) * step + shift; s <= end; s += step) {
      context.fillStyle = colour("line");
      context.fillRect(Math.round(this.x(s)), TOP, 1, bottom - TOP);
      context.fillStyle = colour("quiet");
      if (this.x(s) > LEFT + 14 && this.x(s) < this.width - 16) context.fillText(timeOf(s, step < 60), this.x(s), this.height - 5);
    }
  }

  hatchHoles(found, names) {
    const { context, bottom } = this;
    for (const [from, to] of found) {
      const x = this.x(from), width = Math.max(1.5, this.x(to) - x);
      context.fillStyle = colour("page");
      context.fillRect(x, TOP, width, bottom - TOP);
      hatch(context, x, width, TOP, bottom - TOP);
      if (names && width > 90) this.label("no reports", x + width / 2, (TOP + bottom) / 2);
    }
  }

  /** What hid the values, where reports came and none of these could be stated. */
  tintUnmeasured(rows, series) {
    const { context, bottom } = this;
    for (const row of rows) {
      if (series.some(({ key }) => row[key]?.valid)) continue;
      const tone = mostOf(row)?.[0] ?? "uncertain", x = this.x(row.start), width = this.x(row.end) - x;
      context.fillStyle = colour(tone);
      context.globalAlpha = 0.18;
      context.fillRect(x, TOP, width, bottom - TOP);
      context.globalAlpha = 0.6;
      hatch(context, x, width, TOP, bottom - TOP, tone, 8);
    }
    context.globalAlpha = 1;
  }

  label(text, x, y) {
    const { context } = this;
    context.textAlign = "center";
    const half = context.measureText(text).width / 2 + 6;
    context.fillStyle = colour("page");
    context.fillRect(x - half, y - 10, 2 * half, 20);
    context.fillStyle = colour("quiet");
    context.fillText(text, x, y + 4);
  }

  mark(from, to) {
    this.context.fillStyle = colour("shade");
    this.context.fillRect(this.x(from), TOP, Math.max(2, this.x(to) - this.x(from)), this.bottom - TOP);
  }

  cursor(s) {
    this.context.fillStyle = colour("accent");
    this.context.fillRect(Math.round(this.x(s)), TOP, 1.5, this.bottom - TOP);
  }
}

function ends(rows, series, least) {
  let low = Infinity, high = -Infinity;
  for (const row of rows) for (const { key } of series) {
    if (!row[key]?.valid) continue;
    low = Math.min(low, row[key].low ?? row[key].median);
    high = Math.max(high, row[key].high ?? row[key].median);
  }
  if (low > high) return null;
  const room = Math.max(least - (high - low), 0.08 * (high - low)) / 2;
  const step = [5, 10, 20, 25, 50, 100, 200].find((s) => (high - low + 2 * room) / s <= 7) ?? 500;
  return [Math.max(0, Math.floor((low - room) / step) * step), Math.ceil((high + room) / step) * step, step];
}

/** series: [{ key, tone }]; view: { begin, end, rows, holes, mark, cursor }; least: the least that the axis spans. */
export function drawTrend(canvas, series, view, least) {
  const axes = new Axes(canvas, view.begin, view.end), { context, bottom } = axes;
  const range = ends(view.rows, series, least);
  axes.times();
  if (range) {
    const [low, high, step] = range, y = (v) => bottom - ((v - low) / (high - low)) * (bottom - TOP);
    context.textAlign = "right";
    for (let v = low; v <= high; v += step) {
      context.fillStyle = colour("line");
      context.fillRect(LEFT, Math.round(y(v)), axes.width - LEFT - 2, 1);
      context.fillStyle = colour("quiet");
      context.fillText(v, LEFT - 6, Math.min(bottom, Math.max(TOP + 8, y(v) + 4)));
    }
    if (view.mark) axes.mark(...view.mark);
    axes.tintUnmeasured(view.rows, series);
    for (const { key, tone } of series) for (const run of runsOf(view.rows, key)) drawRun(context, run, key, tone, axes, y);
  }
  axes.hatchHoles(view.holes, true);
  if (!range && !view.holes.length) axes.label("nothing could be measured", (LEFT + axes.width) / 2, bottom / 2);
  if (view.cursor !== null) axes.cursor(view.cursor);
}

/** Neighbouring rows in which this measure was valid at all. */
function runsOf(rows, key) {
  const runs = [];
  let last = null;
  for (const row of rows) {
    if (!row[key]?.valid) { last = null; continue; }
    if (last?.end !== row.start) runs.push([]);
    runs.at(-1).push(row);
    last = row;
  }
  return runs;
}

function drawRun(context, run, key, tone, axes, y) {
  const middle = (row) => axes.x((row.start + row.end) / 2);
  const points = run.length > 1 ? run.map((row) => [middle(row), row[key]]) : [[axes.x(run[0].start), run[0][key]], [Math.max(axes.x(run[0].end), axes.x(run[0].start) + 2), run[0][key]]];
  context.fillStyle = context.strokeStyle = colour(tone);
  context.globalAlpha = 0.2;
  context.beginPath();
  points.forEach(([x, v]) => context.lineTo(x, y(v.low ?? v.median)));
  [...points].reverse().forEach(([x, v]) => context.lineTo(x, y(v.high ?? v.median)));
  context.fill();
  context.globalAlpha = 1;
  context.lineWidth = 1.6;
  context.lineJoin = "round";
  context.beginPath();
  points.forEach(([x, v]) => context.lineTo(x, y(v.median)));
  context.stroke();
}

/** What a bucket's reports were: [label, count], the rhythms first. */
export function makeUp(row) {
  const rhythms = Object.entries(row.rhythms ?? {}).filter(([label]) => ["normal", "af", "other"].includes(label));
  const states = Object.entries(row.states ?? {}).filter(([state]) => state !== "ok" && state !== "short");
  const told = [...rhythms, ...states].reduce((sum, [, count]) => sum + count, 0);
  return [...rhythms, ...(row.reports > told ? [["uncertain", row.reports - told]] : []), ...states];
}

/** What most of them were: [label, count]. */
export const mostOf = (row) => makeUp(row).reduce((most, one) => (most && most[1] >= one[1] ? most : one), undefined);

/** Columns of what each bucket's reports were, by their shares. Gives the labels that occur. */
export function drawRhythm(canvas, view) {
  const axes = new Axes(canvas, view.begin, view.end), { context, bottom } = axes, seen = new Set();
  axes.times();
  for (const row of view.rows) {
    const x = axes.x(row.start), width = Math.max(1, axes.x(row.end) - x + 0.4);
    let y = bottom;
    for (const [label, count] of makeUp(row)) {
      seen.add(label);
      const height = ((bottom - TOP) * count) / row.reports;
      context.fillStyle = colour(label);
      context.fillRect(x, y - height, width, height);
      y -= height;
    }
  }
  axes.hatchHoles(view.holes, false);
  if (view.mark) {
    context.strokeStyle = colour("accent");
    context.lineWidth = 2;
    context.strokeRect(axes.x(view.mark[0]), TOP, Math.max(2, axes.x(view.mark[1]) - axes.x(view.mark[0])), bottom - TOP);
  }
  if (view.cursor !== null) axes.cursor(view.cursor);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Rhythm by time, ${dayOf(view.begin)}`);
  return [...seen];
}

/** Which second lies under this place of a chart. */
export function timeAt(canvas, clientX, view) {
  const { left, width } = canvas.getBoundingClientRect();
  return view.begin + ((clientX - left - LEFT) / (width - LEFT - 2)) * (view.end - view.begin);
}
