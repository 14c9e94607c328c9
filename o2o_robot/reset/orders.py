"""What a reset asks of whoever carries it out, and what it is told after each: the two sides of its generators.

felt = start_of_the_talk
order = next(reset)
while True:
    felt = carry_out(order)             # publish an action, ask a person, take pictures
    order = reset.send(felt)            # StopIteration.value is what the reset came to
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from o2o_robot.errors import ArmError
from o2o_robot.types import ArmState, Array, Executed


class Felt(NamedTuple):
    """What an order came to: the arm as it is now, what the guard made of a Move, pictures by camera.

    trouble: why an order could not be carried out, in one line; empty: it was.
    """

    state: ArmState
    executed: Executed | None = None
    images: Mapping[str, Array] = {}
    trouble: str = ""


@dataclass(frozen=True)
class Begin:
    """A strategy begins; where it `moves` the guard is told, as of an episode's start."""

    strategy: str
    moves: bool = True


@dataclass(frozen=True)
class Resume:
    """The guard is told of a start anew, which leaves a soft stop whose cause is gone."""


@dataclass(frozen=True)
class Rest:
    """What began is over: nothing moves the arm until the next Begin."""


@dataclass(frozen=True)
class Move:
    """One action, values (n_action,) float32 in [-1, 1], for one period of control."""

    values: Array = field(compare=False)


@dataclass(frozen=True)
class Place:
    """The scene's objects to where this seed draws them, the arm left where it is; a cell without a hand for it
    does nothing."""

    seed: int


@dataclass(frozen=True)
class Look:
    """Pictures of every camera, taken after the arm came to rest."""


@dataclass(frozen=True)
class Ask:
    """A person, in words, who answers when it is done."""

    words: str


class Ended(NamedTuple):
    """The last that was felt, and why it did not do what it is for; empty: it did."""

    why: str
    felt: Felt


Order = Begin | Resume | Rest | Move | Place | Look | Ask
Talk = Generator[Order, Felt, Ended]


class Halted(ArmError):
    """The guard follows nobody: no motion can mend that, a person can. The words say why, for that person."""
