"""The compiled world: table and cameras, the arm, the tool that the task needs, and what the task adds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_sim.config import TwinConfig
from o2o_sim.engine import mujoco
from o2o_sim.fitted import fit_joints
from o2o_sim.joints import ArmJoints, arm_joints
from o2o_sim.placement import place_cameras
from o2o_sim.randomize_looks import add_looks
from o2o_sim.robots import FR3, MODELS, GripperModel, Place, RobotModel
from o2o_sim.tasks.base import Task

OUR_TOOLS = {"peg": "peg_hand.xml", "gripper": "gripper.xml"}
ARM, HAND = "arm/", "hand/"  # before the names of what was mounted, so that a user's names never meet ours


def world(robot: RobotModel, tool: str) -> mujoco.MjSpec:
    """Table, cameras and the robot with its tool ("peg" or "gripper"), to add to and compile.

    Raises ConfigError where the MJCF lacks a name that it is said to have.
    """
    spec = mujoco.MjSpec.from_file(str(MODELS / "scene.xml"))
    _mount_arm(spec, robot)
    if robot.gripper is None:
        _mount_tool(spec, robot, OUR_TOOLS[tool])
    else:
        _mark_tool(spec, robot)
    if robot.facing < 0:
        _turn_around(spec)
    return spec


def build_model(config: TwinConfig, task: Task, robot: RobotModel = FR3) -> mujoco.MjModel:
    """The model of `task` done by `robot`. Raises ConfigError where they do not fit, or the MJCF lacks a name."""
    if task.name == "peg" and robot.gripper is not None:
        raise ConfigError(
            f"task '{task.name}' holds a peg fixed to the flange, but robot '{robot.name}' has its own gripper; "
            "use a model without one and give `mount`"
        )
    spec = world(robot, task.tool)
    task.add_to(spec)
    if config.randomization.is_on:
        add_looks(spec)
    spec.option.timestep = 1.0 / config.physics_hz
    if not config.contacts:
        spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    model = _compiled(spec, config, robot)
    place_cameras(model, config.placements, config.image_size)
    fit_joints(model, config.fitted, ARM)
    return model


def gripper_of(task: Task, robot: RobotModel) -> GripperModel | None:
    """What opens and closes in that model, by its names there; None where nothing does."""
    if robot.gripper is None and task.tool != "gripper":
        return None
    prefix, names = (HAND, GripperModel()) if robot.gripper is None else (ARM, robot.gripper)
    return replace(names, actuator=prefix + names.actuator, joints=tuple(prefix + name for name in names.joints))


def joints_of(model: mujoco.MjModel, robot: RobotModel) -> ArmJoints:
    """Where the arm's joints are in that model."""
    return arm_joints(model, *(tuple(ARM + name for name in names) for names in (robot.joints, robot.actuators)))


def _compiled(spec: mujoco.MjSpec, config: TwinConfig, robot: RobotModel) -> mujoco.MjModel:
    known = [camera.name for camera in spec.cameras]
    for name in config.cameras:
        if name not in known:
            raise ConfigError(f"the scene has no camera '{name}'; it has {', '.join(known)}")
    try:
        return spec.compile()
    except ValueError as problem:
        raise ConfigError(f"{robot.mjcf}: {_line(problem)}; open it in MuJoCo's own viewer first") from None


def _mount_arm(spec: mujoco.MjSpec, robot: RobotModel) -> None:
    """The MJCF's bodies at the world's origin; what lies loose in its world (floor, lights, cameras) stays behind."""
    try:
        arm = mujoco.MjSpec.from_file(str(robot.mjcf))
    except (ValueError, OSError) as problem:
        raise ConfigError(f"cannot read the model {robot.mjcf}: {_line(problem)}") from None
    _attach(spec.worldbody.add_frame(), arm, ARM)
    for joint, actuator in zip(robot.joints, robot.actuators, strict=True):
        _as_motor(spec, robot, joint, actuator)
    for ours, theirs in robot.cameras.items():
        _named(spec, "camera", theirs, robot).name = ours


def _attach(frame: mujoco.MjsFrame, child: mujoco.MjSpec, prefix: str) -> None:
    for body in [body for body in child.bodies if body.parent == child.worldbody]:
        frame.attach_body(body, prefix, "")


def _as_motor(spec: mujoco.MjSpec, robot: RobotModel, joint_name: str, actuator_name: str) -> None:
    """Let the actuator take torques: a position servo is made a motor of the same strength."""
    joint, actuator = _named(spec, "joint", joint_name, robot), _named(spec, "actuator", actuator_name, robot)
    if actuator.target != ARM + joint_name:
        raise ConfigError(
            f"{robot.mjcf}: actuator '{actuator_name}' moves '{actuator.target.removeprefix(ARM)}', "
            f"not joint '{joint_name}'; list joints and actuators in the same order"
        )
    if robot.damping_nms_rad is not None:
        joint.damping = np.full_like(joint.damping, robot.damping_nms_rad)
    if actuator.biastype != mujoco.mjtBias.mjBIAS_NONE:
        strength = actuator.forcerange if np.any(actuator.forcerange) else joint.actfrcrange
        if not np.any(strength):
            raise ConfigError(
                f"{robot.mjcf}: actuator '{actuator_name}' has no forcerange; give it the joint's torque limit in Nm"
            )
        actuator.set_to_motor()
        actuator.ctrlrange, actuator.ctrllimited = strength, mujoco.mjtLimited.mjLIMITED_TRUE


def _mount_tool(spec: mujoco.MjSpec, robot: RobotModel, file: str) -> None:
    assert robot.mount is not None  # RobotModel has seen to it
    _attach(_frame_at(spec, robot, robot.mount), mujoco.MjSpec.from_file(str(MODELS / file)), HAND)
    for site in ("tool", "tip"):
        spec.site(HAND + site).name = site
    if spec.camera("wrist") is None:  # the arm's own one, where it has one, goes first
        spec.camera(HAND + "wrist").name = "wrist"


def _mark_tool(spec: mujoco.MjSpec, robot: RobotModel) -> None:
    """Put the sites "tool" and "tip" between the pads of the arm's own gripper."""
    assert robot.tool is not None  # RobotModel has seen to it
    frame = _frame_at(spec, robot, robot.tool)
    body = frame.parent
    for name in ("tool", "tip"):
        site = body.add_site(name=name, group=4)
        site.set_frame(frame)


def _frame_at(spec: mujoco.MjSpec, robot: RobotModel, place: Place) -> mujoco.MjsFrame:
    x, y, z, w = place.quat_xyzw
    if place.body:
        return _named(spec, "body", place.body, robot).add_frame(pos=place.offset_m, quat=(w, x, y, z))
    site = _named(spec, "site", place.site, robot)
    outer = site.parent.add_frame(pos=site.pos, quat=site.quat)
    return site.parent.add_frame(outer, pos=place.offset_m, quat=(w, x, y, z))


def _turn_around(spec: mujoco.MjSpec) -> None:
    """Half a turn about z for table and cameras, which are drawn for an arm that faces +x."""
    half_turn = np.array([-1.0, -1.0, 1.0])
    table = spec.geom("table")
    table.pos = table.pos * half_turn
    for name in ("front", "wrist"):
        camera = spec.camera(name)
        if camera is not None:
            camera.pos = camera.pos * half_turn
            camera.alt.xyaxes = camera.alt.xyaxes * np.tile(half_turn, 2)


def _named(spec: mujoco.MjSpec, kind: str, name: str, robot: RobotModel) -> mujoco.MjsElement:
    element = getattr(spec, kind)(ARM + name)
    if element is None:
        all_of_kind = getattr(spec, "bodies" if kind == "body" else kind + "s")
        known = [e.name.removeprefix(ARM) for e in all_of_kind if e.name.startswith(ARM) and e.name != ARM]
        raise ConfigError(f"{robot.mjcf} has no {kind} '{name}'; it has {', '.join(known) or 'none with a name'}")
    return element


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split())
