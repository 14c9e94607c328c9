"""The twin's sensors at work: they watch the physics step by step, and give what has arrived."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.robot.camera import Frame
from o2o_robot.types import ArmState, Array, Pose
from o2o_sim.camera_sensor import CameraSensor, Exposure, develop
from o2o_sim.channel import Sample
from o2o_sim.engine import mujoco
from o2o_sim.joints import ArmJoints
from o2o_sim.render import Eyes
from o2o_sim.sensor_config import SensorConfig
from o2o_sim.sensors import ArmSensor, Felt
from o2o_sim.spread import stream
from o2o_sim.tool_pose import tool_pose


class Moment(NamedTuple):
    """Where everything is at one instant: enough to make a picture of it later."""

    qpos: Array
    mocap_pos: Array
    mocap_quat: Array


class Sensing:
    """All sensors of one twin. Times are the twin's stamps; `zero_ns` is when the episode's own clock started.

    now_ns = sensing.start(seed, now_ns, data, feel)     # waits, at rest, until each sensor has given something
    sensing.watch(now_ns, data, feel)                    # after each physics step; feel() -> Felt, the truth
    state, frame = sensing.arm_state(now_ns), sensing.frame("wrist", now_ns)
    """

    def __init__(
        self,
        config: SensorConfig,
        cameras: tuple[str, ...],
        model: mujoco.MjModel,
        joints: ArmJoints,
        eyes: Eyes,
        substep_ns: int,
    ) -> None:
        self._config, self._names, self._eyes, self._substep_ns = config, cameras, eyes, substep_ns
        self._model, self._joints, self._tool = model, joints, model.site("tool").id
        self._shadow = mujoco.MjData(model)  # to pose joints as they were, or as they were read
        self._cameras: dict[str, CameraSensor[Moment]]
        self._felt: Sample[Felt] | None
        self._latest: dict[str, Sample[Exposure[Moment]]]
        self._developed: dict[str, Array]
        self._begin(0, 0)

    def start(self, seed: int, now_ns: int, data: mujoco.MjData, feel: Callable[[], Felt]) -> int:
        """New sensors for a new episode; returns when the first frames and states have arrived."""
        self._begin(seed, now_ns)
        self.watch(now_ns, data, feel)
        while not self._has_everything(now_ns):
            now_ns += self._substep_ns
            self.watch(now_ns, data, feel)
        return now_ns

    def watch(self, now_ns: int, data: mujoco.MjData, feel: Callable[[], Felt]) -> None:
        """Let every sensor sense that wants to."""
        at_ns, moment = now_ns - self._zero_ns, None
        if self._arm.wants(at_ns):
            self._arm.sense(at_ns, feel())
        for camera in self._cameras.values():
            if camera.wants(at_ns):
                moment = moment or Moment(data.qpos.copy(), data.mocap_pos.copy(), data.mocap_quat.copy())
                camera.expose(at_ns, moment)

    def arm_state(self, now_ns: int) -> ArmState:
        """The latest state that has arrived, with the stamp of its sensing."""
        for sample in self._arm.due(now_ns - self._zero_ns):
            self._felt = sample
        assert self._felt is not None  # start() waited for it
        felt = self._felt.value
        tool = self._tool_at(felt.q_rad)
        return ArmState(
            self._felt.stamp_ns + self._zero_ns,
            felt.q_rad.copy(),
            felt.dq_rad.copy(),
            tool,
            felt.gripper_m,
            felt.wrench.copy(),
        )

    def frame(self, camera: str, now_ns: int) -> Frame:
        """The latest frame that has arrived, with the stamp of its exposure."""
        self.due(camera, now_ns)
        sample = self._latest[camera]
        if camera not in self._developed:
            self._developed[camera] = self._develop(camera, sample.value)
        return Frame(sample.stamp_ns + self._zero_ns, self._developed[camera].copy())

    def new_frames(self, camera: str, now_ns: int) -> list[Frame]:
        """What has arrived since this camera was last asked for anything, in the order of arrival.

        A camera without a rate of its own gives one frame whenever it is asked, the latest.
        """
        if self._config.camera.fps == 0:
            return [self.frame(camera, now_ns)]
        arrived = self.due(camera, now_ns)
        return [Frame(s.stamp_ns + self._zero_ns, self._develop(camera, s.value)) for s in arrived]

    def due(self, camera: str, now_ns: int) -> list[Sample[Exposure[Moment]]]:
        """Undeveloped frames that have arrived since this camera was last asked for anything."""
        arrived = self._cameras[camera].due(now_ns - self._zero_ns)
        if arrived:
            self._latest[camera] = arrived[-1]
            self._developed.pop(camera, None)
        return arrived

    def snapshot(self, now_ns: int) -> Any:
        """All of the sensors' state, for `restore`."""
        return now_ns - self._zero_ns, copy.deepcopy((self._arm, self._cameras, self._felt, self._latest))

    def restore(self, state: Any, now_ns: int) -> None:
        """Go on from a snapshot as if no time had passed since."""
        at_ns, parts = state
        self._zero_ns = now_ns - at_ns
        self._arm, self._cameras, self._felt, self._latest = copy.deepcopy(parts)
        self._developed = {}

    def _begin(self, seed: int, now_ns: int) -> None:
        self._zero_ns = now_ns
        self._arm = ArmSensor(self._config, stream(seed, "sensors.arm"))
        self._cameras = {
            name: CameraSensor(self._config.camera, stream(seed, f"sensors.{name}")) for name in self._names
        }
        self._felt, self._latest, self._developed = None, {}, {}

    def _has_everything(self, now_ns: int) -> bool:
        for sample in self._arm.due(now_ns - self._zero_ns):
            self._felt = sample
        for name in self._names:
            self.due(name, now_ns)
        return self._felt is not None and len(self._latest) == len(self._names)

    def _develop(self, camera: str, exposure: Exposure[Moment]) -> Array:
        pictures = [self._picture(camera, moment) for moment in exposure.moments]
        return develop(pictures, exposure.gain, exposure.noise_seed, self._config.camera)

    def _picture(self, camera: str, moment: Moment) -> Array:
        shadow = self._shadow
        shadow.qpos[:], shadow.mocap_pos[:], shadow.mocap_quat[:] = moment
        mujoco.mj_kinematics(self._model, shadow)
        mujoco.mj_comPos(self._model, shadow)
        mujoco.mj_camlight(self._model, shadow)
        return self._eyes.see(shadow, camera)

    def _tool_at(self, q_rad: np.ndarray) -> Pose:
        shadow = self._shadow
        shadow.qpos[self._joints.q] = q_rad
        mujoco.mj_kinematics(self._model, shadow)
        return tool_pose(shadow, self._tool)
