// The socket to the console: comes back by itself, counts ages by the console's clock, keeps the latest times.
const secret = document.body.dataset.token;
const LOST_AFTER_MS = 900, AGAIN_AFTER_MS = 500, PING_EVERY_MS = 1000, KEPT = 50;

export const times = { picture_ms: [], button_ms: [], link_ms: [] }; // by this page's own clock, newest last
window.consoleTimes = times; // the tests in a browser print them
function keep(name, ms) {
  times[name].push(ms);
  if (times[name].length > KEPT) times[name].shift();
}
export const median = (name) => [...times[name]].sort((a, b) => a - b)[times[name].length >> 1];

function clientId() { // one a tab, kept over a reload: control that this tab had is still its own
  let id = sessionStorage.getItem("client");
  if (!id) {
    id = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
    sessionStorage.setItem("client", id);
  }
  return id;
}

export class Wire {
  // on: {state, picture, answer, problem, lost}
  constructor(on) {
    this.on = on;
    this.isUp = false;
    this.asked = new Map(); // id -> when it was pressed
    this.n = 0;
    this.offsets = []; // [round trip, server s - page s]
    this.heard = 0;
    setInterval(() => this.watch(), 100);
    setInterval(() => this.send({ kind: "ping", t: performance.now() }), PING_EVERY_MS);
    this.open();
  }
  open() {
    const address = new URL(`ws?token=${secret}&client=${clientId()}`, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.socket = new WebSocket(address));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { this.offsets = []; this.send({ kind: "ping", t: performance.now() }); };
    socket.onmessage = (event) => this.take(event.data);
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.lose();
      setTimeout(() => this.open(), AGAIN_AFTER_MS);
    };
  }
  watch() { // a socket may stay open for minutes after the other end is gone
    if (this.isUp && performance.now() - this.heard > LOST_AFTER_MS) this.lose();
  }
  lose() {
    this.isUp = false;
    this.asked.clear();
    this.on.lost();
  }
  send(message) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }
  press(command, episode) {
    this.asked.set(++this.n, performance.now());
    return this.send({ kind: "press", id: this.n, command, episode: episode || "" });
  }
  now() { // the console's clock, s; as the shortest of the latest round trips has it
    const best = this.offsets.reduce((a, b) => (b[0] < a[0] ? b : a), [Infinity, 0]);
    return performance.now() / 1000 + best[1];
  }
  take(data) {
    const arrived = performance.now();
    this.heard = arrived;
    if (data instanceof ArrayBuffer) return this.takePicture(data);
    const message = JSON.parse(data);
    if (message.kind === "pong") {
      keep("link_ms", arrived - message.t);
      this.offsets.push([arrived - message.t, message.now - (arrived + message.t) / 2000]);
      if (this.offsets.length > 20) this.offsets.shift();
    } else if (message.kind === "answer") {
      const pressed = this.asked.get(message.id);
      this.asked.delete(message.id);
      if (pressed !== undefined) keep("button_ms", arrived - pressed);
      this.on.answer(message);
    } else if (message.kind === "problem") {
      this.on.problem(message.text);
    } else {
      if (!this.offsets.length) this.offsets.push([1e9, message.now - arrived / 1000]);
      this.isUp = true;
      this.on.state(message);
    }
  }
  async takePicture(data) {
    const headBytes = new DataView(data).getUint32(0);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, headBytes)));
    try {
      const bitmap = await createImageBitmap(new Blob([new Uint8Array(data, 4 + headBytes)], { type: "image/jpeg" }));
      this.on.picture(head, bitmap);
      bitmap.close();
      keep("picture_ms", 1000 * (this.now() - head.at));
    } finally {
      this.send({ kind: "seen", camera: head.camera });
    }
  }
}

export function stopByHttp() { // beside the socket: whichever is there first
  fetch("api/estop", { method: "POST", headers: { Authorization: `Bearer ${secret}` }, keepalive: true }).catch(() => {});
}
