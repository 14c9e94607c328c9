"""The words and tables of a report, from its facts alone. Nothing here reads a file or draws."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from o2o_robot.diagnostics.interval import Interval, wilson
from o2o_robot.report.gather import STAGES, EpisodeLine, Facts, RunFacts, Stage
from o2o_robot.report.statistics import paired, unpaired
from o2o_robot.types import Mode

LATEST = 50  # episodes that speak for the end of a run without an evaluation of its own
SURE = 0.05  # the p-value below which a difference is called one
_PHASES = re.compile(r"phase (\w+) -> (\w+): (.*)", re.DOTALL)
_CHANGE = re.compile(r"(\w+) (.+?) -> (.+?)(?:, (?=\w+ \S.*? -> )|$)", re.DOTALL)


class Rate(NamedTuple):
    """A success rate with what it was counted from."""

    successes: int
    n: int
    interval: Interval

    @property
    def percent(self) -> str:
        return percent(self.successes / max(1, self.n))

    @property
    def words(self) -> str:
        lo, hi = self.interval
        return f"{self.successes} of {self.n} episodes, 95 % interval {100 * lo:.0f} to {100 * hi:.0f} %"


class Headline(NamedTuple):
    """before, after: None where that evaluation is missing. sentences: plain words for what was found.

    labels: what the two are; "" where there is no such thing in this kind of run.
    """

    before: Rate | None
    after: Rate | None
    sentences: tuple[str, ...]
    labels: tuple[str, str] = ("success before fine-tuning", "success after fine-tuning")


class PhaseSwitch(NamedTuple):
    """A switch and what changed with it: (setting, before, after); words hold the text where it could not be parted."""

    title: str
    changes: tuple[tuple[str, str, str], ...]
    words: str = ""


class StageRow(NamedTuple):
    name: str
    wall_s: float | None
    share: float
    n_episodes: int
    n_discarded: int
    n_steps: int
    success: str


class NodeRow(NamedTuple):
    stage: str
    name: str
    pid: str
    exit_code: str
    is_well: bool
    facts: str


class SettingGroup(NamedTuple):
    title: str
    rows: tuple[tuple[str, str], ...]


def rate(episodes: Sequence[EpisodeLine]) -> Rate | None:
    """Success of these episodes but the discarded ones, or None where there is none."""
    k, n = sum(e.is_success for e in episodes), sum(not e.is_discarded for e in episodes)
    return Rate(k, n, wilson(k, n)) if n else None


def headline(run: RunFacts) -> Headline:
    """Success before and after, and whether the difference is more than luck."""
    if run.only_stage:
        return _headline_of_one(run)
    before = rate(run.stages["evaluate_pretrained"].episodes)
    after = rate(run.stages["evaluate_finetuned"].episodes)
    sentences = [_how_it_was_trained(run)]
    if before and after:
        sentences.append(_verdict(run, before, after))
    elif before or after:
        sentences.append("Only one of the two evaluations is in this folder, so nothing can be said of the difference.")
    else:
        sentences.append("Neither evaluation is in this folder, so nothing can be said of success yet.")
    return Headline(before, after, tuple(s for s in sentences if s))


def _headline_of_one(run: RunFacts) -> Headline:
    """Of the folder of one graph: what there is to count in it."""
    episodes = run.stages[run.only_stage].episodes
    if run.only_stage != "finetune":
        label = "demonstrations that succeed" if run.only_stage == "collect" else "success of the policy"
        return Headline(None, rate(episodes), (), ("", label))
    warmup, online, evaluated = (
        [e for e in episodes if e.mode == mode.value] for mode in (Mode.WARMUP, Mode.ONLINE, Mode.EVAL)
    )
    before, after = rate(warmup), rate(evaluated[-LATEST:] or online[-LATEST:])
    labels = ("success of the frozen policy (warm-up)", f"success of the latest {after.n if after else 0} ")
    labels = (labels[0], labels[1] + ("evaluation episodes" if evaluated else "online episodes"))
    return Headline(before, after, tuple(s for s in (_how_it_was_trained(run), _chance(before, after)) if s), labels)


def _chance(before: Rate | None, after: Rate | None) -> str:
    """In words, for two rates on different scenes."""
    if before is None or after is None:
        return ""
    p = unpaired(before.successes, before.n, after.successes, after.n)
    sure = "more than chance explains" if p < SURE else "too few to rule out chance"
    return f"Between the two: {sure} (Fisher's exact test, two-sided, p = {p:.2g})."


def key_facts(run: RunFacts) -> tuple[tuple[str, str], ...]:
    """The numbers of the whole run, those that are known: (what, value with unit)."""
    s = {**_counted(run), **run.summary}
    wanted = (
        ("task", s.get("task"), ""),
        ("seed", s.get("seed"), ""),
        ("demonstrations", s.get("demo_episodes"), "episodes"),
        ("demonstrations that succeed", _percent_or_none(s.get("demo_success_rate")), ""),
        ("offline updates", s.get("offline_steps"), ""),
        ("warm-up", s.get("env_steps_warmup"), "steps"),
        ("online", s.get("env_steps_online"), "steps"),
        ("online updates", s.get("learner_updates"), ""),
        ("robot time", s.get("robot_s"), "s"),
        ("wall time", s.get("wall_s"), "s"),
        ("steps published", s.get("steps_published"), ""),
        ("steps stored", s.get("steps_stored"), ""),
        ("commands the guard changed", s.get("guard_interventions"), ""),
    )
    return tuple((name, f"{number(value)} {unit}".strip()) for name, value, unit in wanted if value is not None)


def _counted(run: RunFacts) -> Facts:
    """What a summary would say, where the run left none: counted from its episodes and its nodes' last words."""
    stages = run.stages.values()
    training = run.stages["finetune"]
    facts: dict[str, Any] = {
        "env_steps_warmup": sum(e.n_steps for e in training.episodes if e.mode == Mode.WARMUP.value) or None,
        "env_steps_online": sum(e.n_steps for e in training.episodes if e.mode == Mode.ONLINE.value) or None,
        "learner_updates": training.fact("learner_node", "updates"),
        "robot_s": round(60 * sum(stage.end_min[-1] for stage in stages if stage.episodes), 1) or None,
    }
    if run.only_stage:
        stage = run.stages[run.only_stage]
        facts |= {"wall_s": stage.fact("policy_node", "wall_s"), "guard_interventions": _guarded(stage)}
    return facts


def _guarded(stage: Stage) -> Any:
    return stage.fact("arm_node", "interventions", sum(e.steps_changed for e in stage.episodes) or None)


def phase_switches(run: RunFacts) -> tuple[PhaseSwitch, ...]:
    """What the learner says changed each time its phase did."""
    texts = run.stages["finetune"].fact("learner_node", "phases", [])
    return tuple(parse_switch(str(text)) for text in texts) if isinstance(texts, list) else ()


def parse_switch(text: str) -> PhaseSwitch:
    """A PhaseChange's text, parted into its settings; kept whole where it is of another form."""
    phases = _PHASES.fullmatch(text)
    if phases is None:
        return PhaseSwitch("phase switch", (), text)
    before, after, rest = phases.groups()
    changes = tuple((name, old, new) for name, old, new in _CHANGE.findall(rest))
    return PhaseSwitch(f"{before} → {after}", changes, "" if changes else rest)


def stage_rows(run: RunFacts) -> tuple[StageRow, ...]:
    """Every stage that left a time or an episode, in the order of the run; share is of the longest stage's time."""
    timed = {str(s.get("name")): s.get("wall_s") for s in _mappings(run.summary.get("stages"))}
    wall_s = {name: float(s) for name, s in timed.items() if isinstance(s, (int, float))}
    longest_s = max(wall_s.values(), default=0.0)
    names = [*timed, *(name for name in STAGES if name not in timed and run.stages[name].episodes)]
    rows = []
    for name in names:
        episodes = run.stages[name].episodes if name in run.stages else ()
        found = rate(episodes)
        rows.append(
            StageRow(
                words(name),
                wall_s.get(name),
                wall_s.get(name, 0.0) / longest_s if longest_s else 0.0,
                len(episodes),
                sum(e.is_discarded for e in episodes),
                sum(e.n_steps for e in episodes),
                found.percent if found else "",
            )
        )
    return tuple(rows)


def node_rows(run: RunFacts) -> tuple[NodeRow, ...]:
    """Every process of every stage, how it ended, and the numbers it left."""
    own = [{"phase": name, **node} for name, stage in run.stages.items() for node in stage.nodes]
    rows = []
    for node in own or _mappings(run.summary.get("nodes")):
        stage, name, code = str(node.get("phase", "")), str(node.get("name", "")), node.get("exit_code")
        facts = run.stages[stage].summaries.get(name, {}) if stage in run.stages else {}
        told = "; ".join(f"{k} {number(v)}" for k, v in flat(facts) if k != "pid" and not isinstance(v, list))
        ended = "still running" if code is None else str(code)
        rows.append(NodeRow(words(stage), name, str(node.get("pid", "")), ended, code == 0, told))
    return tuple(rows)


def setting_groups(run: RunFacts) -> tuple[SettingGroup, ...]:
    """Every setting there is, by who was given it."""
    groups = [("this run", run.settings)]
    groups += [(f"{name}: the learner's checkpoint", facts) for name, facts in run.checkpoints.items()]
    groups += [
        (f"{words(stage.name)}: {node}", facts)
        for stage in run.stages.values()
        for node, facts in stage.parameters.items()
    ]
    return tuple(
        SettingGroup(title, tuple((name, exactly(value)) for name, value in flat(facts)))
        for title, facts in groups
        if facts
    )


def version_rows(run: RunFacts) -> tuple[tuple[str, str], ...]:
    """Library -> version, and the revision of the code."""
    facts = run.summary if "versions" in run.summary else run.pretrain_summary
    found = facts.get("versions")
    rows = [(str(name), str(value)) for name, value in found.items()] if isinstance(found, dict) else []
    extra = [("git revision", facts.get("git_revision")), ("data fingerprint", run.pretrain_summary.get("fingerprint"))]
    return tuple([*rows, *((name, str(value)) for name, value in extra if value)])


def flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names with their values."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def number(value: Any) -> str:
    """A value for people: four significant figures, thousands apart, "–" for what is not a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value if isinstance(value, str) else json.dumps(value, default=str)
    if value != value:
        return "–"
    if isinstance(value, int) or (abs(value) < 1e15 and value == int(value)):
        return f"{int(value):,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(int(value))
    return f"{value:.4g}"


def exactly(value: Any) -> str:
    """A value as it was set, no digit lost."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def words(name: str) -> str:
    """A stage's name as it is read."""
    return name.replace("_", " ")


def _how_it_was_trained(run: RunFacts) -> str:
    stage, s = run.stages["finetune"], run.summary
    warmup = sum(e.n_steps for e in stage.episodes if e.mode == "warmup")
    online = sum(e.n_steps for e in stage.episodes if e.mode == "online")
    if not warmup + online:
        return ""
    if run.only_stage:
        return f"A pretrained policy ran frozen for {warmup} steps and then learned from {online} steps of its own."
    demos = s.get("demo_episodes", len(run.stages["collect"].episodes))
    offline = s.get("offline_steps", run.pretrain_summary.get("updates", "?"))
    return (
        f"A policy was pretrained on {demos} demonstrations ({offline} offline updates), ran frozen for {warmup} steps "
        f"to fill the replay, and then learned from {online} steps of its own, without the demonstrations."
    )


def _verdict(run: RunFacts, before: Rate, after: Rate) -> str:
    first = {e.seed: e.is_success for e in run.stages["evaluate_pretrained"].episodes}
    found = paired(first, {e.seed: e.is_success for e in run.stages["evaluate_finetuned"].episodes})
    if found.n < max(before.n, after.n):
        apart = before.interval.hi < after.interval.lo or after.interval.hi < before.interval.lo
        return f"The two evaluations met different scenes; their intervals {'are apart' if apart else 'overlap'}."
    how = f"Of the same {found.n} scenes, {found.gained} failed before and succeed now, {found.lost} the other way"
    if found.p_value < SURE:
        return f"{how}: more than chance explains (exact sign test, p = {found.p_value:.2g})."
    return f"{how}: too few to rule out chance (exact sign test, p = {found.p_value:.2g})."


def _percent_or_none(value: Any) -> str | None:
    return percent(value) if isinstance(value, (int, float)) else None


def _mappings(value: Any) -> list[Facts]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
