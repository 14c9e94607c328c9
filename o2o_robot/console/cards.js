// What is known, written into the page. Nothing here remembers: a card shows its group, and how old it is.
import { promises, successCurve } from "./plots.js?token=TOKEN";
const $ = (id) => document.getElementById(id);
const STATES = { RUN: "good", ARMED: "good", IDLE: "", SOFT_STOP: "doubt", LATCHED: "bad", UNCONFIGURED: "doubt" };
const MODES = { demo: "Demonstration", eval: "Evaluation", warmup: "Warm-up", online: "Online learning" };
const DOING = { waiting: "waits", resetting: "resets the scene", running: "", asking: "asks", paused: "paused", done: "done" };
const VERDICTS = ["too few episodes to tell", "as good as the pretrained policy", "worse than before: the best weights act again"];
const share = (v) => (v === null || v === undefined ? "?" : `${Math.round(100 * v)}\u00A0%`);
const told = (v, digits = 1) => (v === null || v === undefined ? "?" : v.toFixed(digits));
const clock = (s) => (s >= 3600 ? `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min` : s >= 60 ? `${Math.floor(s / 60)} min` : `${told(s, 0)} s`);
export const ago = (s) => (s < 1 ? "now" : s < 90 ? `${Math.round(s)} s ago` : s < 5400 ? `${Math.round(s / 60)} min ago` : `${Math.round(s / 3600)} h ago`);

function text(id, words, kind = "") {
  const node = $(id);
  if (node.textContent !== words) node.textContent = words;
  if (kind !== null && node.dataset.kind !== kind) {
    node.dataset.kind = kind;
    node.classList.remove("good", "bad", "doubt");
    if (kind) node.classList.add(kind);
  }
}
function items(id, rows) { // rows of [text, class, title]; left alone where nothing changed
  const key = JSON.stringify(rows);
  if ($(id).dataset.key === key) return;
  $(id).dataset.key = key;
  $(id).replaceChildren(...rows.map(([words, kind, title]) => {
    const li = document.createElement("li");
    li.textContent = words;
    if (kind) li.className = kind;
    if (title) { li.title = title; li.setAttribute("aria-label", title); }
    return li;
  }));
}

export function phase(session, isStale) {
  if (!session) return text("phase", "No session runs"), text("next", "the graph is there; nothing runs episodes");
  if (isStale) return text("phase", "No word from the session"), text("next", "it may be busy, or gone: see nodes");
  const mode = MODES[session.mode] || "Session", doing = DOING[session.state] ?? session.state;
  const words = [doing ? `${mode}: ${doing}` : mode];
  if (session.state === "running") words.push(session.episode, `step ${session.step} of ${session.max_steps}`);
  else if (session.waits_for) words.push(session.waits_for);
  text("phase", words.join(" \u00B7 "), ["waiting", "asking", "paused"].includes(session.state) ? "doubt" : "");
  const of = (n, all) => (all ? `${n} of ${all}` : `${n}`), after = [];
  if (session.block) after.push(`${session.block}: ${of(session.block_episodes, session.block_episodes_of)} episodes, ${of(session.block_steps, session.block_steps_of)} steps`);
  after.push(`then ${session.next || "the end"}`, `${clock(session.robot_s)} on the robot, ${clock(session.wall_s)} in all`);
  text("next", after.join(" \u00B7 "));
}
export function guard(group, now, isOld) {
  if (!group) return text("guard-state", "never heard", "doubt");
  if (isOld) return text("guard-state", "not known", "doubt"), text("guard-meaning", `was ${group.state.replace("_", " ")}`);
  text("guard-state", group.state.replace("_", " "), STATES[group.state] ?? "doubt");
  const why = group.reasons.length ? `: ${group.reasons.join(", ")}` : "";
  text("guard-meaning", group.remedy || group.meaning + why);
  items("guard-latest", group.latest.slice(0, 4).map((one) => [`${one.name} ${one.n === 1 ? "once" : `${one.n} times`}, ${ago(now - one.at)}`]));
  const ages = group.command_age_s === null ? "" : ` \u00B7 command ${told(group.command_age_s, 2)} s old, arm state ${told(group.state_age_s, 2)} s`;
  text("guard-numbers", `changed ${group.interventions} of ${group.commands} commands (${share(group.commands ? group.interventions / group.commands : 0)})${ages}`);
}
export function success(history) {
  const group = history && history.story;
  if (!group) return text("success-now", "no episode yet");
  text("success-title", `Success, ${(MODES[group.mode] || group.mode || "").toLowerCase()}`);
  const { now, before } = group;
  text("success-now", now.n ? `${share(now.rate)} (${share(now.lo)} to ${share(now.hi)})` : "no episode that counts yet");
  const trend = before.n ? `, the ${before.n} before ${share(before.rate)}: ${now.rate > before.rate ? "up" : now.rate < before.rate ? "down" : "level"}` : "";
  text("success-trend", now.n ? `${now.k} of the last ${now.n} episodes${trend}` : "");
  if ($("success-curve").dataset.key !== String(history.at)) {
    $("success-curve").dataset.key = String(history.at);
    successCurve($("success-curve"), group.curve);
    promises($("q-plot"), history.promises);
  }
  items("chips", group.chips.map((one) => ["", one.word, `${one.id}: ${one.word} (${one.why})`]));
  const human = group.takings_over === null ? "" : `taken over ${told(group.takings_over)} times an episode` + (group.takings_over_before === null ? "" : `, before ${told(group.takings_over_before)}`) + `; ${share(group.human_share)} of the steps by a person`;
  text("people", human);
}
export function value(session, history) {
  const q = session && session.q, kept = (history && history.promises) || [], last = kept[kept.length - 1];
  $("q-plot").style.display = kept.length ? "" : "none";
  text("q", q === null || q === undefined ? "no critic acts" : `Q ${told(q)}`);
  text("q-words", last ? `last promised ${told(last.q)}, ${told(last.ret)} followed${last.cut ? " until the time limit" : ""}` : "the return that followed is shown once episodes end");
}
export function learner(group) {
  $("learner").hidden = !group;
  if (!group) return;
  text("utd", group.utd === null ? `${group.phase}` : `${told(group.utd, 2)} updates a step`);
  text("learner-words", `${group.phase}: ${group.updates} updates, ${group.updates_owed} owed`, group.updates_owed > 200 ? "doubt" : "");
  text("learner-numbers", `${group.steps_received} steps in, ${group.steps_warmup} of them before the first update; published revision ${group.revision}`);
}
export function policy(group, recorder) {
  const kept = recorder ? `${recorder.episodes_stored} episodes on disk, ${recorder.episodes_discarded} discarded` : "";
  if (!group) return text("revision", "none"), text("verdict", "a person or a script acts"), text("policy-numbers", kept);
  text("revision", `revision ${group.revision}`);
  text("verdict", VERDICTS[group.verdict] || "?", ["", "good", "bad"][group.verdict]);
  const rate = (name) => !group[`episodes_${name}`] ? "no episode" : `${share(group[`success_${name}`])} (${share(group[`success_${name}_low`])} to ${share(group[`success_${name}_high`])}, ${group[`episodes_${name}`]})`;
  const refused = group.weights_refused ? `; ${group.weights_refused} weights refused: ${group.last_refusal}` : "";
  text("policy-numbers", [`pretrained ${rate("before")}, now ${rate("now")}`, `went back ${group.rollbacks} times${refused}`, kept].filter(Boolean).join("; "));
}
export function reward(group) {
  $("reward").hidden = !group;
  if (!group) return;
  const words = group.success ? "success" : group.failure ? "failure" : "not yet";
  text("probability", group.trouble ? "cannot judge" : group.probability === null ? words : `${share(group.probability)}: ${words}`, group.trouble ? "bad" : group.success ? "good" : "");
  text("reward-words", group.trouble || `judged by ${group.source}`);
}
export function nodes(group, now) {
  if (!group) return;
  const LEVELS = { OK: "good", WARN: "doubt", ERROR: "bad", STALE: "" };
  const rows = group.nodes.map((one) => [one, one.silent || now - one.at > 15 ? "bad" : LEVELS[one.level]]);
  const key = JSON.stringify(rows.map(([one, kind]) => [one.name, one.message, kind]));
  if ($("node-list").dataset.key !== key) {
    $("node-list").dataset.key = key;
    $("node-list").replaceChildren(...rows.map(([one, kind]) => {
      const li = document.createElement("li"), name = document.createElement("b");
      name.textContent = one.name;
      name.className = kind;
      li.append(name, one.level === "OK" && kind === "good" ? "" : ` ${kind === "bad" && one.level !== "ERROR" ? "silent" : one.message}`);
      return li;
    }));
  }
  $("streams").replaceChildren(...group.streams.map((one) => {
    const row = document.createElement("tr"), age = one.age_s === null ? null : one.age_s + Math.max(0, now - one.at);
    const cells = [one.name, one.hz === null ? "" : `${told(one.hz)} /s`, age === null ? "never heard" : age < 90 ? `${told(age)} s` : ago(age), one.by];
    row.append(...cells.map((words) => Object.assign(document.createElement("td"), { textContent: words })));
    return row;
  }));
}
export function presses(group, now) {
  $("pressed").hidden = !group;
  if (group) items("presses", group.latest.map((one) => [`${one.by}: ${one.command.replace("_", " ")}, ${ago(now - one.at)}${one.ok ? "" : `: ${one.text}`}`, one.ok ? "" : "bad"]));
}
