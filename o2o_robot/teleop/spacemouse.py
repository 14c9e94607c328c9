"""A 3Dconnexion SpaceMouse: hidapi reads its reports, pyspacemouse knows what they mean for every model there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from o2o_robot.errors import DeviceError
from o2o_robot.teleop.axes import AxisRules
from o2o_robot.teleop.device import Clock, Moment, Reading
from o2o_robot.teleop.hand import Buttons
from o2o_robot.teleop.plugged import Plugged
from o2o_robot.teleop.settings import described
from o2o_robot.types import Source

VENDORS = (0x256F, 0x046D)  # 3Dconnexion, and Logitech from when it was theirs
SILENT_S = 0.25  # of a cap that is pushed: it reports at 60 Hz and more, so the radio link is lost


class Hid(Protocol):
    """What is used of hidapi's hid.device, open and not blocking."""

    def read(self, max_length: int) -> list[int]:
        """One report, empty where there is none. OSError: it is gone."""
        ...

    def close(self) -> None: ...


class Found(NamedTuple):
    """An open device, and pyspacemouse's description of its model."""

    hid: Hid
    info: Any


@dataclass(frozen=True)
class SpaceMouseConfig:
    """See the sentences."""

    serial: str = described("", "serial number of the one that is meant; empty: the first there is")


class SpaceMouse(Plugged):
    """Pushed away is forward (+x), to the left +y, pulled up +z (REP 103). Any deflection takes the arm."""

    Config = SpaceMouseConfig
    rules: ClassVar[AxisRules] = AxisRules(deadband=0.1, expo=0.5)
    buttons: ClassVar[Buttons] = Buttons(grip="left")
    source: ClassVar[Source] = Source.TELEOP

    def __init__(self, config: SpaceMouseConfig, clock: Clock, *, find: Callable[[str], Found] | None = None) -> None:
        super().__init__(clock)
        self._config, self._find = config, find or find_mouse

    def _plug(self) -> None:
        from pyspacemouse import AxisConvention, SpaceMouseDevice, apply_axis_convention

        self._hid, info = self._find(self._config.serial)
        self._names = _plain(info.button_names)
        self._model = SpaceMouseDevice(apply_axis_convention(info, AxisConvention.ROS), _Wire(self))
        self._heard_s = -np.inf
        self._n_reports = 0

    def _pull(self) -> None:
        self._hid.close()

    def _look(self, moment: Moment) -> Reading:
        before = -1
        while before != self._n_reports:  # one call takes one report
            before = self._n_reports
            state = self._model.read()
        if self._n_reports:
            self._heard_s, self._n_reports = moment.now_s, 0
        axes = np.clip([state.x, state.y, state.z, state.roll, state.pitch, state.yaw], -1.0, 1.0)
        is_pushed = bool(np.abs(axes).max() > self.rules.deadband)
        silent = is_pushed and moment.now_s - self._heard_s > SILENT_S
        names = frozenset(name for name, down in zip(self._names, state.buttons, strict=True) if down)
        return Reading(self._heard_s if silent else moment.now_s, axes, buttons=names)

    def take_report(self, n_bytes: int) -> bytes:
        """The next report, counted; empty where there is none."""
        report = bytes(self._hid.read(n_bytes))
        self._n_reports += bool(report)
        return report


class _Wire:
    """The end of the wire that pyspacemouse reads from."""

    def __init__(self, mouse: SpaceMouse) -> None:
        self._mouse = mouse

    def read(self, n_bytes: int) -> bytes:
        return self._mouse.take_report(n_bytes)


def _plain(names: Any) -> list[str]:
    """Names of its buttons: `left` and `right` on small models, else as printed on them, in lower case."""
    return [str(name).lower() for name in names]


def find_mouse(serial: str) -> Found:
    """The SpaceMouse of that serial number, or the first there is, open. Raises DeviceError."""
    try:
        import hid
        import pyspacemouse
    except ImportError as problem:
        raise DeviceError(f"spacemouse: {problem.name} is not installed; pip install 'o2o_robot[teleop]'") from None
    models = {(info.vendor_id, info.product_id): info for info in pyspacemouse.get_device_specs().values()}
    there = [found for vendor in VENDORS for found in hid.enumerate(vendor, 0)]
    for found in there:
        info = models.get((found["vendor_id"], found["product_id"]))
        if info is not None and serial in ("", found["serial_number"]):
            return Found(_open(found["path"]), info)
    seen = ", ".join(f"{one['product_string']} ({one['serial_number']})" for one in there) or "none"
    raise DeviceError(f"spacemouse: no known one is there (seen: {seen}); plug it in, close spacenavd")


def _open(path: bytes) -> Hid:
    import hid

    device = hid.device()
    try:
        device.open_path(path)
    except OSError as problem:
        told = "give this user the right to it (docs/teleop.md, the udev rule)"
        raise DeviceError(f"spacemouse: {path.decode()} does not open ({problem}); {told}") from None
    device.set_nonblocking(True)
    return device
