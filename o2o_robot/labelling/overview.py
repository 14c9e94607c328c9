"""What is known about the outcome of every episode of a store, and what a round of labelling changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from o2o_robot.data.labels import Correction, OutcomeWord, outcome_of
from o2o_robot.data.store import EpisodeStore

DOUBTFUL = "doubtful"  # the note of a label that somebody wants to look at again


@dataclass(frozen=True)
class Entry:
    """An episode as it is labelled now. by: who labelled it after the fact, "" where the recording's outcome stands."""

    index: int
    number: str
    id: str
    n_steps: int
    outcome: OutcomeWord
    by: str
    note: str

    @property
    def is_decided(self) -> bool:
        """Whether nobody needs to look at it: its outcome is known, or somebody said that it cannot be."""
        return self.note != DOUBTFUL and (self.outcome != "unknown" or self.by == "hand")


def entries(store: EpisodeStore) -> list[Entry]:
    """Every episode of the store, in order."""
    return [entry(store, index) for index in range(len(store))]


def entry(store: EpisodeStore, index: int) -> Entry:
    meta = store.meta(index)
    label = meta.get("label") or {}
    facts = (str(meta.get("id", "")), store.length(index), outcome_of(meta))
    return Entry(index, store.number(index), *facts, str(label.get("by", "")), str(label.get("note", "")))


def lay_over(store: EpisodeStore, corrections: Mapping[int, Correction], *, dry_run: bool = False) -> str:
    """Correct episodes, by index, where that says anything new; one line on what changed (or would)."""
    before = {index: entry(store, index).outcome for index in corrections}
    after = {index: c.outcome or _recorded(store, index) for index, c in corrections.items()}
    for index, correction in corrections.items():
        if not dry_run and is_news(correction, store.correction(index)):
            store.correct(index, correction)
    return ("would be: " if dry_run else "") + summary(len(store), before, after)


def is_news(correction: Correction, present: Correction | None) -> bool:
    """Whether a correction says anything that the episode's last one does not."""
    old = present or Correction()
    return (correction.outcome, correction.reward, correction.note) != (old.outcome, old.reward, old.note)


def summary(n_total: int, before: Mapping[int, OutcomeWord], after: Mapping[int, OutcomeWord]) -> str:
    """`12 of 30 episodes: 9 success, 3 failure (4 were unknown, 1 was success)`.

    before, after: outcomes of the episodes that were labelled, by index; in brackets stand those that changed.
    """
    if not after:
        return f"0 of {n_total} episodes: none was labelled"
    now = Counter(after.values())
    were = Counter(before[index] for index in after if before[index] != after[index])
    changed = [f"{n} {'was' if n == 1 else 'were'} {word}" for word, n in _by_count(were)]
    counts = ", ".join(f"{n} {word}" for word, n in _by_count(now))
    return f"{len(after)} of {n_total} episodes: {counts} ({', '.join(changed) or 'no outcome changed'})"


def _recorded(store: EpisodeStore, index: int) -> OutcomeWord:
    return outcome_of(store.meta(index, corrected=False))


def _by_count(counts: Counter[OutcomeWord]) -> Sequence[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
