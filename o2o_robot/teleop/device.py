"""What a person moves, as every device shows it: axes, buttons, and whether a hand is on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from o2o_robot.teleop.axes import AxisRules
from o2o_robot.teleop.hand import Buttons
from o2o_robot.types import ArmState, Array, Source, TaskState

N_AXES = 6
Clock = Callable[[], float]


@dataclass(frozen=True)
class Moment:
    """When a device is asked, and what is known of the arm then.

    now_s: steady clock of this process, the one that the device was opened with. stamp_ns: of the newest observation.
    arm, task: that observation's; None where none was heard yet, `task` also where nobody judges. A device in a hand
    needs neither; a leader arm and what stands in for a person (scripted, simulated) do.
    """

    now_s: float
    stamp_ns: int = 0
    arm: ArmState | None = None
    task: TaskState | None = None


@dataclass(frozen=True)
class Reading:
    """What a device shows.

    stamp_s: when it last spoke, or was last known to be there where it speaks of changes alone (steady clock), so that
    silence can be told from a hand that holds still.
    axes: (6,) in [-1, 1]: translation x, y, z, then rotation about them; zeros are a hand that holds still. Those of a
    device in a hand are raw: AxisRules make an action of them. A device whose `rules` are IDENTITY gives the action's
    own values, in the arm's base.
    gripper: +1 opens, -1 closes, 0 leaves it.
    is_held: whether the person has hold of the arm; None: the device cannot say (its deadman button, or any
    deflection, decides).
    buttons: names of those pressed now, as the device calls them.
    """

    stamp_s: float
    axes: Array = field(default_factory=lambda: np.zeros(N_AXES))
    gripper: float = 0.0
    is_held: bool | None = None
    buttons: frozenset[str] = frozenset()


class Device(Protocol):
    """A device, open between `with` and its end. Nothing here waits: `read` is asked 20 to 50 times a second.

    with open_device("spacemouse", {}, clock=time.monotonic) as device:
        device.begin(seed)                          # at the start of every episode
        reading = device.read(Moment(now_s, stamp_ns, arm, task))
        hand = operator.see(reading, moment)        # hand.values: an action, empty once released (hand.py)

    In lockstep `read` is called once for every observation, in order, and nothing moves meanwhile: a device that draws
    from the seed alone then gives the same motions again. In real time it is called at the rate of teleop_node, with
    the newest observation, whichever that is.
    """

    rules: ClassVar[AxisRules]
    """How its axes become an action unless settings say otherwise."""
    buttons: ClassVar[Buttons]
    """Which of its buttons does what unless settings say otherwise; Buttons() where it has none."""
    source: ClassVar[Source]
    """What its motions are written down as: TELEOP for a person and for what plays one."""

    def __enter__(self) -> Device:
        """Takes hold of the device. Raises DeviceError, in one line, where it is not there."""
        ...

    def __exit__(self, *_problem: Any) -> None: ...

    def begin(self, seed: int) -> None:
        """A new episode starts; whatever is random in it comes from `seed`."""
        ...

    def read(self, moment: Moment) -> Reading | None:
        """The newest state; None while there is none: nothing heard yet, or unplugged (then `trouble` says so)."""
        ...

    @property
    def trouble(self) -> str:
        """Why it cannot be read, with what to try; empty: it can."""
        ...
