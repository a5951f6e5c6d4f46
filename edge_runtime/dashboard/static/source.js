// What is known of one source, and how it stands: the one place that decides whether there is anything to show.

import { Line } from "./strip.js";

const STALE_MS = 4000; // a report comes every second, whatever happens to the device

export class Source {
  constructor(name) {
    this.name = name;
    this.forget();
  }

  forget() {
    this.line = new Line();
    this.report = null;
    this.spans = new Map();
    this.episodes = new Map();
  }

  take({ report, trace, spans, episodes }, delay_s) {
    if (trace) this.line.take(trace, delay_s);
    if (report) {
      this.report = { ...(this.report ?? {}), ...report };
      this.heard = performance.now() - 1000 * delay_s;
    }
    for (const [number, start, end, label] of spans ?? []) this.spans.set(number, { start, end, label });
    for (const episode of episodes ?? []) this.episodes.set(`${episode.session}/${episode.number}`, episode);
    while (this.spans.size > 300) this.spans.delete(this.spans.keys().next().value);
    while (this.episodes.size > 100) this.episodes.delete(this.episodes.keys().next().value);
  }

  /** Why nothing can be shown, or null: { code, title, advice, why, covers }. covers: the trace says nothing either. */
  trouble(words, live) {
    if (!live) return { code: "lost", title: "No connection to Leadwire", advice: "The page tries again by itself. What it showed is no longer true, so it is gone.", why: "no connection", covers: true };
    if (!this.report) return { code: "waiting", title: "Waiting for the first report", advice: "", why: "no report yet", covers: true };
    if (performance.now() - this.heard > STALE_MS) return { code: "stale", title: "No news", advice: "Leadwire sends a report every second, and has not for a while.", why: "no news", covers: true };
    const { state } = this.report;
    if (state === "ok" || state === "short") return null;
    const [title, advice] = words.states[state] ?? [state.replaceAll("_", " "), ""];
    const reason = this.report.hr_bpm?.why;
    const why = words.whys[reason] ?? words.whys[state] ?? title;
    return { code: state, title: reason && reason !== state ? `${title}: ${why}` : title, advice, why, covers: ["disconnected", "silent", "lead_off", "clock"].includes(state) };
  }
}
