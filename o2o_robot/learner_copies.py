"""Copies of a learner on disk, so that it can go on from what it was before it was spoiled."""

from __future__ import annotations

import shutil
from pathlib import Path

from o2o_robot.algorithms import checkpoint, moments
from o2o_robot.algorithms.actor_critic import ActorCritic
from o2o_robot.algorithms.finite import is_finite
from o2o_robot.data.provenance import versions
from o2o_robot.errors import CheckpointError
from o2o_robot.learner import Learner


class LearnerCopies:
    """A checkpoint every so many updates, without the replay; the older, the fewer.

        copies = LearnerCopies(run_dir / "copies", every=100, pretrained=checkpoint)
        learner.update(); copies.keep(learner, best=revision)
        copies.go_back(learner, revision, rollbacks=1)

    Of the copies whose age lies between two powers of two (in units of `every`) the oldest stays: so there is one at
    most four times as old as any revision asked for, and their number grows with the logarithm of the run.
    """

    def __init__(self, folder: Path, *, every: int, pretrained: Path) -> None:
        self._folder, self._every, self._pretrained = folder, every, pretrained

    @property
    def revisions(self) -> list[int]:
        """Ascending."""
        return sorted(int(path.name) for path in self._folder.glob("*") if path.name.isdigit())

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def keep(self, learner: Learner, *, best: int | None = None) -> bool:
        """Whether a copy was due and made. best: the revision that may be asked for next."""
        now, there = learner.revision, self.revisions
        if there and now - there[-1] < self._every:
            return False
        checkpoint.save(self._folder / str(now), learner.actor_critic, phase=learner.phase, provenance=versions())
        for revision in set(there) - self._worth_keeping([*there, now], now, best):
            shutil.rmtree(self._folder / str(revision), ignore_errors=True)
        return True

    def go_back(self, learner: Learner, revision: int, *, rollbacks: int) -> int:
        """Let the learner be what it was at `revision` or the last copy before it; the revision of that copy.

        Its replay and its counters stay, so that revisions go on growing. A damaged copy is passed over; before them
        all lies the pretrained checkpoint.
        """
        source = self._copy(revision)
        become(learner.actor_critic, source, where=f"the copy of revision {revision}")
        learner.rollbacks = rollbacks
        return source.n_updates

    def mend(self, learner: Learner) -> int | None:
        """Where the learner holds a number that is not finite, let it be its newest sound copy: that one's revision.

        None where it is sound. Nobody went back with it: `rollbacks` stays.
        """
        if is_finite(learner.actor_critic):
            return None
        return self.go_back(learner, learner.revision, rollbacks=learner.rollbacks)

    def _copy(self, revision: int) -> ActorCritic:
        for candidate in reversed([n for n in self.revisions if n <= revision]):
            try:
                return checkpoint.load(self._folder / str(candidate))
            except CheckpointError:
                continue
        return checkpoint.load(self._pretrained)

    def _worth_keeping(self, revisions: list[int], now: int, best: int | None) -> set[int]:
        oldest: dict[int, int] = {}
        for revision in sorted(revisions):
            oldest.setdefault(((now - revision) // self._every + 1).bit_length(), revision)
        before_best = [n for n in revisions if best is not None and n <= best]
        return {*oldest.values(), *before_best[-1:]}


def become(learner: ActorCritic, source: ActorCritic, *, where: str) -> None:
    """Take over another's networks, Adam's moments and what its bonus has learned; settings and chance stay one's own.

    What the other does not have (a reference that was made later) stays as it is.
    """
    own, theirs = learner.networks.state_dict(), source.networks.state_dict()
    checkpoint.fill(learner.networks, {name: theirs.get(name, tensor) for name, tensor in own.items()}, where=where)
    moments.restore(learner.optimisers, moments.as_tensors(source.optimisers), learner.networks, where=where)
    if learner.bonus is not None and source.bonus is not None:
        checkpoint.fill(learner.bonus, source.bonus.state_dict(), where=where)
