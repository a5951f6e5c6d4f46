// What everything is drawn with: colours, scale, numbers and times.

const kept = (key, otherwise) => { try { return localStorage.getItem(`leadwire.${key}`) ?? otherwise; } catch { return otherwise; } };
const keep = (key, value) => { try { localStorage.setItem(`leadwire.${key}`, value); } catch { /* private mode */ } };

const changed = new EventTarget();
export const onLook = (redraw) => changed.addEventListener("look", redraw);
const tellLook = () => { colours = null; changed.dispatchEvent(new Event("look")); };

// ---- colours ------------------------------------------------------------------------------------------------------

let colours = null;
/** A colour of the style sheet, by its name there. */
export function colour(name) {
  colours ??= { style: getComputedStyle(document.documentElement), seen: {} };
  return (colours.seen[name] ??= colours.style.getPropertyValue(`--${name}`).trim() || colours.style.getPropertyValue("--uncertain").trim());
}

const THEMES = { auto: ["◐", "as the system"], light: ["☀", "light"], dark: ["☾", "dark"] };
let theme = kept("theme", "auto");

export function showTheme(button) {
  const [sign, name] = THEMES[theme] ?? THEMES.auto;
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  button.textContent = sign;
  button.setAttribute("aria-label", `Colours: ${name}`);
  tellLook();
}
export function nextTheme(button) {
  const names = Object.keys(THEMES);
  theme = names[(names.indexOf(theme) + 1) % names.length];
  keep("theme", theme);
  showTheme(button);
  return THEMES[theme][1];
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tellLook);

const still = matchMedia("(prefers-reduced-motion: reduce)");
export const prefersStill = () => still.matches;

// ---- scale --------------------------------------------------------------------------------------------------------

export const MM_PER_S = 25;
const CSS_MM = 96 / 25.4;
export const GAINS = [5, 10, 20]; // mm / mV
const number = (text, low, high, otherwise) => (Number(text) >= low && Number(text) <= high ? Number(text) : otherwise);
export const look = {
  /** A millimetre in CSS pixels. */
  mm: number(kept("mm", ""), 2, 8, CSS_MM),
  gain: GAINS.includes(Number(kept("gain", ""))) ? Number(kept("gain", "")) : 10,
  keys: kept("keys", "on") === "on",
};
export const setMm = (mm) => { look.mm = mm ?? CSS_MM; keep("mm", look.mm); tellLook(); };
export const setGain = (gain) => { look.gain = gain; keep("gain", gain); tellLook(); };
export const setKeys = (on) => { look.keys = on; keep("keys", on ? "on" : "off"); };

// ---- numbers and times --------------------------------------------------------------------------------------------

export const MEASURES = [
  { key: "hr_bpm", name: "Heart rate", unit: "bpm", tone: "hr", ends: [30, 180], digits: 1 },
  { key: "pr_ms", name: "PR", unit: "ms", tone: "pr", ends: [60, 320], digits: 0 },
  { key: "qrs_ms", name: "QRS", unit: "ms", tone: "qrs", ends: [40, 220], digits: 0 },
  { key: "qt_ms", name: "QT", unit: "ms", tone: "qt", ends: [220, 600], digits: 0 },
  { key: "qtc_ms", name: "QTc", unit: "ms", tone: "qtc", ends: [300, 600], digits: 0, note: "Fridericia" },
];
/** Rounded, but nothing that is not quite certain becomes so. */
export const percent = (share) => (share > 0.995 && share < 1 ? "over 99 %" : share > 0 && share < 0.005 ? "under 1 %" : `${Math.round(100 * share)} %`);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const fineClock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "long", year: "numeric" });
/** Of seconds since 1970, in the time zone of whoever looks. */
export const timeOf = (s, fine = false) => (fine ? fineClock : clock).format(s * 1000);
export const dayOf = (s) => day.format(s * 1000);
export function lasting(s) {
  if (s < 59.5) return `${Math.round(s)} s`;
  const minutes = Math.round(s / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
/** The last part of a port's path; the whole of anything else. */
export const shortName = (source) => source.split("/").filter(Boolean).pop() ?? source;

// ---- the page -----------------------------------------------------------------------------------------------------

export const $ = (id) => document.getElementById(id);
export function element(tag, { text, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}
export function setText(node, text) { if (node.textContent !== text) node.textContent = text; }
export function swatch(tone) {
  const made = element("i", { className: "swatch" });
  made.style.background = `var(--${tone})`;
  return made;
}
export function legend(node, labels, names) {
  const key = labels.join();
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  node.replaceChildren(...labels.map((label) => element("li", {}, swatch(label), names[label] ?? label)));
}
/** Makes the canvas as sharp as the screen; its context, width and height in CSS pixels. */
export function sharp(canvas) {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  const w = Math.round(width * scale), h = Math.round(height * scale);
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return [context, width, height];
}
/** A pattern that says that nothing is known here. */
export function hatch(context, x, width, top, height, tone = "hatch", step = 6) {
  context.save();
  context.beginPath();
  context.rect(x, top, width, height);
  context.clip();
  context.strokeStyle = colour(tone);
  context.lineWidth = 1;
  context.beginPath();
  for (let at = x - (x % step) - height; at < x + width; at += step) {
    context.moveTo(at, top + height);
    context.lineTo(at + height, top);
  }
  context.stroke();
  context.restore();
}
