"""How much of a run people did, whether that falls as the policy learns, and when they had better do less.

HIL-SERL (Luo et al. 2024, arXiv:2410.21845, hil-serl.github.io) intervenes often at first, corrects briefly, and less
and less as success rises; of long interventions that end in success its authors warn that the critic comes to value
states highly which the policy cannot finish from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.types import Array, Mode, Outcome

WINDOW = 10  # episodes that "now" is the mean of
ENOUGH = 10  # episodes of a kind, fewer of which say nothing
LONG_SHARE = 0.5  # of the steps of a success: more is a demonstration, not a correction
ALONE = 0.8  # success of the untouched episodes, from which help is seldom needed
SELDOM = 0.2  # interventions an episode that are then still fine
LEARNING = (Mode.WARMUP.value, Mode.ONLINE.value)


class Hands(NamedTuple):
    """One episode: whose steps its steps were, and how it ended."""

    mode: str
    n_steps: int
    steps_human: int
    interventions: int
    is_success: bool

    @property
    def human_share(self) -> float:
        return self.steps_human / self.n_steps if self.n_steps else 0.0


class Hint(NamedTuple):
    """What a person at the device had better do, and why in numbers; rule: which of the rules said so."""

    rule: str
    words: str


def hands(lines: Iterable[Mapping[str, Any]]) -> tuple[Hands, ...]:
    """The episodes of warm-up and online learning in a run's episodes.jsonl that were whole and not thrown away.

    Lines that lack the counts are of a run in which nobody could intervene.
    """
    return tuple(
        Hands(
            str(line["mode"]),
            int(line.get("n_steps", 0)),
            int(line.get("steps_human", 0)),
            int(line.get("interventions", 0)),
            line.get("outcome") == Outcome.SUCCESS.value,
        )
        for line in lines
        if line.get("mode") in LEARNING and line.get("n_steps") and not line.get("discarded") and _is_known(line)
    )


class Advice:
    """Follows a run: advice.add(episode) gives a hint when one becomes true, and not again while it stays so."""

    def __init__(self, before: Iterable[Hands] = ()) -> None:
        """before: the episodes of a run that is taken up again."""
        self.episodes = list(before)
        self._rule = ""

    def add(self, episode: Hands) -> Hint | None:
        if episode.mode in LEARNING:
            self.episodes.append(episode)
        hint = hint_of(self.episodes)
        is_new = hint is not None and hint.rule != self._rule
        self._rule = hint.rule if hint else ""
        return hint if is_new else None


def rolling(values: Sequence[float] | Array, window: int = WINDOW) -> Array:
    """Mean of the latest `window` values at each, (n,)."""
    total = np.concatenate([[0.0], np.cumsum(np.asarray(values, float))])
    ends = np.arange(1, len(total))
    starts = np.maximum(ends - window, 0)
    return (total[ends] - total[starts]) / np.maximum(ends - starts, 1)


def facts(episodes: Sequence[Hands]) -> dict[str, Any]:
    """For summaries: counts of the online episodes, of their first and last WINDOW, and the hint; {} of none."""
    online = [e for e in episodes if e.mode == Mode.ONLINE.value]
    if not online:
        return {}
    first, last, hint = online[:WINDOW], online[-WINDOW:], hint_of(episodes)
    return {
        "interventions": sum(e.interventions for e in online),
        "interventions_per_episode": round(_mean([e.interventions for e in online]), 3),
        "interventions_per_episode_first": round(_mean([e.interventions for e in first]), 3),
        "interventions_per_episode_last": round(_mean([e.interventions for e in last]), 3),
        "steps_human": sum(e.steps_human for e in online),
        "human_share": round(sum(e.steps_human for e in online) / sum(e.n_steps for e in online), 4),
        "human_share_last": round(sum(e.steps_human for e in last) / sum(e.n_steps for e in last), 4),
        "hint": hint.words if hint else "",
    }


def hint_of(episodes: Sequence[Hands]) -> Hint | None:
    """The first rule that applies to the latest online episodes; None: nothing to do otherwise, or too few to tell."""
    online = [e for e in episodes if e.mode == Mode.ONLINE.value]
    if not any(e.interventions for e in online):
        return None
    return _too_long(online) or _not_needed(online) or _not_falling(online)


def _too_long(online: Sequence[Hands]) -> Hint | None:
    """Successes of late that were the person's more than the policy's."""
    led = [e for e in online[-2 * WINDOW :] if e.is_success and e.interventions]
    share = sum(e.steps_human for e in led) / max(1, sum(e.n_steps for e in led))
    if len(led) < ENOUGH // 2 or share <= LONG_SHARE:
        return None
    return Hint(
        "too long",
        f"Give the arm back sooner: of the latest {len(led)} successes with your help {100 * share:.0f} % of the steps "
        f"were yours (over {100 * LONG_SHARE:.0f} % is a demonstration, not a correction). Where a person always "
        "finishes, the critic comes to value states highly that the policy cannot finish from.",
    )


def _not_needed(online: Sequence[Hands]) -> Hint | None:
    """The policy succeeds by itself nearly always, and is still taken over."""
    latest = online[-2 * ENOUGH :]
    alone = [e for e in latest if not e.interventions]
    rate, asked = _mean([e.is_success for e in alone]), _mean([e.interventions for e in latest])
    if len(alone) < ENOUGH or rate < ALONE or asked <= SELDOM:
        return None
    return Hint(
        "not needed",
        f"Take over less: alone the policy succeeded in {100 * rate:.0f} % of its latest {len(alone)} episodes, and "
        f"you took over {asked:.1f} times an episode (up to {SELDOM:g} is fine then). Wait until it is surely stuck: "
        "what it mends by itself it learns.",
    )


def _not_falling(online: Sequence[Hands]) -> Hint | None:
    """As much help as before, after episodes enough for it to have fallen."""
    if len(online) < 4 * ENOUGH:
        return None
    middle = len(online) // 2
    before, now = _mean([e.interventions for e in online[:middle]]), _mean([e.interventions for e in online[middle:]])
    if now < before or now <= SELDOM:
        return None
    return Hint(
        "not falling",
        f"Interventions do not fall: {before:.2f} an episode in the first {middle}, {now:.2f} in the "
        f"{len(online) - middle} since. Correct earlier and briefer, let it fail some episodes to the end, and look "
        "whether the labels are right (`o2o reward eval`).",
    )


def _is_known(line: Mapping[str, Any]) -> bool:
    return line.get("outcome") in (Outcome.SUCCESS.value, Outcome.FAILURE.value)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0
