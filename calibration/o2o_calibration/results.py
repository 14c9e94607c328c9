"""What was measured about a robot, as dated YAML files for people and the twin: results/<robot>/<date>-<what>.yaml.

A camera's place is always under the key `camera`: name, parent ("tool" or "base"), T_parent_cam (4x4, row by row, the
optical frame: x right, y down, z forward), K (3x3, pixels), distortion (k1 k2 p1 p2 k3), width and height.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from o2o_calibration.errors import CalibrationError
from o2o_robot.data.provenance import git_revision, versions
from o2o_robot.errors import ConfigError
from o2o_robot.report.html import write_whole
from o2o_robot.types import Array
from o2o_robot.yamlfile import PlainDumper, read_yaml

WHATS = ("intrinsics", "hand-eye", "latency", "action-latency", "twin-fit")


@dataclass(frozen=True)
class CameraPlace:
    """A calibrated camera: T_parent_cam (4, 4) is None where only the lens was calibrated, K (3, 3) in pixels."""

    name: str
    parent: str
    T_parent_cam: Array | None
    K: Array
    distortion: Array
    width: int
    height: int
    measured_on: date

    def as_mapping(self) -> dict[str, Any]:
        """The entry `camera` of a result file."""
        T = self.T_parent_cam
        place = {} if T is None else {"parent": self.parent, "T_parent_cam": rounded(T, 7)}
        lens = {"K": rounded(self.K, 3), "distortion": rounded(self.distortion, 6)}
        return {"name": self.name, **place, **lens, "width": self.width, "height": self.height}


def path_of(root: Path, robot: str, day: date, what: str, name: str = "") -> Path:
    """Where a result belongs; name: the camera's, where it is about one."""
    stem = "-".join(part for part in (day.isoformat(), what, name) if part)
    return root / robot / f"{stem}.yaml"


def save(path: Path, facts: Mapping[str, Any], *, replace: bool = False) -> Path:
    """Write a result, whole or not at all. Raises CalibrationError where there is one and replace is not said."""
    if path.exists() and not replace:
        raise CalibrationError(f"{path} is there already; keep it, or say --replace")
    text = yaml.dump(dict(facts), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    write_whole(path, text.encode())
    return path


def load(path: Path) -> dict[str, Any]:
    """A result file as a mapping. Raises CalibrationError where it is none."""
    try:
        facts = read_yaml(path)
    except (OSError, ConfigError) as problem:
        raise CalibrationError(f"cannot read {path}: {' '.join(str(problem).split())}") from None
    if not isinstance(facts, dict) or facts.get("what") not in WHATS:
        raise CalibrationError(f"{path} is not a calibration result; `what` must be one of {', '.join(WHATS)}")
    return facts


def latest(root: Path, robot: str, what: str, name: str = "") -> Path | None:
    """The newest result of a kind (and camera) of a robot; None where there is none."""
    ending = "-".join(part for part in (what, name) if part)
    pattern = f"[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]-{ending}.yaml"
    return max((root / robot).glob(pattern), key=lambda path: path.name, default=None)


def camera_place(path: Path) -> CameraPlace:
    """The camera of an intrinsics or hand-eye result. Raises CalibrationError naming the entry that is wrong."""
    facts = load(path)
    camera = facts.get("camera")
    if not isinstance(camera, dict):
        raise CalibrationError(f"{path} has no entry `camera`; it is a {facts['what']} result, give one of a camera")
    try:
        T = camera.get("T_parent_cam")
        place = CameraPlace(
            name=str(camera["name"]),
            parent=str(camera.get("parent", "")),
            T_parent_cam=None if T is None else np.array(T, np.float64).reshape(4, 4),
            K=np.array(camera["K"], np.float64).reshape(3, 3),
            distortion=np.array(camera.get("distortion", np.zeros(5)), np.float64).reshape(5),
            width=int(camera["width"]),
            height=int(camera["height"]),
            measured_on=date.fromisoformat(str(facts["date"])),
        )
    except (KeyError, ValueError, TypeError) as problem:
        raise CalibrationError(f"{path}, camera: {problem}; expected the entries that o2o calibrate writes") from None
    _check_place(path, place)
    return place


def software() -> dict[str, str]:
    """Name -> version of what computed a result."""
    found = versions()
    return {
        "o2o_robot": found["o2o_robot"],
        "git_revision": git_revision(),
        "opencv": cv2.__version__,
        "scipy": metadata.version("scipy"),
        "numpy": found["numpy"],
    }


def rounded(values: Array, digits: int) -> list[Any]:
    """Nested lists of plain floats."""
    rows = np.round(np.asarray(values, np.float64), digits) + 0.0  # no minus zero
    return list(rows.tolist())


def _check_place(path: Path, place: CameraPlace) -> None:
    numbers = [place.K, place.distortion, *([] if place.T_parent_cam is None else [place.T_parent_cam])]
    if not all(np.isfinite(part).all() for part in numbers) or place.K[0, 0] <= 0 or place.K[1, 1] <= 0:
        raise CalibrationError(f"{path}, camera: K, distortion and T_parent_cam must be finite, focal lengths > 0")
    if place.T_parent_cam is None:
        return
    R = place.T_parent_cam[:3, :3]
    if place.parent not in ("tool", "base"):
        raise CalibrationError(f"{path}, camera: parent must be tool or base, got '{place.parent}'")
    if np.abs(R @ R.T - np.eye(3)).max() > 1e-4 or np.linalg.det(R) < 0:
        raise CalibrationError(f"{path}, camera: T_parent_cam does not begin with a rotation; was it edited by hand?")


class _Dumper(PlainDumper):
    """Lists of numbers on one line, NumPy's numbers as plain ones."""


def _list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    is_flat = all(not isinstance(value, list | dict) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=is_flat)


def _number(dumper: yaml.SafeDumper, value: Any) -> yaml.Node:
    return dumper.represent_data(value.item())


_Dumper.add_representer(list, _list)
_Dumper.add_representer(tuple, lambda dumper, values: _list(dumper, list(values)))
for _kind in (np.float64, np.float32, np.int64, np.bool_):
    _Dumper.add_representer(_kind, _number)
