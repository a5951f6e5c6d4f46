// The page put together: what it shows, where it is, and its keys.

import { Connection } from "./connection.js";
import { Day } from "./day.js";
import { Live } from "./live.js";
import { $, GAINS, element, look, nextTheme, onLook, setGain, setKeys, setMm, setText, shortName, showTheme } from "./look.js";
import { Source } from "./source.js";
import { Ward } from "./ward.js";

const SAID_AFTER_MS = 2500;

let words = { states: {}, whys: {}, rhythms: {} }, keeps = false, state = "joining";
let sources = [];
let place = { view: "live", source: 0 };

const live = new Live();
const ward = new Ward((i) => go("live", i), watch);
const day = new Day((name, from, to) => go("day", place.source, name, ...(from === undefined ? [] : [Math.floor(from), Math.ceil(to)])));

// ---- where we are: #/view/source/... ------------------------------------------------------------------------------

function go(view, source = place.source, ...rest) {
  location.hash = `#/${[view, source, ...rest].join("/")}`;
}

function arrive() {
  const [, view, source, name, from, to] = location.hash.split("/");
  const many = sources.length > 1;
  place = { view: ["live", "day", "ward"].includes(view) ? view : many ? "ward" : "live", source: Math.min(Math.max(0, sources.length - 1), Number(source) || 0), name: name || undefined, from: Number(from) || undefined, to: Number(to) || undefined };
  if (place.view === "day" && !keeps && words.notice) place.view = "live";
  for (const id of ["live", "day", "ward"]) $(id).hidden = id !== place.view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === place.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    link.hidden = (link.dataset.view === "ward" && !many) || (link.dataset.view === "day" && !keeps);
    link.href = `#/${link.dataset.view}/${place.source}`;
  }
  const picker = $("source");
  picker.parentElement.hidden = !many || place.view === "ward";
  if (picker.options.length !== sources.length) picker.replaceChildren(...sources.map(({ name: path }, i) => element("option", { value: i, text: shortName(path), title: path })));
  picker.value = place.source;
  const chosen = sources[place.source];
  ward.show(sources);
  if (chosen) live.show(chosen);
  if (place.view === "day" && chosen) day.show(chosen.name, words, place.name, place.from, place.to);
  else day.hide();
  if (place.view === "live") live.strip.measure();
  watch();
  update();
}

function watch() {
  if (!sources.length) return;
  connection.watch(place.view === "ward" ? ward.watched() : place.view === "live" ? [place.source] : []);
}

// ---- what comes ---------------------------------------------------------------------------------------------------

const connection = new Connection({
  hello(message) {
    words = message.hello;
    keeps = message.keeps;
    live.openDay = keeps ? (row) => day.openEpisode(row) : null;
    for (const source of sources) source.forget();
    fresh = true;
  },
  news({ sources: names, live: found }, delay_s) {
    if (names) {
      // The first list after a hello is the whole one; the process behind it may be another.
      const before = fresh ? [] : sources;
      sources = [...before, ...names.map((name) => sources.find((source) => source.name === name) ?? new Source(name))];
      fresh = false;
      arrive();
    }
    for (const [i, news] of Object.entries(found ?? {})) sources[i]?.take(news, delay_s);
    if (found) update();
  },
  state(now) { state = now; update(); },
});
let fresh = true;

const SAYS = { live: "Live", joining: "Connecting", lost: "Connection lost; trying again" };

function update() {
  const chosen = sources[place.source], isLive = state === "live";
  const link = $("link");
  link.dataset.state = state;
  setText(link, SAYS[state]);
  if (place.view === "ward") ward.update(sources, words, isLive);
  if (place.view === "live") live.update(words, isLive);
  if (!chosen) return;
  const trouble = chosen.trouble(words, isLive), hr = chosen.report?.hr_bpm;
  const title = trouble ? trouble.title : hr?.valid ? `${Math.round(hr.value)} bpm` : "";
  document.title = [title, sources.length > 1 ? shortName(chosen.name) : "", "Leadwire"].filter(Boolean).join(" · ");
  announce(place.view === "ward" ? SAYS[state] : trouble ? trouble.title : chosen.report.rhythm.valid ? words.rhythms[chosen.report.rhythm.label] : "");
}

/** Tells a screen reader what has changed and stayed so: a state or a rhythm, never a number. */
let pending = { text: "", since: 0 };
function announce(text) {
  const now = performance.now();
  if (text !== pending.text) pending = { text, since: now };
  else if (text && now - pending.since > SAID_AFTER_MS) setText($("said"), text);
}

function frame(now) {
  if (place.view === "live") live.frame(now);
  else if (place.view === "ward") ward.frame(now);
  requestAnimationFrame(frame);
}

// ---- settings and keys --------------------------------------------------------------------------------------------

$("gains").append(...GAINS.map((gain) => {
  const button = element("button", { type: "button", text: `${gain} mm/mV`, onclick: () => setGain(gain) });
  button.setAttribute("role", "radio");
  button.dataset.gain = gain;
  return button;
}));
function showSettings() {
  $("card-width").style.width = `${54 * look.mm}px`;
  $("mm").value = look.mm;
  $("keys").checked = look.keys;
  for (const button of $("gains").children) button.setAttribute("aria-checked", Number(button.dataset.gain) === look.gain);
}
onLook(showSettings);
$("mm").oninput = () => setMm(Number($("mm").value));
$("mm-reset").onclick = () => setMm(null);
$("keys").onchange = () => setKeys($("keys").checked);
$("more").onclick = () => $("settings").showModal();
$("theme").onclick = () => nextTheme($("theme"));
$("source").onchange = () => go(place.view, Number($("source").value));

const KEYS = {
  l: () => go("live"),
  d: () => keeps && go("day"),
  w: () => sources.length > 1 && go("ward"),
  g: () => setGain(GAINS[(GAINS.indexOf(look.gain) + 1) % GAINS.length]),
  t: () => nextTheme($("theme")),
  "?": () => $("settings").showModal(),
  "[": () => place.view === "day" && day.step(-1),
  "]": () => place.view === "day" && day.step(1),
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("settings").open || !look.keys && event.key !== "Escape") return;
  if (event.target.matches("input:not([type=range]), select")) return;
  if (event.key === "Escape" && place.view === "day" && !$("whole").hidden) $("whole").click();
  else if (/^[1-9]$/.test(event.key) && Number(event.key) <= sources.length) go(place.view === "day" ? "day" : "live", Number(event.key) - 1);
  else if (Object.hasOwn(KEYS, event.key.toLowerCase())) KEYS[event.key.toLowerCase()]();
  else return;
  event.preventDefault();
});

document.querySelector(".skip").onclick = (event) => { event.preventDefault(); $("main").focus(); };

addEventListener("hashchange", arrive);
showTheme($("theme"));
showSettings();
arrive();
setInterval(update, 500);
requestAnimationFrame(frame);
