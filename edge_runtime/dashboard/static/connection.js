// The WebSocket to the dashboard's process. It comes back by itself, and notices when nothing comes any more.

const SILENT_MS = 5000, FIRST_MS = 400, LONGEST_MS = 8000, SEEN_EVERY_MS = 250;

export class Connection {
  /** on: { hello(message), news(message, delay_s), state("live" | "joining" | "lost") } */
  constructor(on) {
    this.on = on;
    this.watched = "[]";
    this.wait = FIRST_MS;
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.hurry(); });
    setInterval(() => this.check(), 1000);
    this.open();
  }

  watch(sources) {
    const said = JSON.stringify(sources);
    if (said === this.watched) return;
    this.watched = said;
    this.sendWatch();
  }

  sendWatch() {
    if (this.live) this.socket.send(`{"watch":${this.watched}}`);
  }

  open() {
    clearTimeout(this.timer);
    this.timer = null;
    this.live = false;
    this.nearest = Infinity; // the least that our clock was ever ahead of theirs on arrival: no delay, or nearly
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    this.socket = socket;
    this.heard = performance.now();
    socket.onmessage = ({ data }) => { if (socket === this.socket) this.take(JSON.parse(data)); };
    socket.onclose = () => { if (socket === this.socket) this.lost(); };
  }

  take(message) {
    const now = performance.now();
    this.heard = now;
    if (message.hello) {
      this.live = true;
      this.wait = FIRST_MS;
      this.acknowledged = 0;
      this.on.hello(message);
      this.on.state("live");
      if (this.watched !== "[]") this.sendWatch();
    }
    const ahead = now / 1000 - message.now_s;
    this.nearest = Math.min(this.nearest, ahead);
    this.on.news(message, ahead - this.nearest);
    if (now - this.acknowledged > SEEN_EVERY_MS) {
      this.acknowledged = now;
      this.socket.send(`{"seen":${message.n}}`);
    }
  }

  async lost() {
    this.live = false;
    this.socket = null;
    this.on.state("lost");
    this.wait = Math.min(LONGEST_MS, this.wait * 1.7);
    this.timer = setTimeout(() => this.open(), this.wait * (0.8 + 0.4 * Math.random()));
    const door = await fetch("/", { redirect: "manual", cache: "no-store" }).catch(() => null);
    if (door?.type === "opaqueredirect") location.assign("/login.html"); // the token is another now
  }

  hurry() {
    if (!this.timer) return;
    this.wait = FIRST_MS;
    this.open();
  }

  check() {
    if (!this.socket || performance.now() - this.heard < SILENT_MS) return;
    const gone = this.socket;
    this.lost();
    gone.close();
  }
}
