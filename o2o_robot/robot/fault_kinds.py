"""What each kind of fault does to one message of a stream. Siblings: a maker takes an amount and a generator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.types import Array, Pose


class Joints(NamedTuple):
    """What joint_states says: names, and q_rad and dq_rad (n,) in their order."""

    names: tuple[str, ...]
    q_rad: Array
    dq_rad: Array


class Message(NamedTuple):
    """One message of a stream. The clock's stamp is all it says, so its sample is None. delay_s: how late it comes."""

    stream: str
    stamp_ns: int
    sample: Any = None
    delay_s: float = 0.0


Alter = Callable[[Message], tuple[Message, ...]]
Maker = Callable[[float, np.random.Generator], Alter]


class Kind(NamedTuple):
    """streams: which it may befall (None: every one); stream, amount: the usual ones; allows: which amounts."""

    make: Maker
    streams: tuple[str, ...] | None = None
    stream: str = "joint_states"
    amount: float = 0.0
    allowed: str = "any number"
    allows: Callable[[float], bool] = math.isfinite


# --- when it comes, and whether ------------------------------------------------------------------------------------
def latency(amount: float, rng: np.random.Generator) -> Alter:
    """Every message comes `amount` seconds later."""
    return lambda message: (message._replace(delay_s=message.delay_s + amount),)


def drop(amount: float, rng: np.random.Generator) -> Alter:
    """Each message is lost with probability `amount`."""
    return lambda message: () if rng.random() < amount else (message,)


def loss(amount: float, rng: np.random.Generator) -> Alter:
    """Nothing comes any more: a cable was pulled, a driver died."""
    return lambda message: ()


def swap(amount: float, rng: np.random.Generator) -> Alter:
    """Messages come in pairs, the later one first; one without a partner is lost."""
    held: list[Message] = []

    def alter(message: Message) -> tuple[Message, ...]:
        if held:
            return (message, held.pop())
        held.append(message)
        return ()

    return alter


# --- what it says --------------------------------------------------------------------------------------------------
def freeze(amount: float, rng: np.random.Generator) -> Alter:
    """The values stand still while the stamps go on: the driver lives, what it reads does not. A clock stands still."""
    first: list[Message] = []

    def alter(message: Message) -> tuple[Message, ...]:
        first.extend([] if first else [message])
        return (first[0] if message.sample is None else message._replace(sample=first[0].sample),)

    return alter


def pause(amount: float, rng: np.random.Generator) -> Alter:
    """The same message over and over, its stamp too."""
    first: list[Message] = []

    def alter(message: Message) -> tuple[Message, ...]:
        first.extend([] if first else [message])
        return (first[0],)

    return alter


def stamp(amount: float, rng: np.random.Generator) -> Alter:
    """Stamps are `amount` seconds off: ahead of time, or, where it is negative, behind. On the clock: a jump."""
    shift_ns = round(amount * 1e9)
    return lambda message: (message._replace(stamp_ns=max(0, message.stamp_ns + shift_ns)),)


def not_finite(amount: float, rng: np.random.Generator) -> Alter:
    """`amount` entries, by chance, are not a number or infinite."""

    def spoil(values: Array) -> Array:
        spoilt = np.array(values, np.float64)
        places = rng.choice(spoilt.size, min(int(amount), spoilt.size), replace=False)
        spoilt.flat[places] = rng.choice([np.nan, np.inf, -np.inf], len(places))
        return spoilt

    def alter(message: Message) -> tuple[Message, ...]:
        sample = message.sample
        if isinstance(sample, Joints):
            return (message._replace(sample=sample._replace(q_rad=spoil(sample.q_rad))),)
        if isinstance(sample, Pose):
            return (message._replace(sample=replace(sample, position_m=spoil(sample.position_m))),)
        return (message._replace(sample=spoil(sample)),)

    return alter


def spike(amount: float, rng: np.random.Generator) -> Alter:
    """A force of `amount` newtons in a direction by chance, on top of what is measured."""

    def alter(message: Message) -> tuple[Message, ...]:
        way = rng.standard_normal(3)
        hit = np.array(message.sample, np.float64)
        hit[:3] += amount * way / np.linalg.norm(way)
        return (message._replace(sample=hit),)

    return alter


# --- joint names ---------------------------------------------------------------------------------------------------
def shuffle_names(amount: float, rng: np.random.Generator) -> Alter:
    """The joints come in another order, names and values alike: harmless to who matches by name."""

    def alter(message: Message) -> tuple[Message, ...]:
        names, q_rad, dq_rad = message.sample
        order = rng.permutation(len(names))
        return (message._replace(sample=Joints(tuple(names[i] for i in order), q_rad[order], dq_rad[order])),)

    return alter


def extra_name(amount: float, rng: np.random.Generator) -> Alter:
    """A joint of something else comes first."""

    def alter(message: Message) -> tuple[Message, ...]:
        names, q_rad, dq_rad = message.sample
        return (message._replace(sample=Joints(("stranger", *names), np.r_[9.0, q_rad], np.r_[9.0, dq_rad])),)

    return alter


def missing_name(amount: float, rng: np.random.Generator) -> Alter:
    """One joint, by chance, is left out."""

    def alter(message: Message) -> tuple[Message, ...]:
        names, q_rad, dq_rad = message.sample
        gone = int(rng.integers(len(names)))
        left = tuple(name for i, name in enumerate(names) if i != gone)
        return (message._replace(sample=Joints(left, np.delete(q_rad, gone), np.delete(dq_rad, gone))),)

    return alter


def _nothing(amount: float, rng: np.random.Generator) -> Alter:
    """A fault of the machine itself, which whoever moves it looks up with `Faults.is_on`; messages pass."""
    return lambda message: (message,)


_JOINTS = ("joint_states",)
_NUMBERS = ("joint_states", "current_pose", "current_twist", "external_wrench")
_SECONDS, _SHARE = "seconds > 0", "above 0, at most 1"

KINDS: dict[str, Kind] = {
    "latency": Kind(latency, amount=0.1, allowed=_SECONDS, allows=lambda s: s > 0),
    "drop": Kind(drop, amount=0.5, allowed=_SHARE, allows=lambda share: 0 < share <= 1),
    "loss": Kind(loss),
    "freeze": Kind(freeze),
    "pause": Kind(pause),
    "swap": Kind(swap),
    "stamp": Kind(stamp, amount=1.0, allowed="seconds other than 0", allows=lambda s: s != 0),
    "not_finite": Kind(not_finite, _NUMBERS, amount=1.0, allowed="a number of entries >= 1", allows=lambda n: n >= 1),
    "shuffle_names": Kind(shuffle_names, _JOINTS),
    "extra_name": Kind(extra_name, _JOINTS),
    "missing_name": Kind(missing_name, _JOINTS),
    "spike": Kind(spike, ("external_wrench",), "external_wrench", 1000.0, "newtons > 0", lambda n: n > 0),
    "reflex": Kind(_nothing, ("arm",), "arm"),
    "stuck": Kind(_nothing, ("gripper",), "gripper"),
}
"""Kind by name. Amounts are seconds, shares, entries or newtons, as each maker says."""
