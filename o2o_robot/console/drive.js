// A person's hand on the arm, for as long as it is held: keys, a gamepad, or a finger on a pad. Anything that takes the
// page away from the hand (hidden, out of focus, no socket) lets go, and so does the console after a quarter second of silence.
const EVERY_MS = 33, SHOULDERS = [4, 5, 6, 7];
const KEYS = { w: [0, 1], s: [0, -1], a: [1, 1], d: [1, -1], q: [2, 1], z: [2, -1], j: [5, 1], k: [5, -1] };
const $ = (id) => document.getElementById(id);

export class Drive {
  constructor({ send, mayDrive, changed }) {
    Object.assign(this, { send, mayDrive, changed, keys: new Set(), pads: new Map(), by: "", hadPad: false });
    for (const [id, tall] of [["plane", false], ["lift", true]]) this.listen($(id), id, tall);
    $("grip").onpointerdown = () => this.keys.add("g");
    $("grip").onpointerup = $("grip").onpointerleave = $("grip").onpointercancel = () => this.keys.delete("g");
    window.addEventListener("blur", () => this.release());
    window.addEventListener("pagehide", () => this.release());
    document.addEventListener("visibilitychange", () => document.hidden && this.release());
    setInterval(() => this.tick(), EVERY_MS);
  }
  key(name, isDown) { // true where the key was the hand's
    if (name !== "t" && !this.keys.has("t")) return false;
    if (name !== "t" && !(name in KEYS) && name !== "g") return false;
    if (isDown) this.keys.add(name);
    else this.keys.delete(name);
    if (name === "t" && !isDown) this.keys.clear();
    this.tick();
    return true;
  }
  release() {
    this.keys.clear();
    this.pads.clear();
    for (const id of ["plane", "lift"]) $(id).firstElementChild.style.transform = "";
    this.tick();
  }
  tick() {
    const pad = this.gamepad(), wants = this.keys.has("t") || this.pads.size > 0 || pad.isHeld;
    const is = wants && this.mayDrive() && document.hasFocus() && !document.hidden;
    if (is) this.send({ kind: "joy", axes: this.axes(pad).map((v) => Math.max(-1, Math.min(1, v))), buttons: this.buttons(pad) });
    else if (this.by) this.send({ kind: "release" });
    const by = !is ? "" : this.pads.size ? "a pad" : pad.isHeld ? "a gamepad" : "keys";
    if (by !== this.by) {
      this.by = by;
      this.changed(by);
    }
  }
  axes(pad) {
    const axes = [0, 0, 0, 0, 0, 0], plane = this.pads.get("plane"), lift = this.pads.get("lift");
    for (const key of this.keys) if (key in KEYS) axes[KEYS[key][0]] += KEYS[key][1];
    if (plane) { axes[0] -= plane[1]; axes[1] -= plane[0]; }
    if (lift) axes[2] -= lift[1];
    return axes.map((v, i) => v + pad.axes[i]);
  }
  buttons(pad) {
    return [this.keys.has("g") || pad.grips ? 1 : 0];
  }
  gamepad() { // the standard mapping; right and down are positive there, left and up here (REP-103)
    const none = { isHeld: false, axes: [0, 0, 0, 0, 0, 0], grips: false };
    const found = [...(navigator.getGamepads?.() || [])].find((one) => one && one.connected && one.mapping === "standard");
    if (!found) return none;
    const a = found.axes.map((v) => -v || 0), on = (i) => Boolean(found.buttons[i]?.pressed);
    return { isHeld: SHOULDERS.some(on), axes: [a[1], a[0], a[3], 0, 0, a[2]], grips: on(0) };
  }
  listen(pad, id, isTall) {
    const move = (event) => {
      if (event.type !== "pointerdown" && !this.pads.has(id)) return;
      const box = pad.getBoundingClientRect(), half = [box.width / 2, box.height / 2];
      let at = [isTall ? 0 : (event.clientX - box.left) / half[0] - 1, (event.clientY - box.top) / half[1] - 1];
      const length = Math.hypot(...at);
      if (length > 1) at = at.map((v) => v / length);
      this.pads.set(id, at);
      pad.firstElementChild.style.transform = `translate(${at[0] * half[0] * 0.75}px, ${at[1] * half[1] * 0.75}px)`;
      this.tick();
    };
    const end = () => {
      this.pads.delete(id);
      pad.firstElementChild.style.transform = "";
      this.tick();
    };
    pad.onpointerdown = (event) => { pad.setPointerCapture(event.pointerId); move(event); };
    pad.onpointermove = move;
    pad.onpointerup = pad.onpointercancel = pad.onlostpointercapture = end;
  }
}
