"""A reset: each strategy a bounded number of times and verification after each, until it is verified or none is left.

A reset that cannot be verified is never a success, so no episode starts from it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from o2o_robot.errors import ConfigError
from o2o_robot.reset.ask import AskPerson
from o2o_robot.reset.follow import Motion, follow
from o2o_robot.reset.orders import Begin, Ended, Felt, Halted, Look, Order, Place, Rest, Talk
from o2o_robot.reset.start import Start, Tolerances
from o2o_robot.reset.strategy import Strategy
from o2o_robot.reset.verify import why_not_at
from o2o_robot.reset.views import Views
from o2o_robot.types import Array

DRAWN = "start"  # the way from home to an episode's drawn start, as a stage


class Tried(NamedTuple):
    """One attempt: which strategy, and why it was not enough; empty: it was."""

    strategy: str
    why: str


class Outcome(NamedTuple):
    """What a reset came to: whether it is verified, what was tried, and the pictures it was judged by."""

    is_verified: bool
    tried: tuple[Tried, ...]
    images: Mapping[str, Array] = {}

    @property
    def message(self) -> str:
        """One line: by what it was done, or what stood against it."""
        if self.is_verified:
            return f"by {self.tried[-1].strategy}" if self.tried else "as it was"
        told = "; ".join(f"{tried.strategy}: {tried.why}" for tried in self.tried)
        return f"the start was not reached ({told}); look at the arm, the scene and the cameras, then reset again"


@dataclass(frozen=True)
class Chain:
    """strategies in the order they are tried. tries: of one that moves the arm; asks: of a person.

    talk = chain.reset(seed, felt)      # an Order each, told what was Felt: see orders.py; gives the Outcome
    """

    strategies: Sequence[Strategy]
    start: Start
    views: Views
    tolerances: Tolerances = field(default_factory=Tolerances)
    motion: Motion = field(default_factory=Motion)
    tries: int = 2
    asks: int = 3
    joints: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.strategies or self.tries < 1 or self.asks < 1:
            raise ConfigError("a chain of resets needs strategies, and tries and asks of at least 1")
        if self._movers and not self.start.position_m:
            raise ConfigError(
                f"{self._movers[0].name} has nowhere to go; set start_position_m to the tool's place at a start"
            )
        if self.start.is_drawn and not self._movers:
            raise ConfigError("start spread_m asks for a motion to each start; add path to the chain, or leave it out")

    @property
    def _movers(self) -> list[Strategy]:
        return [one for one in self.strategies if not isinstance(one, AskPerson)]

    def reset(self, seed: int, felt: Felt) -> Generator[Order, Felt, Outcome]:
        """Until one is verified: then, and only then, `is_verified`."""
        run = _Run(self, seed)
        is_halted = False
        for strategy in self._attempts():
            if is_halted and not isinstance(strategy, AskPerson):
                continue  # only a person can mend a guard that has stopped
            why, felt, is_halted = yield from run.attempt(strategy, felt)
            if not why:
                return Outcome(True, tuple(run.tried), run.images)
            if isinstance(strategy, AskPerson) and self._movers and not is_halted:
                why, felt, is_halted = yield from run.attempt(self._movers[0], felt)
                if not why:
                    return Outcome(True, tuple(run.tried), run.images)
        return Outcome(False, tuple(run.tried), run.images)

    def _attempts(self) -> list[Strategy]:
        return [one for one in self.strategies for _ in range(self.asks if isinstance(one, AskPerson) else self.tries)]


class _Attempt(NamedTuple):
    why: str
    felt: Felt
    is_halted: bool


class _Run:
    """One reset on its way: what was tried, whether the scene is placed, what was seen last."""

    def __init__(self, chain: Chain, seed: int) -> None:
        self._chain, self._seed = chain, seed
        self._is_placed = False
        self.tried: list[Tried] = []
        self.images: Mapping[str, Array] = {}

    def attempt(self, strategy: Strategy, felt: Felt) -> Generator[Order, Felt, _Attempt]:
        """One strategy, and what verification says to it."""
        begin = Begin(strategy.name, moves=not isinstance(strategy, AskPerson))
        why, felt, is_halted = yield from _within(begin, self._talk_of(strategy), felt)
        if not why:
            why, felt = yield from self._verified(felt)
        if not why and self._chain.start.is_drawn:
            why, felt, is_halted = yield from self._to_the_drawn_start(felt)
        if not why:
            self._chain.views.learn(self.images)
        self.tried.append(Tried(strategy.name, why))
        return _Attempt(why, felt, is_halted)

    def _talk_of(self, strategy: Strategy) -> Callable[[Felt], Talk]:
        """What it says; a person is told first what went wrong."""
        last = self.tried[-1].why if self.tried else ""
        return partial(strategy.because, last) if isinstance(strategy, AskPerson) else strategy.run

    def _verified(self, felt: Felt) -> Talk:
        """At home: the arm, then the scene, then what the cameras see."""
        if whys := self._of_the_arm(felt):
            return Ended("; ".join(whys), felt)
        if not self._is_placed:
            felt = yield Place(self._seed)
            if felt.trouble:
                return Ended(felt.trouble, felt)
            self._is_placed = True
        felt = yield Look()
        self.images = felt.images
        whys = self._of_the_arm(felt) + ([felt.trouble] if felt.trouble else self._chain.views.why_not(felt.images))
        return Ended("; ".join(whys), felt)

    def _to_the_drawn_start(self, felt: Felt) -> Generator[Order, Felt, _Attempt]:
        place_m = self._chain.start.drawn_m(self._seed)
        motion = self._chain.motion

        def go(now: Felt) -> Talk:
            return (yield from follow(motion.pace.reference([now.state.tool.position_m, place_m]), now, motion))

        why, felt, is_halted = yield from _within(Begin(DRAWN), go, felt)
        return _Attempt(why or "; ".join(self._of_the_arm(felt, place_m)), felt, is_halted)

    def _of_the_arm(self, felt: Felt, place_m: Array | None = None) -> list[str]:
        chain = self._chain
        return why_not_at(felt.state, chain.start, chain.tolerances, place_m=place_m, joints=chain.joints)


def _within(begin: Begin, talk: Callable[[Felt], Talk], felt: Felt) -> Generator[Order, Felt, _Attempt]:
    """A talk between its Begin and its Rest, whatever becomes of it."""
    felt = yield begin
    try:
        why, felt = yield from talk(felt)
        is_halted = False
    except Halted as problem:
        why, is_halted = str(problem), True
    felt = yield Rest()
    return _Attempt(why, felt, is_halted)
