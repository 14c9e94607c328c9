"""Lines for the prompt: how good a classifier is, what it leaves open, what a store knows, and the log of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from o2o_robot.data.labels import Line, OutcomeWord
from o2o_robot.labelling.by_classifier import Judged
from o2o_robot.labelling.overview import Entry
from o2o_robot.labelling.thresholds import Side

_LISTED = 20
_WORDS: tuple[OutcomeWord, ...] = ("success", "failure", "unknown")


def quality(judged: Judged, precision: float) -> Iterator[str]:
    """How each outcome did on held-out episodes, and from which probability on it is a label."""
    for word, side in (("success", judged.decision.success), ("failure", judged.decision.failure)):
        yield f"  {word}: {_share(side)}; {_rule(word, side, precision)}"


def doubts(judged: Judged) -> Iterator[str]:
    """The open episodes that nothing is sure about, in one line; none where there are none."""
    if judged.doubtful:
        shown = ", ".join(f"{e.id} ({judged.probability[e.number]:.2f})" for e in judged.doubtful[:_LISTED])
        more = f" and {len(judged.doubtful) - _LISTED} more" if len(judged.doubtful) > _LISTED else ""
        yield f"in doubt, for --page (probability of success): {shown}{more}"


def known(entries: Sequence[Entry]) -> Iterator[str]:
    """What is known of a store's outcomes, and what to do about the rest."""
    counts, by = Counter(e.outcome for e in entries), Counter(e.by for e in entries if e.by)
    outcomes = ", ".join(f"{counts[word]} {word}" for word in _WORDS if counts[word]) or "none"
    labelled = ", ".join(f"{n} by {who}" for who, n in by.items())
    yield f"{len(entries)} episodes: {outcomes}" + (f" ({labelled}, the rest as recorded)" if by else "")
    n_open = sum(not e.is_decided for e in entries)
    if n_open:
        yield f"{n_open} to decide; label them with --page, --from-file LABELS.csv or --classify"


def logged(line: Line, entries: Mapping[str, Entry]) -> str:
    """One label of the log; entries by number tell the episode's id."""
    entry, c = entries.get(line.number), line.correction
    what = "as recorded" if c.is_recorded else c.outcome or "outcome as recorded"
    more = [f"{len(c.reward)} rewards"] if c.reward else []
    more += [f"p {c.probability:g}"] if c.probability is not None else []
    parts = [c.at, line.number, entry.id if entry else "(deleted)", what, f"by {c.by}", c.who, *more, c.note]
    return "  ".join(part for part in parts if part)


def _share(side: Side) -> str:
    precision = f"precision {side.precision:.2f} ({side.n_right} of {side.n_said})" if side.n_said else "never said"
    return f"{precision}, recall {side.recall:.2f} ({side.n_right} of {side.n})"


def _rule(word: str, side: Side, precision: float) -> str:
    if side.threshold is None:
        return f"not sure enough for --precision {precision:g}, so none is labelled {word}"
    return f"labelled where its probability is {side.threshold:.3f} or more"
