"""Between two stages of a run: what the last one came to, by which numbers, and what comes next; as text and table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.table import Table

from o2o_robot.flow.stages import Stage
from o2o_robot.never_worse import Rate, Rule, p_less
from o2o_robot.types import Mode

TITLES = {
    Mode.WARMUP: "warm-up, frozen policy",
    Mode.ONLINE: "online",
    Mode.EVAL: "evaluation, mean action",
    Mode.DEMO: "demonstrations",
}
LATEST = 20


def table(told: Sequence[Stage], *, title: str, caption: str = "") -> Table:
    """A row a stage. caption: what comes next."""
    shown = Table(title=title, caption=caption, title_justify="left", caption_justify="left", show_edge=False)
    shown.add_column("stage")
    for name in ("episodes", "success", "95 %", "steps", "updates", "Q gap", "taken over", "by hand", "guard", "robot"):
        shown.add_column(name, justify="right")
    shown.add_column("wall", justify="right")
    for stage in told:
        shown.add_row(*_row(stage))
    return shown


def gate(told: Sequence[Stage], following: str) -> str:
    """The last stage in words: the numbers that decide, and what comes next."""
    last = told[-1]
    words = {Mode.EVAL: _evaluated, Mode.ONLINE: _online}.get(last.mode, _plain)(told)
    return f"{TITLES[last.mode]}: {words}; next: {following or 'nothing, the schedule is done'}"


def times(told: Sequence[Stage], wall_s: float) -> str:
    """Time on the robot apart from time on the wall. wall_s: of this command."""
    robot_s, with_resets_s = sum(stage.robot_s for stage in told), sum(stage.wall_s for stage in told)
    return (
        f"robot {robot_s / 60:.1f} min in episodes; {with_resets_s / 60:.1f} min of wall time with resets; "
        f"this command took {wall_s / 60:.1f} min"
    )


def _row(stage: Stage) -> list[str]:
    n, episodes = stage.n_decided, len(stage.counted)
    low, high = stage.interval.lo, stage.interval.hi
    return [
        TITLES[stage.mode],
        str(episodes),
        f"{stage.successes} of {n}" if n else "-",
        f"{100 * low:.0f} to {100 * high:.0f} %" if n else "-",
        str(stage.n_steps),
        str(stage.learnt.updates),
        _number(stage.learnt.q_gap, "+.2f"),
        f"{stage.total('interventions') / episodes:.1f} an episode" if episodes else "-",
        _number(100 * stage.per_step("steps_human"), ".0f", " %"),
        _number(100 * stage.per_step("steps_changed"), ".0f", " %"),
        f"{stage.robot_s / 60:.1f} min",
        f"{stage.wall_s / 60:.1f} min",
    ]


def _plain(told: Sequence[Stage]) -> str:
    last = told[-1]
    return f"{len(last.counted)} episodes, {last.n_steps} steps, {_share(last.successes, last.n_decided)}"


def _online(told: Sequence[Stage]) -> str:
    """The latest episodes against those of the warm-up, which drew their actions in the same way."""
    online = [line for stage in told if stage.mode is Mode.ONLINE for line in stage.counted][-LATEST:]
    decided = [line["outcome"] == "success" for line in online if line["outcome"] != "incomplete"]
    before = _rate(stage for stage in told if stage.mode is Mode.WARMUP)
    return f"{_plain(told)}; of the last {len(decided)} {sum(decided)} succeeded{_worse(_of(decided), before)}"


def _evaluated(told: Sequence[Stage]) -> str:
    """The round against the first one: the pretrained policy on the same scenes."""
    first = next(stage for stage in told if stage.mode is Mode.EVAL)
    last = told[-1]
    if first is last:
        return f"{_plain(told)}: what later rounds are held against"
    return f"{_plain(told)}, first {first.successes} of {first.n_decided}{_worse(_rate([last]), _rate([first]))}"


def _worse(now: Rate, before: Rate) -> str:
    if not (now.n and before.n):
        return ""
    margin = Rule().margin
    return f"; worse than before by more than {margin:g}: probability {p_less(now, before, margin):.2f}"


def _rate(told: Iterable[Stage]) -> Rate:
    stages = list(told)
    return Rate(sum(stage.successes for stage in stages), sum(stage.n_decided for stage in stages))


def _of(decided: Sequence[bool]) -> Rate:
    return Rate(sum(decided), len(decided))


def _share(k: int, n: int) -> str:
    return f"{k} of {n} succeeded" if n else "nothing was decided"


def _number(value: float, how: str, unit: str = "") -> str:
    return f"{value:{how}}{unit}" if math.isfinite(value) else "-"
