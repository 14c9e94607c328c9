// The console's page. It keeps no state of its own about the robot: what is shown was just told, and has an age.
import * as cards from "./cards.js?token=TOKEN";
import { Drive } from "./drive.js?token=TOKEN";
import { Wire, median, stopByHttp } from "./wire.js?token=TOKEN";
const $ = (id) => document.getElementById(id);
const DRAW_EVERY_MS = 100, SAID_FOR_MS = 8000, LATCH_WITHIN_MS = 1500, PICTURE_STALE_S = 1.0;
const ANYBODY = ["estop", "hold"];
let told = null, saidAt = 0, stoppedAt = null;

const wire = new Wire({ state, picture, answer, problem: (words) => say(words, "bad"), lost: draw });
const drive = new Drive({ send: (message) => wire.send(message), mayDrive, changed: driven });

function state(message) {
  told = message;
  draw();
}
function mayDrive() {
  return Boolean(wire.isUp && told && told.control.mine);
}
const group = (name) => told && told.board[name];
const age = (facts) => (facts ? wire.now() - facts.at : Infinity);

// --- what is shown ---------------------------------------------------------------------------------------------------
function draw() {
  document.body.classList.toggle("is-lost", !wire.isUp);
  $("lost").hidden = wire.isUp;
  if (told) {
    const now = wire.now(), session = group("session");
    if (wire.isUp) cards.phase(session, age(session) > 3);
    cards.guard(group("guard"), now, !wire.isUp || age(group("guard")) > 3);
    cards.success(group("history"));
    cards.value(age(session) > 3 ? null : session, group("history"));
    cards.learner(group("learner"));
    cards.policy(group("policy"), group("recorder"));
    cards.reward(group("reward"));
    cards.nodes(group("nodes"), now);
    cards.presses(group("presses"), now);
    latched(group("guard"));
    who();
  }
  if (!wire.isUp) $("phase").textContent = told ? "Not connected" : "Connecting";
  stale();
  enable();
}
function stale() {
  for (const card of document.querySelectorAll("article[data-group]")) {
    const facts = group(card.dataset.group), seconds = age(facts), isOld = Boolean(facts) && seconds > Number(card.dataset.stale);
    let mark = card.querySelector("h2 .old");
    if (!mark) card.querySelector("h2").append((mark = Object.assign(document.createElement("span"), { className: "old" })));
    card.classList.toggle("stale", isOld);
    mark.textContent = isOld ? `last word ${cards.ago(seconds)}` : "";
  }
  for (const figure of document.querySelectorAll("figure")) {
    const seconds = figure.at === undefined ? null : wire.now() - figure.at;
    figure.classList.toggle("stale", seconds === null || seconds > PICTURE_STALE_S);
    figure.querySelector("b").textContent = seconds === null ? "no picture" : seconds > PICTURE_STALE_S ? `${seconds.toFixed(0)} s old` : `${Math.max(0, Math.round(seconds * 1000))} ms`;
  }
  const [link, picture] = [median("link_ms"), median("picture_ms")];
  const press = median("button_ms");
  $("times").textContent = link === undefined ? "" : `connection ${link.toFixed(0)} ms` + (picture === undefined ? "" : ` \u00B7 picture ${picture.toFixed(0)} ms`) + (press === undefined ? "" : ` \u00B7 button ${press.toFixed(0)} ms`);
}
function latched(guard) {
  const is = Boolean(guard) && guard.state === "LATCHED";
  $("latched").hidden = !is || !wire.isUp;
  if (is) $("latched").textContent = `The arm is stopped for good: ${guard.remedy || guard.reasons.join(", ")}`;
  if (is) stoppedAt = null;
  if (stoppedAt !== null && performance.now() - stoppedAt > LATCH_WITHIN_MS) {
    stoppedAt = null;
    say("E-stop: the guard has not answered. Press the red button at the robot.", "bad");
  }
}
function who() {
  const { name, mine, driven: isDriven } = told.control;
  $("who").classList.toggle("has", mine);
  $("name").hidden = mine;
  $("take").firstChild.textContent = mine ? "Leave control " : name ? `Take it from ${name} ` : "Take control ";
  const words = mine ? `You (${name}) have control` : name ? `${name} has control${isDriven ? " and moves the arm" : ""}; you see` : "Nobody has control; you see";
  if ($("holder").textContent !== words) $("holder").textContent = words;
}
function enable() {
  const blocked = (group("services") || {}).blocked || {}, mine = Boolean(told && told.control.mine);
  for (const button of document.querySelectorAll("button[data-command]")) {
    const command = button.dataset.command, needs = !ANYBODY.includes(command) && !mine;
    const why = !wire.isUp ? "no connection" : blocked[command] || (needs ? "take control first" : "");
    button.disabled = Boolean(why);
    button.title = why;
  }
  $("estop").firstChild.textContent = wire.isUp ? "E-STOP " : "Not connected: use the red button at the robot";
  $("take").disabled = !wire.isUp;
  $("over").disabled = !mayDrive();
  $("over").title = mayDrive() ? "Opens the pads; hold t, a gamepad's shoulder button, or touch a pad" : "take control first";
  if (!mayDrive()) pads(false);
}
function picture(head, bitmap) {
  const names = (group("cameras") || {}).names || [];
  while ($("cameras").children.length <= head.camera) $("cameras").append(figure());
  const shown = $("cameras").children[head.camera], canvas = shown.firstElementChild;
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  canvas.setAttribute("aria-label", `camera ${names[head.camera] || head.camera}`);
  shown.querySelector("span").textContent = names[head.camera] || `camera ${head.camera}`;
  shown.at = head.at;
  shown.number = head.number;
}
function figure() {
  const one = document.createElement("figure"), caption = document.createElement("figcaption");
  caption.append(document.createElement("span"), document.createElement("b"));
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  one.append(canvas, caption);
  return one;
}
function say(words, kind = "") {
  $("said").textContent = words;
  $("said").className = kind;
  saidAt = performance.now();
}

// --- what is pressed -------------------------------------------------------------------------------------------------
const button = (command) => document.querySelector(`button[data-command="${command}"]`);
function press(command) {
  if (command === "estop") return stop();
  if (button(command).disabled) return say(`${command.replace("_", " ")}: ${button(command).title}`, "bad");
  if (command === "hold") drive.release();
  const session = group("session");
  button(command).classList.add("waits");
  const isShown = session && session.state === "running"; // the word is on what is seen, should the next have begun
  wire.press(command, ["success", "failure", "discard"].includes(command) && isShown ? session.episode : "");
}
function stop() { // two ways at once; whether it worked the guard says, not we
  drive.release();
  wire.press("estop");
  stopByHttp();
  stoppedAt = performance.now();
  say("E-stop sent", "bad");
}
function answer(message) {
  const pressed = button(message.command), kind = message.ok ? "done" : "refused";
  pressed.classList.remove("waits", "done", "refused");
  pressed.classList.add(kind);
  setTimeout(() => pressed.classList.remove(kind), 1200);
  const words = message.command.replace("_", " ");
  say(`${words}: ${message.text || (message.ok ? "done" : "refused")}`, message.ok ? (message.command === "estop" ? "bad" : "good") : "bad");
}
function control() {
  if (!told || !wire.isUp) return;
  if (told.control.mine) return wire.send({ kind: "leave" });
  const name = $("name").value.trim();
  if (!name) return $("name").focus(), say("who are you? A name, one word, goes with what you press", "bad");
  localStorage.setItem("name", name);
  wire.send({ kind: "take", name, take_from: told.control.name });
}
function pads(isShown) {
  $("over").setAttribute("aria-pressed", String(isShown));
  $("drive").hidden = !isShown && !drive.by;
  if (!isShown && drive.by) drive.release();
}
function driven(by) {
  document.body.classList.toggle("driving", Boolean(by));
  $("drive").hidden = !by && $("over").getAttribute("aria-pressed") !== "true";
  $("hand").textContent = by ? `You move the arm with ${by}; let go to hand it back` : "Not held: touch a pad, hold t, or a gamepad's shoulder button";
}

// --- keys ------------------------------------------------------------------------------------------------------------
const KEYS = { h: "hold", A: "arm", R: "reset", s: "success", f: "failure", d: "discard", n: "reset_done", p: "pause", r: "resume", e: "end" };
function onKey(event, isDown) {
  if (event.key === " ") { // everywhere, whatever has the focus
    event.preventDefault();
    event.stopPropagation();
    if (isDown && !event.repeat) stop();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT" || $("help").open) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!event.shiftKey && mayDrive() && drive.key(key, isDown)) return event.preventDefault();
  if (!isDown || event.repeat) return;
  if (event.key in KEYS) press(KEYS[event.key]);
  else if (event.key === "c") control();
  else if (event.key === "?") $("help").showModal();
  else return;
  event.preventDefault();
}
document.addEventListener("keydown", (event) => onKey(event, true), true);
document.addEventListener("keyup", (event) => onKey(event, false), true);
for (const one of document.querySelectorAll("button[data-command]")) one.onclick = () => press(one.dataset.command);
$("estop").onpointerdown = stop; // at the touch, not once the finger has left
$("estop").onclick = (event) => event.detail === 0 && stop(); // by Enter, or a screen reader
$("who").onsubmit = (event) => { event.preventDefault(); control(); };
$("over").onclick = () => pads($("over").getAttribute("aria-pressed") !== "true");
$("ask").onclick = () => $("help").showModal();
$("night").onclick = () => night(!document.documentElement.classList.contains("night"));
function night(is) {
  document.documentElement.classList.toggle("night", is);
  localStorage.setItem("night", is ? "1" : "0");
}
night((localStorage.getItem("night") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "1" : "0")) === "1");
$("name").value = localStorage.getItem("name") || "";
driven("");
setInterval(() => {
  draw();
  if (saidAt && performance.now() - saidAt > SAID_FOR_MS) { $("said").textContent = ""; $("said").className = ""; saidAt = 0; }
}, DRAW_EVERY_MS);
