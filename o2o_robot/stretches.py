"""Which of all weights that acted were surely good: the ones to go back to."""

from __future__ import annotations

from o2o_robot.never_worse import Rate

EPISODES = 10


class Stretches:
    """The best weights so far, by stretches of episodes.

    A single revision acts for an episode or two, which says nothing of it. So a stretch of episodes is credited to the
    weights that it began with: what came during it may be what spoiled it. Best are those with the highest lower bound
    of success (Wilson, 95 %), the pretrained ones among them.
    """

    def __init__(self, pretrained: int, *, episodes: int = EPISODES) -> None:
        """pretrained: their revision."""
        self.pretrained, self.best, self.begun_with = pretrained, pretrained, pretrained
        self._episodes = episodes
        self._before, self._of_best = Rate(), Rate()
        self._open: list[bool] = []
        self._gone_back_to: int | None = None

    @property
    def needed(self) -> set[int]:
        """Revisions that it may yet be asked to go back to."""
        return {self.pretrained, self.best, self.begun_with}

    def add_before(self, is_success: bool) -> None:
        """An episode of the pretrained policy."""
        self._before = Rate(self._before.successes + is_success, self._before.n + 1)
        if self._before.interval.lo > self._of_best.interval.lo:
            self._choose(self.pretrained, self._before)

    def add(self, revision: int, is_success: bool) -> None:
        """An episode that began with weights `revision`."""
        if not self._open:
            self.begun_with = revision
        self._open.append(is_success)
        if len(self._open) == self._episodes:
            rate = Rate(sum(self._open), self._episodes)
            if rate.interval.lo >= self._of_best.interval.lo:  # the newer among equals
                self._choose(self.begun_with, rate)
            self._open.clear()

    def spoiled(self) -> int:
        """The weights to go back to; the pretrained ones where those gone back to before did no better."""
        if self.best == self._gone_back_to:
            self._choose(self.pretrained, self._before)
        self._gone_back_to = self.begun_with = self.best
        self._open.clear()
        return self.best

    def _choose(self, revision: int, rate: Rate) -> None:
        self.best, self._of_best = revision, rate
