"""One self-contained HTML page of a store: what is in it, what it looks like, and what ails it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.health.finding import Finding, Level, ranges
from o2o_robot.data.health.vitals import Vitals
from o2o_robot.errors import StoreError
from o2o_robot.report import figures, inspect_figures
from o2o_robot.report.html import render, write_whole
from o2o_robot.report.inspect_gather import Card, Look, is_telling
from o2o_robot.report.plots import Plot
from o2o_robot.types import Outcome, Source

_NAMED = 40  # episodes a finding names one by one
_OPEN = 15  # cards that are seen at once
_LISTED = 2000  # rows of the table of episodes


class FindingRow(NamedTuple):
    """A row of the box on top; links: episode numbers as text, and the one that has pictures on the page, or -1."""

    kind: str
    what: str
    seen: str
    episodes: str
    cards: tuple[int, ...]
    remedy: str


class CardRow(NamedTuple):
    number: int
    id: str
    kind: str
    words: str
    ails: str
    strips: tuple[tuple[str, bytes], ...]


def write_page(look: Look, store: Path, page: Path, *, facts: Sequence[tuple[str, str]] = ()) -> Path:
    """Write the page of a store that has been looked at. Raises StoreError where the disk refuses."""
    text = render("inspect.html", content(look, store, facts))
    try:
        write_whole(page, text.encode())
    except OSError as problem:
        raise StoreError(f"{page} cannot be written ({problem.strerror}); choose another place with --page") from None
    return page


def content(look: Look, store: Path, facts: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """What the template fills in."""
    cards = [_card_row(card, look.findings, len(look.vitals)) for card in look.cards.values()]
    cards.sort(key=lambda card: not card.ails)  # what ails comes first, the rest in the order of the store
    numbers = {level: sum(f.level == level for f in look.findings) for level in Level}
    return {
        "title": store.name,
        "folder": str(store.resolve()),
        "verdict": verdict(numbers[Level.FAULT], numbers[Level.CHECK]),
        "findings": [_finding_row(f, look) for f in look.findings],
        "key_facts": [*_key_facts(look), *facts],
        "plots": _plots(look),
        "cards": cards[:_OPEN],
        "more_cards": cards[_OPEN:],
        "n_shown": len(cards),
        "n_episodes": len(look.vitals),
        "episodes": [_episode_row(v) for v in look.vitals[:_LISTED]],
        "n_unlisted": max(0, len(look.vitals) - _LISTED),
        "layouts": Counter(v.layout for v in look.vitals).most_common(),
    }


def verdict(n_faults: int, n_checks: int) -> str:
    """The box's first line."""
    parts = [f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((n_faults, "fault"), (n_checks, "thing")) if n]
    if not parts:
        return "Nothing was found that needs a person's eye."
    return " and ".join(parts) + (" to look at." if n_checks else ".")


def _plots(look: Look) -> dict[str, Plot]:
    """The figures that this store has something for, by section."""
    vitals, sample = look.vitals, look.sample
    if not vitals:
        return {}
    some = f"From {'all' if look.every == 1 else f'one in {look.every} of'} {look.n_steps:,} steps."
    drawn: dict[str, Plot] = {}
    with figures.style():
        made = {"timeline": inspect_figures.timeline(vitals), "timing": inspect_figures.timing(vitals, sample)}
        captions = {
            "timeline": _TIMELINE,
            "timing": f"{_TIMING} {some}",
            "actions": f"{_ACTIONS} {some}",
            "states": f"{_STATES} {some}",
            "coverage": f"{_COVERAGE} {some}",
        }
        if len(sample.action):
            same = [v for v in vitals if v.layout == vitals[0].layout]
            saturated = np.average([v.saturated for v in same], axis=0, weights=[v.n_steps for v in same])
            made["actions"] = inspect_figures.actions(sample.action, saturated)
            made["coverage"] = inspect_figures.coverage(sample)
        if sample.state:
            made["states"] = inspect_figures.states(sample.state)
        for name, figure in made.items():
            drawn[name] = Plot(name, captions[name], figures.png(figure))
    return drawn


def _key_facts(look: Look) -> list[tuple[str, str]]:
    vitals = look.vitals
    if not vitals:
        return [("episodes", "0")]
    judged = [v for v in vitals if v.outcome in (Outcome.SUCCESS.value, Outcome.FAILURE.value)]
    won = sum(v.outcome == Outcome.SUCCESS.value for v in judged)
    sources = Counter[Source]()
    for v in vitals:
        sources.update(v.sources)
    lags = [v.lag.s for v in vitals if v.lag]
    rows = [
        ("episodes", f"{len(vitals):,}"),
        ("steps", f"{look.n_steps:,}"),
        ("recorded", _duration(sum(v.length_s for v in vitals))),
        ("rate", f"{np.median([v.pace.rate_hz for v in vitals]):.4g} Hz"),
        ("success", f"{won} of {len(judged)} judged" if judged else "no episode is judged"),
        ("moved by", ", ".join(f"{s.name.lower()} {100 * n / look.n_steps:.0f} %" for s, n in sources.most_common())),
        ("steps the guard changed", f"{100 * sum(v.n_changed for v in vitals) / look.n_steps:.1f} %"),
        ("cameras", ", ".join(dict.fromkeys(name for v in vitals for name in v.cameras)) or "none"),
        ("action columns", ", ".join(str(n) for n in sorted({len(v.saturated) for v in vitals}))),
        ("state follows action after", f"{np.median(lags):.2f} s" if lags else "cannot be told"),
    ]
    return rows


def _finding_row(finding: Finding, look: Look) -> FindingRow:
    n = len(finding.episodes)
    named = ranges(finding.episodes[:_NAMED]) + (" ..." if n > _NAMED else "")
    text = "all" if n == len(look.vitals) > 2 else named
    counted = f"{text} ({n} of {len(look.vitals)})" if 2 < n < len(look.vitals) else text
    cards = tuple(number for number in finding.episodes if number in look.cards and n < len(look.vitals))[:3]
    kind = finding.level.name.lower()
    return FindingRow(kind, finding.what, finding.seen, counted, cards, finding.remedy)


def _card_row(card: Card, found: Sequence[Finding], n_episodes: int) -> CardRow:
    v = card.vitals
    ails = [f.what for f in found if is_telling(f, n_episodes) and v.number in f.episodes]
    kind = v.outcome if v.outcome in (Outcome.SUCCESS.value, Outcome.FAILURE.value) else "unknown"
    words = f"{v.outcome or 'no outcome'}, {v.n_steps} steps, {v.length_s:.1f} s"
    return CardRow(v.number, v.id, kind, words, "; ".join(ails), card.strips)


def _episode_row(v: Vitals) -> tuple[str, ...]:
    hz = f"{v.pace.rate_hz:.2f}"
    return (str(v.number), v.id, v.mode, v.outcome, v.termination, str(v.n_steps), f"{v.length_s:.1f}", hz,
            str(v.pace.n_gaps), f"{v.reward_sum:g}")  # fmt: skip


def _duration(s: float) -> str:
    minutes, hours = s / 60, s / 3600
    return f"{hours:.1f} h" if hours >= 1 else f"{minutes:.1f} min" if minutes >= 1 else f"{s:.1f} s"


_TIMELINE = (
    "Every episode in the order of the store. Look for a rate of success that changes where a person, a scene or a "
    "policy did, for rewards that do not fit their outcome, and for a source that should not be there."
)
_TIMING = (
    "Left: time between observations. Middle: how far each episode's periods are from their median, on average. Right: "
    "its longest wait; red where one is beyond 1.5 periods. Look for a second bar on the left: frames were missed."
)
_ACTIONS = (
    "What was executed, scaled so that the dashed lines at -1 and +1 are the limits. Circle: median; red cross: never "
    "changes. Look for mass at the lines (more was wanted than the scale allows) and for columns of a sliver."
)
_STATES = (
    "Each field in its own unit, with its extremes and its median. Red cross: never changes. Look for a range that the "
    "robot cannot have, and for a column that should move and does not."
)
_COVERAGE = (
    "Left: where the states lie, coloured by when they came. Right: how much of all that was ever visited had been "
    "visited by each episode. Look for a curve that is flat (more of the same) or that jumps (a new scene)."
)
