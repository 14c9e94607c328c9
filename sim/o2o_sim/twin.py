"""A simulated arm at work: MuJoCo physics under a Cartesian impedance controller, cameras, and a task."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from o2o_robot.errors import ArmError
from o2o_robot.robot.action import TOOL_DOWN_XYZW
from o2o_robot.robot.camera import Frame
from o2o_robot.robot.camera_view import Intrinsics
from o2o_robot.robot.rotation import matrix_from_quat
from o2o_robot.types import ArmState, Pose, TaskState
from o2o_sim.config import TwinConfig
from o2o_sim.engine import mujoco
from o2o_sim.fitted import settled
from o2o_sim.gripper import Gripper
from o2o_sim.impedance import REFRESH_SUBSTEPS, CartesianImpedance
from o2o_sim.inverse import place_tool
from o2o_sim.placement import lens_of
from o2o_sim.randomize import Randomizer
from o2o_sim.reference import AT_REST, Reference, minimum_jerk
from o2o_sim.render import Eyes
from o2o_sim.robots import robot_model
from o2o_sim.rotation import rotation_between
from o2o_sim.scene import build_model, gripper_of, joints_of
from o2o_sim.sensing import Sensing
from o2o_sim.sensors import Felt
from o2o_sim.tasks import make_task
from o2o_sim.tool_pose import tool_pose

NS_PER_S = 1_000_000_000
TOUCH_FILTER_S = 0.05  # the vendor low-passes its external torques too; an impact of 2 ms is no steady push
PEG_WIDTH_M = 0.016


class Snapshot(NamedTuple):
    """All that decides what a twin does next, less its clock: physics (MuJoCo's integration state), goal, reference."""

    physics: np.ndarray
    goal_m: np.ndarray
    goal_R: np.ndarray
    reference: Reference
    since_target_s: float
    external_nm: np.ndarray
    grip_m: float | None = None
    seed: int = 0
    sensing: Any = None


class Twin:
    """Steps in lockstep with its caller: time passes only in `step`.

    with Twin(TwinConfig()) as twin:
        twin.reset(seed=0)
        while not twin.task_state().success:
            twin.step(target_from(twin.images(), twin.arm_state()))

    The same seed and the same targets give bit-equal states and images, whatever ran before the reset. The clock goes
    on across resets, as a real one does. The arm is config.robot, poses are of its tool (the hand's TCP) in its base
    frame, and the peg's tip is 60 mm below that.
    """

    def __init__(self, config: TwinConfig | None = None) -> None:
        self.config = settled(config or TwinConfig())
        self.robot = robot_model(self.config.robot)
        self._task = make_task(self.config, facing=self.robot.facing)
        self._model = build_model(self.config, self._task, self.robot)
        self._data = mujoco.MjData(self._model)
        self._joints = joints_of(self._model, self.robot)
        self._ready_rad = np.array(self.robot.ready_rad)
        self._control = CartesianImpedance(self._model, self.config.impedance, self._joints, self._ready_rad)
        gripper = gripper_of(self._task, self.robot)
        self._gripper = None if gripper is None else Gripper(self._model, gripper)
        self._eyes = Eyes(self._model, self.config.image_size)
        self._tool, self._tip = self._model.site("tool").id, self._model.site("tip").id
        self._substep_ns = round(NS_PER_S / self.config.physics_hz)
        self._stamp_ns = self._seed = 0
        self._randomizer = self._make_randomizer()
        self._sensing = self._make_sensing()
        self.reset(0)

    @property
    def stamp_ns(self) -> int:
        """The simulated clock, in nanoseconds since the twin was made. It never goes back."""
        return self._stamp_ns

    @property
    def task(self) -> str:
        return self._task.name

    @property
    def has_gripper(self) -> bool:
        """Whether `grip` moves anything: lift has a gripper, a held peg has none."""
        return self._gripper is not None

    @property
    def max_opening_m(self) -> float:
        """How far the gripper opens; 0 where there is none."""
        return 0.0 if self._gripper is None else self._gripper.open_m

    @property
    def drawn(self) -> dict[str, Any]:
        """What was drawn for this episode beside the objects' places, for its record; {} without randomization."""
        return {} if self._randomizer is None else self._randomizer.facts

    def reset(self, seed: int) -> None:
        """Draw objects and start from `seed` alone, and put the arm there at rest.

        Where sensors are late, the clock goes on until each has reported the new scene.
        """
        model, data = self._model, self._data
        self._draw_scene(seed)
        mujoco.mj_resetData(model, data)
        if self._gripper is not None:
            self._gripper.reset(data)
        tip_m = self._task.reset(model, data, np.random.default_rng(seed))
        if self._randomizer is not None:
            tip_m = tip_m + self._randomizer.start_offset_m
        self._goal_R = matrix_from_quat(np.array(TOOL_DOWN_XYZW))
        tool_m = tip_m - self._goal_R @ self._tool_to_tip_m()
        place_tool(model, data, tool_m, self._goal_R, joints=self._joints, posture_rad=self._ready_rad)
        mujoco.mj_forward(model, data)
        self._control.refresh(data)
        self._goal_m = data.site_xpos[self._tool].copy()
        self._reference, self._since_target_s = AT_REST, self.config.impedance.slew_s
        self._external_nm = np.zeros(len(self._ready_rad))
        self.lean(self._ready_rad)
        self._pictures: dict[str, np.ndarray] = {}
        self._start_sensing()

    def place_scene(self, seed: int) -> None:
        """Draw the objects of `reset`, and put them there at rest; the arm stays as it is and goes on where it went."""
        model, data = self._model, self._data
        self._draw_scene(seed)
        self._task.reset(model, data, np.random.default_rng(seed))
        others = np.ones(model.nv, bool)
        others[self._joints.v] = False
        data.qvel[others], data.userdata[:] = 0.0, 0.0
        mujoco.mj_forward(model, data)
        self._update_poses()
        self._start_sensing()

    def place(self, q_rad: np.ndarray) -> None:
        """Put the arm at joints (n,) at rest, aiming where it is; objects stay. For replays: `reset` draws a start.

        Raises ArmError for joints that are not n finite numbers within the model's limits.
        """
        q_rad = np.asarray(q_rad, float)
        lower, upper = self._joints.range_rad.T
        if q_rad.shape != lower.shape or not ((q_rad >= lower) & (q_rad <= upper)).all():
            raise ArmError(f"cannot place the arm at {q_rad.round(3)}; give {len(lower)} joints within its limits")
        self._data.qpos[self._joints.q], self._data.qvel[:] = q_rad, 0.0
        mujoco.mj_forward(self._model, self._data)
        self._control.refresh(self._data)
        self._goal_m = self._data.site_xpos[self._tool].copy()
        self._goal_R = self._data.site_xmat[self._tool].reshape(3, 3).copy()
        self._reference, self._since_target_s = AT_REST, self.config.impedance.slew_s
        self._external_nm = np.zeros(len(q_rad))
        self._update_poses()
        self._start_sensing()

    def lean(self, q_rad: np.ndarray, *, firmly: bool = False) -> None:
        """Make joints (n,) the posture that what the tool leaves free is pulled to; `reset` makes it the ready pose.

        firmly: as a joint controller would, to a milliradian, where the usual pull leaves joint friction its way.
        """
        c = self.config.impedance
        self._control.posture_rad = np.array(q_rad, float)
        usual = c.posture_nm_rad, c.posture_nms_rad
        self._control.posture_gains = (c.firm_nm_rad, c.firm_nms_rad) if firmly else usual

    def snapshot(self) -> Snapshot:
        """The state now, to come back to with `restore`."""
        size = mujoco.mj_stateSize(self._model, mujoco.mjtState.mjSTATE_INTEGRATION)
        physics = np.empty(size)
        mujoco.mj_getState(self._model, self._data, physics, mujoco.mjtState.mjSTATE_INTEGRATION)
        goal_m, goal_R, external_nm = self._goal_m.copy(), self._goal_R.copy(), self._external_nm.copy()
        grip_m = None if self._gripper is None else self._gripper.goal_m
        sensing = None if self._sensing is None else self._sensing.snapshot(self._stamp_ns)
        rest = external_nm, grip_m, self._seed, sensing
        return Snapshot(physics, goal_m, goal_R, self._reference, self._since_target_s, *rest)

    def restore(self, state: Snapshot) -> None:
        """Go on from a snapshot of this twin, or of one of the same configuration, bit for bit; the clock stays."""
        self._draw_scene(state.seed)
        mujoco.mj_setState(self._model, self._data, state.physics, mujoco.mjtState.mjSTATE_INTEGRATION)
        self._goal_m, self._goal_R = state.goal_m.copy(), state.goal_R.copy()
        self._reference, self._since_target_s = state.reference, state.since_target_s
        self._external_nm = state.external_nm.copy()
        if self._gripper is not None and state.grip_m is not None:
            self._gripper.goal_m = state.grip_m
        self._update_poses()
        if self._sensing is not None:
            self._sensing.restore(state.sensing, self._stamp_ns)

    def aim(self, target: Pose) -> None:
        """Make `target` where the arm goes as time passes. Raises ArmError for a target that is not a finite pose."""
        position_m, quat = np.asarray(target.position_m, float), np.asarray(target.quat_xyzw, float)
        if position_m.shape != (3,) or quat.shape != (4,) or not np.isfinite([*position_m, *quat]).all():
            raise ArmError(
                f"target {target} is not 3 finite metres and 4 finite quaternion entries; send a guarded pose"
            )
        if abs(np.linalg.norm(quat) - 1.0) > 1e-3:
            raise ArmError(f"target quaternion {quat} has norm {np.linalg.norm(quat):.4f}, must be 1; normalise it")
        R = matrix_from_quat(quat / np.linalg.norm(quat))
        if np.array_equal(position_m, self._goal_m) and np.array_equal(R, self._goal_R):
            return
        now = self._reference_at(np.array([0.0]))
        shift = np.concatenate([self._goal_m - position_m, rotation_between(R, self._goal_R)])
        self._reference = Reference(now.offset[0] + shift, now.rate[0], now.acceleration[0])
        self._goal_m, self._goal_R, self._since_target_s = position_m.copy(), R, 0.0

    def grip(self, opening_m: float) -> None:
        """Make `opening_m` where the gripper goes as time passes. Raises ArmError where there is none to move."""
        if self._gripper is None:
            raise ArmError(f"task '{self.task}' holds its peg for good; there is no gripper to move (lift has one)")
        self._gripper.aim(opening_m)

    def advance(self, duration_s: float) -> None:
        """Let simulated time pass. Raises ArmError where it is shorter than one physics step."""
        n = round(duration_s * self.config.physics_hz)
        if n < 1:
            raise ArmError(f"cannot advance by {duration_s} s; the physics step is {1 / self.config.physics_hz} s")
        model, data, dt_s, motors = self._model, self._data, 1.0 / self.config.physics_hz, self._joints.ctrl
        blend = dt_s / (TOUCH_FILTER_S + dt_s)
        path = self._reference_at(np.arange(1, n + 1) * dt_s)
        for k in range(n):
            mujoco.mj_step1(model, data)
            if k % REFRESH_SUBSTEPS == 0:
                self._control.refresh(data)
            now = Reference(path.offset[k], path.rate[k], path.acceleration[k])
            data.ctrl[motors] = self._control.torque(data, self._goal_m, self._goal_R, now)
            if self._gripper is not None:
                self._gripper.drive(data, dt_s)
            mujoco.mj_step2(model, data)
            self._external_nm += blend * (data.qfrc_constraint[self._joints.v] - self._external_nm)
            if self._sensing is not None:
                self._sensing.watch(self._stamp_ns + (k + 1) * self._substep_ns, data, self._feel)
        self._since_target_s += n * dt_s
        self._stamp_ns += n * self._substep_ns
        self._update_poses()
        self._task.watch(model, data, n * dt_s)

    def step(self, target: Pose, duration_s: float = 0.1) -> None:
        """Go toward `target` for `duration_s` of simulated time."""
        self.aim(target)
        self.advance(duration_s)

    def arm_state(self) -> ArmState:
        """The measured state, as a driver would report it. A hand that holds the peg reads its width."""
        if self._sensing is not None:
            return self._sensing.arm_state(self._stamp_ns)
        q_rad, dq_rad, gripper_m, wrench = self._feel()
        return ArmState(self._stamp_ns, q_rad, dq_rad, tool_pose(self._data, self._tool), gripper_m, wrench)

    def frame(self, camera: str) -> Frame:
        """The latest frame of one camera, (size, size, 3) uint8 RGB, with the stamp of its exposure."""
        if self._sensing is not None:
            return self._sensing.frame(camera, self._stamp_ns)
        if camera not in self._pictures:
            self._pictures[camera] = self._eyes.see(self._data, camera)
        return Frame(self._stamp_ns, self._pictures[camera].copy())

    def new_frames(self, camera: str) -> list[Frame]:
        """Frames that arrived since this camera was last looked at, to publish each once; without sensors now's."""
        return [self.frame(camera)] if self._sensing is None else self._sensing.new_frames(camera, self._stamp_ns)

    def image(self, camera: str) -> np.ndarray:
        """The picture of `frame`."""
        return self.frame(camera).image

    def images(self) -> dict[str, np.ndarray]:
        """The latest picture of every configured camera."""
        return {name: self.image(name) for name in self.config.cameras}

    def lens(self, camera: str) -> Intrinsics:
        """Of its pictures, as the present scene has it."""
        return lens_of(self._model, self._model.camera(camera).id, self.config.image_size)

    def task_state(self) -> TaskState:
        """The task's verdict now."""
        return self._task.judge(self._model, self._data, self._stamp_ns)

    def close(self) -> None:
        self._eyes.close()

    def __enter__(self) -> Twin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _update_poses(self) -> None:
        """Let poses, Jacobians' frames and cameras follow the joints; pictures taken before are out of date."""
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        self._pictures = {}

    def _feel(self) -> Felt:
        data = self._data
        gripper_m = PEG_WIDTH_M if self._gripper is None else self._gripper.opening_m(data)
        wrench = self._control.tool_wrench(self._external_nm)
        return Felt(data.qpos[self._joints.q].copy(), data.qvel[self._joints.v].copy(), gripper_m, wrench)

    def _draw_scene(self, seed: int) -> None:
        self._seed = seed
        if self._randomizer is not None:
            self._randomizer.draw(seed)
            self._eyes.take_textures()

    def _start_sensing(self) -> None:
        if self._sensing is not None:
            self._stamp_ns = self._sensing.start(self._seed, self._stamp_ns, self._data, self._feel)

    def _make_randomizer(self) -> Randomizer | None:
        config = self.config.randomization
        return Randomizer(self._model, config, self._joints) if config.is_on else None

    def _make_sensing(self) -> Sensing | None:
        config, world = self.config, (self._model, self._joints, self._eyes)
        return Sensing(config.sensors, config.cameras, *world, self._substep_ns) if config.sensors.is_on else None

    def _reference_at(self, after_s: np.ndarray) -> Reference:
        return minimum_jerk(self._reference, self.config.impedance.slew_s, self._since_target_s + after_s)

    def _tool_to_tip_m(self) -> np.ndarray:
        return self._model.site_pos[self._tip] - self._model.site_pos[self._tool]
