"""From a device's axes to an action's values: which axis, how far, in which frame. The one place where it is done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.robot.rotation import matrix_from_quat
from o2o_robot.types import Array

FRAMES = ("base", "tool")
LETTERS = "xyz"


@dataclass(frozen=True)
class AxisRules:
    """How axes (6,) in [-1, 1] become a motion of the same kind in the arm's base.

    Deadband, then expo, then axis map, then scale, then frame. All of it keeps within the unit box.

    deadband: deflection that counts as none; what is beyond starts from zero, so there is no step at its edge.
    expo: share of the cube in the response, 0 straight, 1 the cube alone: fine near the centre, full at the end.
    axes: for x, y and z of the motion, which axis of the device, with its sign: `+x`, `-y`, or `0` for none; the same
    for the rotation. scale: action at full deflection. rotation_scale: the same of the rotation.
    frame: what x, y and z are of: `base` of the arm, or `tool` as it is turned now.
    """

    deadband: float = 0.1
    expo: float = 0.3
    axes: tuple[str, ...] = ("+x", "+y", "+z")
    scale: float = 1.0
    rotation_scale: float = 1.0
    frame: str = "base"

    def __post_init__(self) -> None:
        if not 0.0 <= self.deadband < 1.0 or not 0.0 <= self.expo <= 1.0:
            raise ConfigError(
                f"deadband={self.deadband} must be in [0, 1), expo={self.expo} in [0, 1]; try 0.1 and 0.3"
            )
        if not (0.0 < self.scale <= 1.0 and 0.0 <= self.rotation_scale <= 1.0):
            allowed = "scale must be in (0, 1], rotation_scale in [0, 1]"
            raise ConfigError(f"scale={self.scale}, rotation_scale={self.rotation_scale}; {allowed}")
        if self.frame not in FRAMES:
            raise ConfigError(f"frame is '{self.frame}' (there are {', '.join(FRAMES)})")
        if len(self.axes) != 3:
            raise ConfigError(f"axes are {list(self.axes)}; name three, like +y -x +z")
        self.matrix()

    def matrix(self) -> Array:
        """(3, 3): motion = matrix @ deflection. Raises ConfigError for a word that names no axis."""
        return np.array([_row(word) for word in self.axes])

    def shaped(self, axes: Array) -> Array:
        """Deflection (6,) beyond the deadband, [-1, 1]. Translation and rotation are shaped each by its length.

        By the length of the three, and not axis by axis: a push aslant keeps its direction, at the edge and when it
        saturates.
        """
        return np.concatenate([self._shaped(axes[:3]), self._shaped(axes[3:])])

    def motion(self, axes: Array, quat_xyzw: Array | None = None) -> Array:
        """The motion (6,) in the base frame, each part within the unit box with its direction kept.

        quat_xyzw: how the tool is turned in the base; needed where `frame` is tool. Raises ConfigError without it.
        """
        shaped, matrix = self.shaped(axes), self.matrix()
        if self.frame == "tool":
            if quat_xyzw is None:
                raise ConfigError("frame is 'tool', and nobody says how the tool is turned; is current_pose published?")
            matrix = matrix_from_quat(quat_xyzw) @ matrix
        return np.concatenate(
            [within_box(self.scale * (matrix @ shaped[:3])), within_box(self.rotation_scale * (matrix @ shaped[3:]))]
        )

    def _shaped(self, deflection: Array) -> Array:
        if self.deadband == 0.0 and self.expo == 0.0:
            return np.asarray(deflection, np.float64)  # bit for bit: an expert's numbers are compared
        length = float(np.linalg.norm(deflection))
        if length <= self.deadband:
            return np.zeros(3)
        most = length / float(np.abs(deflection).max())  # how long it would be with its largest axis at the end
        beyond = min((length - self.deadband) / (most - self.deadband), 1.0)
        return deflection / length * most * (self.expo * beyond**3 + (1.0 - self.expo) * beyond)


def within_box(values: Array) -> Array:
    """`values` shortened until none is beyond 1 in size: the direction stays."""
    return values / max(1.0, float(np.abs(values).max(initial=0.0)))


def _row(word: str) -> list[float]:
    if word == "0":
        return [0.0, 0.0, 0.0]
    sign, letter = (word[0], word[1:]) if word[:1] in "+-" else ("+", word)
    if len(letter) != 1 or letter not in LETTERS:
        raise ConfigError(f"axis '{word}' is none; write +x, -x, +y, -y, +z, -z or 0")
    return [(-1.0 if sign == "-" else 1.0) * (letter == other) for other in LETTERS]


IDENTITY = AxisRules(deadband=0.0, expo=0.0)
"""Of a device that gives an action's own values."""
