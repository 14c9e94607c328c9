"""Facts about a particular robot, measured: `o2o calibrate intrinsics photos/ --camera wrist`, and five more."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import tyro
from rich.table import Table

from o2o_calibration import action_latency as action
from o2o_calibration import episodes, figures, hand_eye, intrinsics, latency, recording, results, twin_fit, write_up
from o2o_calibration.board import BoardSettings, Charuco, Chessboard
from o2o_calibration.delay import DelayLimits, Signal
from o2o_calibration.errors import CalibrationError
from o2o_calibration.joint_response import JointDrive
from o2o_calibration.pictures import Picture, Views, find_board, from_folder, from_store
from o2o_calibration.poses import board_pose, poses_of_episode, read_poses
from o2o_calibration.results import CameraPlace
from o2o_calibration.tool_response import ToolDrive
from o2o_calibration.write_up import Keeping, WriteUp
from o2o_robot.report.replay_plan import Plan
from o2o_robot.terminal import table_console
from o2o_robot.types import Array

_FLAT = tyro.conf.arg(name="")


@dataclass(frozen=True)
class Keep:
    """Where results go."""

    robot: str = "fr3"
    """Whose facts these are; the folder under `results`. For twin-fit also the twin's robot."""
    results: Path = Path("calibration/results")
    """Folder of all robots' results."""
    date: str = ""
    """Day of the measurement, like 2026-11-21; today unless told."""
    replace: bool = False
    """Put the new result in the place of one of the same day."""
    seed: int = 0
    """Seeds what is drawn for outliers and intervals."""

    @property
    def keeping(self) -> Keeping:
        try:
            day = date.fromisoformat(self.date) if self.date else date.today()
        except ValueError:
            raise CalibrationError(f"date '{self.date}' is not a day; write it like 2026-11-21") from None
        return Keeping(self.results, self.robot, day, self.replace)


@dataclass(frozen=True)
class Photos:
    """Photographs of a board, of one camera."""

    images: Annotated[Path, tyro.conf.Positional]
    """Folder of pictures, or a store (.zarr) with an episode that shows the board."""
    camera: str
    """What the camera is called."""
    episode: int = 0
    """Which episode of a store."""
    every: int = 5
    """Use every n-th frame of it."""

    @property
    def is_store(self) -> bool:
        return self.images.suffix == ".zarr"

    def read(self) -> list[Picture]:
        if self.is_store:
            return from_store(self.images, self.camera, self.episode, every=self.every)
        return from_folder(self.images)


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths, centre and lens distortion of a camera, from 15 and more photographs of a board."""

    photos: Annotated[Photos, _FLAT]
    board: Annotated[BoardSettings, _FLAT] = field(default_factory=BoardSettings)
    lens: str = "k2"
    """Which distortion is fitted: none, k1 (radial), k2 (and tangential), k3 (wide lenses, many views)."""
    limits: intrinsics.IntrinsicsLimits = field(default_factory=intrinsics.IntrinsicsLimits)
    keep: Annotated[Keep, _FLAT] = field(default_factory=Keep)

    def run(self) -> Path:
        board, shots = self.board.build(), self.photos.read()
        found = find_board(shots, board)
        after = intrinsics.calibrate(found, lens=self.lens, limits=self.limits)
        before = intrinsics.calibrate(found, lens="none", limits=intrinsics.ANYTHING)
        photo, corners = _clearest(shots, found)
        size, day = found.size_px, self.keep.keeping.day
        place = CameraPlace(self.photos.camera, "", None, after.K, after.distortion, *size, day)
        png = figures.intrinsics(before, after, photo, corners)
        return _finish(self.keep, write_up.intrinsics(before, after, place, board.convention, png), self.photos.images)


@dataclass(frozen=True)
class HandEye:
    """Where a camera sits, on the tool (wrist) or in the base frame (fixed), from 12 and more poses of the arm.

    Each photograph needs the tool's pose: poses.yaml in the folder, or a store's own state.
    """

    photos: Annotated[Photos, _FLAT]
    mount: str
    """wrist (the board stands still) or fixed (the board is on the tool)."""
    intrinsics: Path | None = None
    """Result file of the camera's intrinsics; the robot's newest unless told."""
    board: Annotated[BoardSettings, _FLAT] = field(default_factory=BoardSettings)
    limits: hand_eye.HandEyeLimits = field(default_factory=hand_eye.HandEyeLimits)
    keep: Annotated[Keep, _FLAT] = field(default_factory=Keep)

    def run(self) -> Path:
        board, rng = _one_way_up(self.board.build()), np.random.default_rng(self.keep.seed)
        file = self.intrinsics or results.latest(self.keep.results, self.keep.robot, "intrinsics", self.photos.camera)
        if file is None:
            told = f"no intrinsics of '{self.photos.camera}' under {self.keep.results / self.keep.robot}"
            raise CalibrationError(f"{told}; run o2o calibrate intrinsics first, or name a file with --intrinsics")
        lens, found = results.camera_place(file), find_board(self.photos.read(), board)
        if found.size_px != (lens.width, lens.height):
            told = f"pictures of {found.size_px} pixels, intrinsics of {(lens.width, lens.height)}"
            raise CalibrationError(f"{told}; calibrate the camera at the resolution that is used")
        names, A = self._tool_poses(found)
        views = [view for view in found.views if view.name in names]

        def boards(K: Array) -> Array:
            return np.array([board_pose(view, K, lens.distortion) for view in views])

        half = results.load(file).get("half_width_95", {})
        B = boards(lens.K)
        result = hand_eye.calibrate(
            A, B, self.mount, rng=rng, limits=self.limits, redraw=lambda chance: boards(_redrawn(lens.K, half, chance))
        )
        size, day = found.size_px, self.keep.keeping.day
        place = CameraPlace(lens.name, result.parent, result.T_parent_cam, lens.K, lens.distortion, *size, day)
        sides = hand_eye.equation_sides(A, B, self.mount)
        png = figures.hand_eye(result, *sides, names)
        kept = write_up.hand_eye(result, place, board.convention, names, *sides, png)
        return _finish(self.keep, kept, self.photos.images)

    def _tool_poses(self, found: Views) -> tuple[list[str], Array]:
        photos = self.photos
        poses = poses_of_episode(photos.images, photos.episode) if photos.is_store else read_poses(photos.images)
        names = [view.name for view in found.views if view.name in poses]
        if not names:
            raise CalibrationError(f"{photos.images}: no picture shows the board and has a tool pose; check the names")
        return names, np.array([poses[name] for name in names])


@dataclass(frozen=True)
class Latency:
    """How much later than the joints' stamps a camera's stamps show the same motion, from ten seconds of shaking."""

    bag: Annotated[Path, tyro.conf.Positional]
    """Recording with the camera and the joints."""
    camera: str
    """What the camera is called."""
    image_topic: str
    joint_topic: str = "/joint_states"
    joints: tuple[str, ...] = ()
    """Which joints were shaken; all unless told."""
    limits: DelayLimits = field(default_factory=DelayLimits)
    keep: Annotated[Keep, _FLAT] = field(default_factory=Keep)

    def run(self) -> Path:
        joints = recording.joints(self.bag, self.joint_topic, self.joints).signal
        shots = recording.pictures(self.bag, self.image_topic)
        start_s = joints.t_s[0]
        cause, motion = recording.since(start_s, joints), latency.picture_motion(shots.t_s - start_s, shots.grey)
        found = latency.delay(cause, motion, rng=np.random.default_rng(self.keep.seed), limits=self.limits)
        told = write_up.latency(found, self.camera, figures.delay(found, cause, motion))
        return _finish(self.keep, told, self.bag)


class Motion(NamedTuple):
    """Commanded and measured positions (n, k) of joints (rad), or of the tool's three axes (m)."""

    names: tuple[str, ...]
    command: Signal
    state: Signal


@dataclass(frozen=True)
class Commands:
    """What was commanded and what was measured: joints of a bag, or the tool of a store's episodes."""

    recording: Annotated[Path, tyro.conf.Positional]
    """A bag with both topics, or a store (.zarr)."""
    command_topic: str = "/target_joint"
    state_topic: str = "/joint_states"
    joints: tuple[str, ...] = ()
    """Which joints of a bag; all that are commanded unless told."""
    episodes: tuple[int, ...] = ()
    """Which episodes of a store; all unless told."""
    action_scale_m: float = 0.025
    """Tool motion of a store's action of 1, as it was recorded."""

    @property
    def is_store(self) -> bool:
        return self.recording.suffix == ".zarr"

    def read(self) -> Motion:
        if self.is_store:
            return Motion(episodes.AXES, *episodes.signals(self.plans()))
        names, command = recording.joints(self.recording, self.command_topic, self.joints)
        state = recording.joints(self.recording, self.state_topic, names).signal
        start_s = state.t_s[0]
        return Motion(names, recording.since(start_s, command), recording.since(start_s, state))

    def plans(self) -> list[Plan]:
        """A store's episodes."""
        return episodes.read_plans(self.recording, self.episodes, scale_m=self.action_scale_m)


@dataclass(frozen=True)
class ActionLatency:
    """How long after a command the joints move, as dead time and as time constant. From a bag."""

    commands: Annotated[Commands, _FLAT]
    limits: action.ActionLimits = field(default_factory=action.ActionLimits)
    keep: Annotated[Keep, _FLAT] = field(default_factory=Keep)

    def run(self) -> Path:
        if self.commands.is_store:  # tried: 38 ms more delay came out as 6 ms, decision 0011
            why = f"{self.commands.recording} has one state a command, counted from that state: no latency is in it"
            raise CalibrationError(f"{why}; record a bag of commands and joints, or take twin-fit's delay_s")
        names, command, state = self.commands.read()
        rng = np.random.default_rng(self.keep.seed)
        found = action.action_latency(command, state, names, rng=rng, limits=self.limits)
        rms_rad = (action.rms_apart_rad(command, state, 0.0), action.rms_apart_rad(command, state, found.latency_s))
        told = write_up.action_latency(found, rms_rad, figures.action_latency(found, command, state, names))
        return _finish(self.keep, told, self.commands.recording)


@dataclass(frozen=True)
class TwinFit:
    """The twin from a recorded motion in free space: its joints from a bag, its Cartesian impedance from a store.

    Of joints: stiffness, damping, friction, armature and delay. Of the tool: natural frequency, damping ratio, slew
    time and delay.
    """

    commands: Annotated[Commands, _FLAT]
    fit: tuple[str, ...] = ()
    """What is fitted; the rest stays as the model has it. All of them unless told."""
    task: str = "reach"
    """Of a store: the task of the twin whose tool the arm held."""
    limits: twin_fit.TwinFitLimits = field(default_factory=twin_fit.TwinFitLimits)
    keep: Annotated[Keep, _FLAT] = field(default_factory=Keep)

    def run(self) -> Path:
        names, command, state = self.commands.read()
        drive = self._drive(names)
        kinds = self.fit or tuple(dict.fromkeys(name.split(".")[-1] for name in drive.held))
        found = twin_fit.fit(drive, command, state, kinds=kinds, limits=self.limits)
        told = write_up.twin_fit(found, drive.held, figures.twin_fit(found, names))
        return _finish(self.keep, told, self.commands.recording)

    def _drive(self, names: tuple[str, ...]) -> twin_fit.Drive:
        if self.commands.is_store:
            return ToolDrive.of_robot(self.keep.robot, self.commands.plans(), self.task)
        return JointDrive.of_robot(self.keep.robot, names)


@dataclass(frozen=True)
class PhotographTwin:
    """Photographs and poses.yaml of a ChArUco board before the twin's camera: the whole way without a robot."""

    out: Annotated[Path, tyro.conf.Positional]
    """Folder to write to."""
    mount: str = "wrist"
    """wrist (camera `wrist`, board on the table) or fixed (camera `front`, board in the hand)."""
    n: int = 20
    """Photographs."""
    board: Annotated[BoardSettings, _FLAT] = field(
        default_factory=lambda: BoardSettings(square_m=0.050, marker_m=0.037)
    )
    seed: int = 0

    def run(self) -> Path:
        from o2o_calibration.twin_board import CAMERAS, Photographer

        board = self.board.build()
        if not isinstance(board, Charuco) or self.mount not in CAMERAS:
            raise CalibrationError(
                f"the twin photographs a charuco board with mount wrist or fixed, not '{self.mount}'"
            )
        Photographer(CAMERAS[self.mount], self.mount, board).photograph(
            self.out, self.n, np.random.default_rng(self.seed)
        )
        return self.out


What = Intrinsics | HandEye | Latency | ActionLatency | TwinFit | PhotographTwin


def main(what: Annotated[What, _FLAT]) -> int:
    """Measure one fact, check it against its own error bound, and keep it: a dated YAML file, a figure, a page."""
    print(what.run())
    return 0


def _finish(keep: Keep, told: WriteUp, source: Path) -> Path:
    path = write_up.keep(keep.keeping, told, source.name)
    table = Table("", "before", "after", title=path.stem)
    for row in told.rows:
        table.add_row(*row)
    table_console().print(table)
    return path


def _clearest(shots: list[Picture], found: Views) -> tuple[Array, Array]:
    """The photograph with the most corners, and those."""
    view = max(found.views, key=lambda view: len(view.corners.pixels))
    return next(shot.grey for shot in shots if shot.name == view.name), view.corners.pixels


def _one_way_up(board: Charuco | Chessboard) -> Charuco | Chessboard:
    if isinstance(board, Chessboard) and not board.has_one_way_up:
        told = f"a chessboard of {board.columns}x{board.rows} corners looks the same turned by half a turn"
        raise CalibrationError(f"{told}; use one with an odd and an even number, or a ChArUco board")
    return board


def _redrawn(K: Array, half_width: dict[str, float], rng: np.random.Generator) -> Array:
    """Intrinsics as they may be by their own interval."""
    wide = [half_width.get(name, 0.0) / 1.96 for name in ("fx", "fy", "cx", "cy")]
    other = K.copy()
    other[[0, 1, 0, 1], [0, 1, 2, 2]] += wide * rng.normal(size=4)
    return other


if __name__ == "__main__":
    raise SystemExit(tyro.cli(main))
