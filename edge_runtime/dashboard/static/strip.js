// A lead on ECG paper, true to scale: 25 mm/s, so many mm/mV, squares of 1 and 5 mm. It sweeps: the pen goes from left
// to right, over as many rows as ten seconds need, and begins again at the top.

import { MM_PER_S, colour, hatch, look, prefersStill, sharp } from "./look.js";

const BLANK_S = 0.35; // ahead of the pen
const LAG_S = 0.12; // the pen stays this far behind the newest point, so that it moves evenly
const FRAME_MS = 30;

/** The newest seconds of a lead, as they came. Microvolts, NaN where there is nothing. */
export class Line {
  constructor() { this.epoch = -1; this.begin = this.end = 0; }

  take({ epoch, hz, lead, at, uv, off, age_s }, delay_s) {
    if (epoch !== this.epoch || hz !== this.hz || at < this.end - this.ring.length) {
      this.epoch = epoch;
      this.hz = hz;
      const size = Math.ceil(20 * hz);
      this.ring = new Float32Array(size).fill(NaN);
      this.off = new Uint8Array(size);
      this.begin = this.end = at;
      this.centre = null;
    }
    this.lead = lead;
    const size = this.ring.length;
    for (let i = Math.max(this.end, at - size); i < at; i++) { this.ring[i % size] = NaN; this.off[i % size] = 0; }
    uv.forEach((v, i) => { this.ring[(at + i) % size] = v ?? NaN; this.off[(at + i) % size] = 0; });
    for (const [a, b] of off) for (let i = a; i < b; i++) this.off[i % size] = 1;
    this.end = Math.max(this.end, at + uv.length);
    this.begin = Math.max(this.begin, this.end - size);
    this.arrived = performance.now() - 1000 * (age_s + delay_s);
  }

  /** How old the newest sample is, s. */
  age() { return (performance.now() - this.arrived) / 1000; }

  get end_s() { return this.end / this.hz; }

  /** Of the last `seconds`, in mV: [lowest, median, highest], spikes of a few samples left out. */
  spread(seconds) {
    const size = this.ring.length, values = [];
    for (let i = Math.max(this.begin, this.end - Math.round(seconds * this.hz)); i < this.end; i += 1) {
      const v = this.ring[i % size];
      if (!Number.isNaN(v)) values.push(v);
    }
    if (!values.length) return null;
    values.sort((a, b) => a - b);
    return [0.003, 0.5, 0.997].map((share) => values[Math.floor(share * (values.length - 1))] / 1000);
  }
}

export class Strip {
  /** seconds: what it should hold at least; rowMm: heights of a row, by the number of rows. */
  constructor(canvas, { seconds, rowMm, rows = 4, pulse = true }) {
    Object.assign(this, { canvas, seconds, rowMm, most: rows, pulse });
    this.line = null;
    this.window = null;
    this.grid = document.createElement("canvas");
    new ResizeObserver(() => this.measure()).observe(canvas.parentElement);
    this.measure();
  }

  /** Of another line, from now on. */
  show(line) {
    this.line = line;
    this.head = null;
    this.window = null;
  }

  measure() {
    const width = this.canvas.parentElement.clientWidth;
    if (!width) return;
    this.perS = MM_PER_S * look.mm;
    this.margin = this.pulse && width > 600 ? 9 * look.mm : 0;
    this.rowS = (width - this.margin) / this.perS;
    this.rows = Math.max(1, Math.min(this.most, Math.ceil(this.seconds / this.rowS - 0.02)));
    this.rowHeight = this.rowMm[Math.min(this.rows, this.rowMm.length) - 1] * look.mm;
    this.canvas.style.height = `${this.rows * this.rowHeight}px`;
    this.drawGrid();
    this.drawn = 0;
  }

  drawGrid() {
    const { canvas, grid } = this;
    const [, width] = sharp(canvas);
    grid.width = canvas.width;
    grid.height = canvas.height;
    const context = grid.getContext("2d"), scale = devicePixelRatio || 1;
    context.fillStyle = colour("paper");
    context.fillRect(0, 0, grid.width, grid.height);
    const thin = Math.max(1, Math.round(scale * 0.8));
    for (const [every, tone, wide] of [[1, "minor", thin], [5, "major", thin]]) {
      const step = every * look.mm * scale;
      if (step < 3) continue;
      context.fillStyle = colour(tone);
      for (let i = 0; i * step < grid.width; i++) context.fillRect(Math.round(this.margin * scale % step + i * step - step), 0, wide, grid.height);
      for (let row = 0; row < this.rows; row++) {
        const zero = this.zeroOf(row) * scale, top = row * this.rowHeight * scale, bottom = top + this.rowHeight * scale;
        for (let y = zero - Math.floor((zero - top) / step) * step; y < bottom; y += step) context.fillRect(0, Math.round(y), grid.width, wide);
      }
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    for (let row = 0; row < this.rows; row++) {
      if (row) { context.fillStyle = colour("card"); context.fillRect(0, row * this.rowHeight - 2, width, 4); }
      if (this.margin) this.drawPulse(context, row);
    }
  }

  /** The calibration pulse: 1 mV for 0.2 s. */
  drawPulse(context, row) {
    const zero = this.zeroOf(row), { mm } = look;
    context.strokeStyle = colour("trace");
    context.lineWidth = 1.4;
    context.lineJoin = "round";
    context.beginPath();
    context.moveTo(mm, zero);
    for (const [x, up] of [[2, 0], [2, 1], [7, 1], [7, 0], [8, 0]]) context.lineTo(x * mm, zero - up * look.gain * mm);
    context.stroke();
  }

  /** Where 0 lies: there is more above than below. On a line of the grid. */
  zeroOf(row) {
    return row * this.rowHeight + Math.round((this.rowHeight / look.mm) * 0.62 / 5) * 5 * look.mm;
  }

  /** Call for every frame. */
  draw(now) {
    const { line } = this;
    if (!this.rowS || now - (this.drawn ?? 0) < (prefersStill() && this.head !== null ? 1000 : FRAME_MS)) return;
    const passed = Math.min(1, (now - (this.drawn || now)) / 1000);
    this.drawn = now;
    const [context, width, height] = sharp(this.canvas);
    context.drawImage(this.grid, 0, 0, width, height);
    if (!line || line.end === line.begin) return;
    const target = line.end_s - (prefersStill() ? 0 : LAG_S);
    if (this.head === null || this.head === undefined || Math.abs(target - this.head) > 3 || this.epoch !== line.epoch) this.head = target;
    else if (target > this.head) this.head += (target - this.head) * (prefersStill() ? 1 : 1 - Math.exp(-passed / 0.1));
    this.epoch = line.epoch;
    this.centreOn(line, now);
    const from = Math.max(line.begin / line.hz, this.head - this.rows * this.rowS + BLANK_S);
    if (this.window) this.shade(context, Math.max(from, this.window[0]), Math.min(this.head, this.window[1]));
    this.drawLine(context, line, from);
    this.canvas.dataset.head = this.head.toFixed(2);
  }

  centreOn(line, now) {
    if (line.centre === null || now - (line.centred ?? 0) > 500) {
      const spread = line.spread(this.rows * this.rowS);
      line.centred = now;
      if (spread === null) return;
      const aim = this.centreFor(spread);
      line.centre = line.centre === null || prefersStill() ? aim : line.centre + 0.35 * (aim - line.centre);
    }
  }

  /** What lies on the zero line, mV: the median, unless more fits on the paper otherwise. */
  centreFor([low, median, high]) {
    const perMv = look.gain * look.mm, above = (this.zeroOf(0) - 6) / perMv, below = (this.rowHeight - this.zeroOf(0) - 6) / perMv;
    if (high - low > above + below) return (high - above + low + below) / 2;
    return Math.min(Math.max(median, high - above), low + below);
  }

  /** Where a stretch of time lies: [row, x, x]. */
  *pieces(from, to) {
    while (to - from > 1e-6) {
      const turn = Math.floor(from / this.rowS + 1e-9), ends = Math.min(to, (turn + 1) * this.rowS);
      const x = this.margin + (from - turn * this.rowS) * this.perS;
      yield [((turn % this.rows) + this.rows) % this.rows, x, x + (ends - from) * this.perS];
      from = ends;
    }
  }

  shade(context, from, to) {
    for (const [row, a, b] of this.pieces(from, to)) {
      context.fillStyle = colour("shade");
      context.fillRect(a, row * this.rowHeight, b - a, this.rowHeight);
      context.fillStyle = colour("bracket");
      context.fillRect(a, row * this.rowHeight + (row ? 2 : 0), b - a, 3);
    }
  }

  drawLine(context, line, from) {
    const size = line.ring.length, { hz } = line, perMv = look.gain * look.mm, centre = line.centre ?? 0;
    const first = Math.ceil(from * hz), last = Math.min(line.end - 1, Math.floor(this.head * hz));
    let turn = null, pen = false, x = 0, y = 0;
    context.strokeStyle = colour("trace");
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.save();
    const finish = () => { if (turn !== null) { context.stroke(); context.restore(); context.save(); } };
    for (let i = first; i <= last; i++) {
      const now = Math.floor(i / hz / this.rowS);
      if (now !== turn) {
        finish();
        turn = now;
        const row = ((turn % this.rows) + this.rows) % this.rows;
        this.zero = this.zeroOf(row);
        context.beginPath();
        context.rect(this.margin, row * this.rowHeight + 1, this.rowS * this.perS, this.rowHeight - 2);
        context.clip();
        context.beginPath();
        pen = false;
      }
      const v = line.ring[i % size];
      if (Number.isNaN(v)) { pen = false; continue; }
      x = this.margin + (i / hz - turn * this.rowS) * this.perS;
      y = this.zero - (v / 1000 - centre) * perMv;
      if (pen) context.lineTo(x, y);
      else context.moveTo(x, y);
      pen = true;
    }
    finish();
    context.restore();
    this.drawAbsent(context, line, first, last);
    if (pen && !prefersStill()) {
      context.fillStyle = colour("accent");
      context.beginPath();
      context.arc(x, y, 3, 0, 7);
      context.fill();
    }
  }

  /** What is missing is hatched; while electrodes were off, in their colour. */
  drawAbsent(context, line, first, last) {
    const size = line.ring.length;
    for (let i = first; i <= last; i++) {
      if (!Number.isNaN(line.ring[i % size])) continue;
      const begin = i, off = line.off[i % size];
      while (i <= last && Number.isNaN(line.ring[i % size]) && line.off[i % size] === off) i++;
      for (const [row, a, b] of this.pieces(begin / line.hz, i / line.hz)) hatch(context, a, Math.max(1.5, b - a), row * this.rowHeight, this.rowHeight, off ? "lead_off" : "hatch");
      i--;
    }
  }
}
