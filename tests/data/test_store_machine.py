"""Any sequence of what a store can do leaves it as a plain list in memory would be."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from episode_examples import an_episode
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from o2o_robot.data import episode as ep
from o2o_robot.data import labels
from o2o_robot.data.labels import Correction
from o2o_robot.data.store import EpisodeStore
from o2o_robot.types import Episode

CORRECTIONS = st.sampled_from(
    [Correction("success"), Correction("failure"), Correction("unknown"), Correction(note="as recorded")]
)
PLACE = st.floats(0, 1, exclude_max=True)  # of an episode among those there are


@dataclass
class Kept:
    """What the model remembers of an episode that was ever committed."""

    number: str
    recorded: Episode
    correction: Correction | None = None
    is_deleted: bool = False
    is_gone: bool = False

    @property
    def shown(self) -> Episode:
        return labels.apply(self.recorded, self.correction) if self.correction else self.recorded

    @property
    def effect(self) -> tuple:
        """What a fingerprint depends on."""
        changes = self.correction is not None and not self.correction.is_recorded
        return ep.digest(self.recorded), self.correction.outcome if changes and self.correction else None


class StoreMachine(RuleBasedStateMachine):
    """The store beside its model; `fingerprints` maps every state that was seen to its fingerprint, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.kept: list[Kept] = []
        self.fingerprints: dict[tuple, str] = {}
        self.states: dict[str, tuple] = {}

    @initialize()
    def create(self) -> None:
        self.store = EpisodeStore.create(self.folder / "s")

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @property
    def alive(self) -> list[Kept]:
        return sorted((one for one in self.kept if not one.is_deleted), key=lambda one: int(one.number))

    @property
    def deleted(self) -> list[Kept]:
        return [one for one in self.kept if one.is_deleted]

    def remember(self, indices: list[int], episodes: list[Kept]) -> None:
        for index, one in zip(indices, episodes, strict=True):
            number = self.store.number(index)
            assert all(int(number) > int(other.number) for other in self.kept), "a number was given again"
            self.kept.append(Kept(number, one.recorded, one.correction))

    def fresh(self, seed: int, n_steps: int) -> Kept:
        return Kept("", an_episode(n_steps, seed=seed, cameras=("wrist",), side=2, end="terminated"))

    @rule(seed=st.integers(0, 9), n_steps=st.integers(1, 3))
    def append(self, seed: int, n_steps: int) -> None:
        one = self.fresh(seed, n_steps)
        self.remember([self.store.append(one.recorded)], [one])

    @rule(seed=st.integers(10, 19), move=st.booleans(), correction=st.none() | CORRECTIONS)
    def adopt(self, seed: int, move: bool, correction: Correction | None) -> None:
        theirs = [self.fresh(seed, 1), self.fresh(seed, 2)]
        with EpisodeStore.create(self.folder / "other") as other:
            for one in theirs:
                other.append(one.recorded)
            if correction:
                other.correct(1, correction)
                theirs[1].correction = correction
            self.remember(self.store.adopt(other, move=move), theirs)
            assert len(other) == (0 if move else 2)
        shutil.rmtree(self.folder / "other")

    @precondition(lambda self: self.alive)
    @rule(place=PLACE)
    def delete(self, place: float) -> None:
        index = int(place * len(self.alive))
        one = self.alive[index]
        assert self.store.delete(index, f"bad {index}") == one.number
        one.is_deleted = True

    @precondition(lambda self: any(not one.is_gone for one in self.deleted))
    @rule(place=PLACE)
    def undelete(self, place: float) -> None:
        there = [one for one in self.deleted if not one.is_gone]
        one = there[int(place * len(there))]
        index = self.store.undelete(one.number)
        one.is_deleted = False
        assert self.alive[index] is one

    @rule()
    def compact(self) -> None:
        going = sorted(one.number for one in self.deleted if not one.is_gone)
        assert sorted(self.store.compact().numbers) == going
        for one in self.deleted:
            one.is_gone = True

    @precondition(lambda self: self.alive)
    @rule(place=PLACE, correction=CORRECTIONS)
    def correct(self, place: float, correction: Correction) -> None:
        index = int(place * len(self.alive))
        self.store.correct(index, correction)
        self.alive[index].correction = correction

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = EpisodeStore.open(self.folder / "s", "a")
        assert self.store.repaired == ()

    @rule()
    def read_all_bit_for_bit(self) -> None:
        for shown, one in zip(self.store.episodes(), self.alive, strict=True):
            assert ep.digest(shown) == ep.digest(one.shown)
            assert shown.meta == one.shown.meta
        for recorded, one in zip(self.store.episodes(corrected=False), self.alive, strict=True):
            assert ep.digest(recorded) == ep.digest(one.recorded)

    @invariant()
    def it_shows_what_the_model_shows(self) -> None:
        reader = EpisodeStore.open(self.folder / "s")
        for store in (self.store, reader):
            assert [store.number(i) for i in range(len(store))] == [one.number for one in self.alive]
            assert [store.meta(i) for i in range(len(store))] == [one.shown.meta for one in self.alive]
            assert set(store.deleted) == {one.number for one in self.deleted}
        for found, one in zip(reader.field("reward"), self.alive, strict=True):
            np.testing.assert_array_equal(found, one.shown.reward)
        self.check_fingerprint(reader.fingerprint())

    def check_fingerprint(self, fingerprint: str) -> None:
        """The same exactly where what is read is the same, over all states that were seen."""
        state = tuple(one.effect for one in self.alive)
        assert fingerprint == self.store.fingerprint()
        assert self.fingerprints.setdefault(state, fingerprint) == fingerprint
        assert self.states.setdefault(fingerprint, state) == state


TestAnySequenceLeavesTheStoreAsAListWouldBe = StoreMachine.TestCase
TestAnySequenceLeavesTheStoreAsAListWouldBe.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
