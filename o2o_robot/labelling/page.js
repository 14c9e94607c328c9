"use strict";
// The labelling page. It shows what the server holds and changes nothing of its own: a press counts once it is answered.
const $ = (id) => document.getElementById(id);
const TOKEN = document.body.dataset.token;
const ALIVE_EVERY_MS = 1500, ANSWER_WITHIN_MS = 6000, PLAY_FOR_MS = 4000, PLAY_FPS_MOST = 30;
const state = { overview: null, order: [], at: 0, film: null, sheets: [], frame: 0, timer: null, busy: false, lost: false };

async function ask(path, body) {
  const headers = { Authorization: `Bearer ${TOKEN}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const method = body === undefined ? "GET" : "POST";
  let answer;
  try {
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (problem) {
    lose(true);
    throw new Error("no answer");
  }
  lose(false);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).problem || `answer ${answer.status}`);
  return answer;
}
const askJson = async (path, body) => (await ask(path, body)).json();

function lose(isLost) {
  if (state.lost === isLost) return;
  state.lost = isLost;
  $("lost").hidden = !isLost;
  document.body.classList.toggle("is-lost", isLost);
  enable();
  if (!isLost && current() && !state.film) showFilm(current().index);
}
function complain(text) {
  $("problem").hidden = !text;
  $("problem").textContent = text || "";
}
function enable() {
  const isOff = state.lost || state.busy || !current();
  for (const button of document.querySelectorAll("button[data-what]")) button.disabled = isOff;
  $("undo").disabled = state.lost || state.busy || !(state.overview && state.overview.can_undo);
}

const current = () => state.overview && state.overview.episodes[state.order[state.at]];

function sortOrder() {
  const here = current();
  state.order = $("sort").value === "urgent" ? [...state.overview.order] : state.overview.episodes.map((_, i) => i);
  state.at = here ? Math.max(0, state.order.indexOf(here.index)) : 0;
}
function take(overview) {
  const isFirst = !state.overview;
  state.overview = overview;
  if (isFirst) sortOrder();
  const total = overview.episodes.length;
  $("store").textContent = overview.store;
  $("progress").textContent = `${overview.n_done} of ${total} decided`;
  $("bar").max = Math.max(1, total);
  $("bar").value = overview.n_done;
  drawList();
  drawFacts();
  enable();
}

function wordOf(e) {
  return e.is_doubtful ? "doubtful" : e.outcome === "unknown" && !e.is_decided ? "open" : e.outcome;
}
function opinionOf(e) {
  return e.probability === null ? "" : `${Math.round(100 * e.probability)} %`;
}
function drawList() {
  const rows = state.order.map((index, place) => {
    const e = state.overview.episodes[index], row = document.createElement("li");
    row.className = e.is_doubtful ? "doubtful" : e.outcome;
    row.tabIndex = 0;
    row.setAttribute("aria-current", String(place === state.at));
    const parts = [["id", `${e.index}  ${e.id}`], ["p", opinionOf(e)], ["say", ""]];
    const [id, p, say] = parts.map(([name, text]) => {
      const span = document.createElement("span");
      span.className = name;
      span.textContent = text;
      row.append(span);
      return span;
    });
    const word = document.createElement("span");
    word.className = "word";
    word.textContent = wordOf(e);
    say.append(word, e.by ? ` by ${e.by}` : e.is_decided ? " as recorded" : "");
    p.title = "the classifier's probability of success";
    if (e.disagrees) p.classList.add("disagrees");
    row.onclick = () => go(place);
    row.onkeydown = (event) => { if (event.key === "Enter") go(place); };
    return row;
  });
  $("list").replaceChildren(...rows);
  if (rows[state.at]) rows[state.at].scrollIntoView({ block: "nearest" });
}
function drawFacts() {
  const e = current();
  $("title").textContent = e ? `${e.index}  ${e.id}` : "This store holds no episode";
  if (!e) return;
  const say = [`${e.n_steps} steps`, `${wordOf(e)}${e.by ? ` (by ${e.by})` : ""}`];
  if (e.probability !== null) say.push(`classifier: ${opinionOf(e)} success${e.disagrees ? ", disagrees" : ""}`);
  if (e.note && !e.is_doubtful) say.push(e.note);
  $("facts").textContent = say.join("  ·  ");
}

async function go(place) {
  if (!state.order.length) return;
  state.at = Math.min(Math.max(0, place), state.order.length - 1);
  complain("");
  drawList();
  drawFacts();
  enable();
  pause();
  await showFilm(current().index);
}

const films = new Map(); // index -> promise of {film, sheets, strip}; the episode being shown and the ones next to it
function fetchFilm(index) {
  if (!films.has(index)) {
    const promise = loadFilm(index);
    promise.catch(() => films.delete(index));
    films.set(index, promise);
    while (films.size > 6) {
      const [oldest, old] = films.entries().next().value;
      films.delete(oldest);
      old.then((loaded) => loaded.strip && URL.revokeObjectURL(loaded.strip)).catch(() => {});
    }
  }
  return films.get(index);
}
async function loadFilm(index) {
  const path = `api/episodes/${index}`, film = await askJson(`${path}/film`);
  if (!film.cameras.length) return { film, sheets: [], strip: null };
  const picture = async (name) => (await ask(`${path}/${name}`)).blob();
  const sheets = await Promise.all(film.cameras.map(async (_, i) => createImageBitmap(await picture(`sheets/${i}.jpg`))));
  return { film, sheets, strip: URL.createObjectURL(await picture("strip.jpg")) };
}
async function showFilm(index) {
  state.film = null;
  $("stage").replaceChildren();
  $("strip").hidden = true;
  $("time").textContent = "";
  let loaded;
  try {
    loaded = await fetchFilm(index);
  } catch (problem) {
    if (current() && current().index === index) complain(`no pictures: ${problem.message}`);
    return;
  }
  if (!current() || current().index !== index) return; // moved on meanwhile
  Object.assign(state, { film: loaded.film, sheets: loaded.sheets });
  if (!loaded.sheets.length) return complain("this episode has no camera");
  $("stage").replaceChildren(...loaded.film.cameras.map((name) => {
    const figure = document.createElement("figure"), canvas = document.createElement("canvas");
    canvas.width = canvas.height = loaded.film.side_px;
    const caption = document.createElement("figcaption");
    caption.textContent = name;
    figure.append(canvas, caption);
    return figure;
  }));
  $("scrub").max = loaded.film.times_s.length - 1;
  $("strip").src = loaded.strip;
  $("strip").hidden = false;
  seek(0);
  play();
  const after = state.order[state.at + 1];
  if (after !== undefined) fetchFilm(after).catch(() => {});
}

function seek(frame) {
  if (!state.film || !state.sheets.length) return;
  const { n_columns, side_px, times_s } = state.film;
  state.frame = Math.min(Math.max(0, frame), times_s.length - 1);
  const left = (state.frame % n_columns) * side_px, top = Math.floor(state.frame / n_columns) * side_px;
  document.querySelectorAll("#stage canvas").forEach((canvas, i) => {
    canvas.getContext("2d").drawImage(state.sheets[i], left, top, side_px, side_px, 0, 0, side_px, side_px);
  });
  $("scrub").value = state.frame;
  $("time").textContent = `${times_s[state.frame].toFixed(1)} of ${times_s[times_s.length - 1].toFixed(1)} s`;
}
function play() {
  if (!state.film || !state.sheets.length) return;
  pause();
  const n = state.film.times_s.length;
  if (state.frame >= n - 1) seek(0);
  const every = Math.max(1000 / PLAY_FPS_MOST, PLAY_FOR_MS / n); // about as long for every episode; it stops at the end
  state.timer = setInterval(() => (state.frame >= n - 1 ? pause() : seek(state.frame + 1)), every);
  $("play").textContent = "\u23F8";
}
function pause() {
  clearInterval(state.timer);
  state.timer = null;
  $("play").textContent = "\u25B6";
}

async function change(path, body) {
  if (state.lost || state.busy) return null;
  state.busy = true;
  enable();
  try {
    const overview = await askJson(path, body);
    complain("");
    take(overview);
    return overview;
  } catch (problem) {
    complain(`not saved: ${problem.message}`);
    return null;
  } finally {
    state.busy = false;
    enable();
  }
}
async function press(what) {
  const e = current();
  if (!e || !(await change(`api/episodes/${e.index}/label`, { what }))) return;
  if (what !== "recorded") go(nextOpen());
}
function nextOpen() {
  const isOpen = (place) => {
    const e = state.overview.episodes[state.order[place]];
    return !e.is_decided || e.disagrees;
  };
  const places = state.order.map((_, i) => (state.at + 1 + i) % state.order.length);
  const found = places.find(isOpen);
  return found === undefined ? Math.min(state.at + 1, state.order.length - 1) : found;
}
async function undo() {
  const overview = await change("api/undo", {});
  if (overview && overview.undone !== null) go(state.order.indexOf(overview.undone));
}

const KEYS = {
  s: () => press("success"), f: () => press("failure"), u: () => press("unknown"), d: () => press("doubtful"),
  r: () => press("recorded"), z: undo, ArrowUp: () => go(state.at - 1), ArrowDown: () => go(state.at + 1),
  ArrowLeft: () => { pause(); seek(state.frame - 1); }, ArrowRight: () => { pause(); seek(state.frame + 1); },
  " ": () => (state.timer ? pause() : play()),
};
document.addEventListener("keydown", (event) => {
  const isUndo = event.key === "z" && (event.ctrlKey || event.metaKey);
  if (event.altKey || ((event.ctrlKey || event.metaKey) && !isUndo) || event.target.tagName === "SELECT") return;
  if (event.repeat && !event.key.startsWith("Arrow")) return; // a key held down labels one episode, not ten
  if (event.key === " " && event.target.tagName === "BUTTON") return;
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
for (const button of document.querySelectorAll("button[data-what]")) {
  button.onclick = (event) => {
    if (event.detail > 0) button.blur(); // tapped: the space bar then plays, and does not press it once more
    press(button.dataset.what);
  };
}
$("undo").onclick = undo;
$("previous").onclick = () => go(state.at - 1);
$("next").onclick = () => go(state.at + 1);
$("play").onclick = KEYS[" "];
$("scrub").oninput = () => { pause(); seek(Number($("scrub").value)); };
$("sort").onchange = () => { sortOrder(); drawList(); };
$("strip").onclick = (event) => {
  const box = $("strip").getBoundingClientRect(), shown = state.film.strip_frames;
  pause();
  seek(shown[Math.min(shown.length - 1, Math.floor((10 * (event.clientX - box.left)) / box.width))]);
};

async function watch() {
  try {
    const { revision } = await askJson("api/alive");
    if (!state.overview || (revision !== state.overview.revision && !state.busy)) {
      const isFirst = !state.overview;
      take(await askJson("api/overview"));
      if (isFirst) go(0);
    }
  } catch (problem) {
    if (!state.lost) complain(problem.message);
  }
  setTimeout(watch, ALIVE_EVERY_MS);
}
watch();
