"""The graph of processes, described once: `ros2 launch` and `o2o up` both read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from o2o_robot.errors import ConfigError

ROBOTS = ("twin", "fr3", "ur5e")
JOINTS = {
    "twin": [f"fr3_joint{i}" for i in range(1, 8)],
    "fr3": [f"fr3_joint{i}" for i in range(1, 8)],
    "ur5e": [f"{name}_joint" for name in ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3")],
}


def described(default: Any, help: str) -> Any:
    """A dataclass field with the sentence that launch files and the command line show."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Up:
    """What every graph can be told. The names are the launch arguments and the options of `o2o up`."""

    robot: str = described("twin", "twin, fr3 or ur5e: which arm answers the topics, and whose limits hold")
    task: str = described("peg", "task of the twin, and the name written into every episode")
    run_dir: str = described("runs/run", "folder of this run: episodes, logs, summaries")
    realtime_factor: float = described(
        0.0, "twin only: simulated seconds per second; 0 is lockstep, as fast as it goes"
    )
    seed: int = described(0, "of everything random that is not a scene")
    max_steps: int = described(50, "steps after which an episode is truncated")
    cameras: str = described("wrist,front", "camera names, with commas; the first sets the rhythm")
    image_size: int = described(64, "side of the twin's images in pixels")
    clearance_m: float = described(0.010, "twin's peg task: gap between peg and hole on each side")
    first_seed: int = described(0, "seed of the first scene")
    camera_node: bool = described(True, "real robots: start camera_node; false where realsense2_camera runs")

    def __post_init__(self) -> None:
        if self.robot not in ROBOTS:
            raise ConfigError(f"no robot '{self.robot}' (there are {', '.join(ROBOTS)})")
        if self.robot != "twin" and self.realtime_factor != 1.0:
            object.__setattr__(self, "realtime_factor", 1.0)  # only a simulator can run at another pace
        if self.realtime_factor < 0:
            raise ConfigError(f"realtime_factor must be >= 0, got {self.realtime_factor}; 0 is lockstep, 1 real time")

    @property
    def lockstep(self) -> bool:
        return self.realtime_factor == 0.0


@dataclass(frozen=True)
class Collect(Up):
    """Demonstrations by the scripted expert, one MCAP file an episode."""

    episodes: int = described(60, "episodes to record")
    noise: float = described(0.3, "standard deviation of the expert's action noise, of full scale")
    bias_m: float = described(0.008, "standard deviation of an episode's wrong aim, metres")
    distracted: float = described(0.0, "share of episodes aimed at the distractor")


@dataclass(frozen=True)
class Evaluate(Up):
    """Episodes of a checkpoint's mean action."""

    checkpoint: str = described("", "folder of the policy's checkpoint")
    episodes: int = described(20, "episodes to run")


@dataclass(frozen=True)
class Finetune(Up):
    """Frozen warm-up rollouts, then WSRL: updates on online steps alone, weights handed back while episodes go on."""

    checkpoint: str = described("", "folder of the pretrained checkpoint")
    preset: str = described("wsrl", "algorithm online: wsrl, steady, calql, ... (presets.py)")
    warmup_steps: int = described(400, "steps of the frozen policy before the first update, at most")
    warmup_precision: float = described(0.0, "end the warm-up once Q's gap is known so well (share of 1/(1-discount))")
    recalibrate_updates: int = described(-1, "updates of the critic alone after the warm-up; -1: the preset's")
    anchor_weight: float = described(-1.0, "weight of the divergence from the pretrained policy; -1: the preset's")
    anchor_updates: int = described(-1, "updates over which it falls to nothing, 0 keeps it; -1: the preset's")
    offline: str = described("", "episode store to retain data from")
    offline_share: float = described(-1.0, "share of each mini-batch from retained data; -1: the preset's")
    coreset: float = described(1.0, "share of the store that is retained, by whole episodes")
    online_steps: int = described(1500, "steps while learning")
    utd: int = described(1, "critic updates to environment steps")
    resume: bool = described(False, "go on from the learner's last checkpoint in run_dir")


LEARNER_SETTINGS = (
    "preset",
    "utd",
    "warmup_steps",
    "warmup_precision",
    "recalibrate_updates",
    "anchor_weight",
    "anchor_updates",
    "offline",
    "offline_share",
    "coreset",
    "resume",
)


@dataclass(frozen=True)
class Cameras(Up):
    """Real cameras alone: to look through, or to calibrate."""

    robot: str = described("fr3", "fr3 or ur5e: whose cameras, of launch/params/<robot>.yaml")


@dataclass(frozen=True)
class Process:
    """One node: its executable, its parameters, and whether its clean end is the end of the run."""

    name: str
    parameters: dict[str, Any]
    params_file: str = ""
    is_session: bool = False


def collect(up: Collect, share: Path) -> list[Process]:
    schedule = [f"demo episodes={up.episodes} first_seed={up.first_seed}"]
    teleop = {"noise": up.noise, "bias_m": up.bias_m, "distracted": up.distracted, "schedule": schedule}
    bags = {"bags": str(Path(up.run_dir) / "bags")}
    return [*_arm(up, share), _recorder(up, bags), _session(up, "teleop_node", {**teleop, "step_readers": 1})]


def evaluate(up: Evaluate, share: Path) -> list[Process]:
    schedule = [f"eval episodes={up.episodes} first_seed={up.first_seed}"]
    policy = {"checkpoint": up.checkpoint, "seed": up.seed, "schedule": schedule, "step_readers": 1}
    return [*_arm(up, share), _recorder(up, _store(up)), _session(up, "policy_node", policy)]


def finetune(up: Finetune, share: Path) -> list[Process]:
    schedule = []
    if up.warmup_steps:
        schedule.append(f"warmup steps={up.warmup_steps} first_seed={up.first_seed}")
    schedule.append(f"online steps={up.online_steps} first_seed={up.first_seed + 100_000}")
    policy = {
        "checkpoint": up.checkpoint,
        "seed": up.seed,
        "schedule": schedule,
        "step_readers": 2,
        "max_updates_owed": 0 if up.lockstep else -1,
    }
    learner = {
        **_common(up),
        "checkpoint": up.checkpoint,
        "seed": up.seed,
        **{name: getattr(up, name) for name in LEARNER_SETTINGS},
    }
    return [
        *_arm(up, share),
        _recorder(up, _store(up)),
        Process("learner_node", learner),
        _session(up, "policy_node", policy),
    ]


def cameras(up: Up, share: Path) -> list[Process]:
    """camera_node; the robot's own file says which device is which."""
    eyes = {**_common(up), "cameras": _cameras(up), **{f"{name}.policy_size": up.image_size for name in _cameras(up)}}
    return [Process("camera_node", eyes, str(share / "params" / f"{up.robot}.yaml"))]


STORIES: dict[str, tuple[type[Up], Callable[[Any, Path], list[Process]]]] = {
    "collect": (Collect, collect),
    "evaluate": (Evaluate, evaluate),
    "finetune": (Finetune, finetune),
}
# without a session: they run until somebody ends them
PARTS: dict[str, tuple[type[Up], Callable[[Any, Path], list[Process]]]] = {"cameras": (Cameras, cameras)}


def _common(up: Up) -> dict[str, Any]:
    return {"run_dir": up.run_dir, "lockstep": up.lockstep, "use_sim_time": up.robot == "twin"}


def _cameras(up: Up) -> list[str]:
    return [name.strip() for name in up.cameras.split(",") if name.strip()]


def _store(up: Up) -> dict[str, Any]:
    return {"store": str(Path(up.run_dir) / "episodes.zarr")}


def _arm(up: Up, share: Path) -> list[Process]:
    """arm_node, and behind it the twin where no driver answers."""
    params_file = str(share / "params" / f"{up.robot}.yaml")
    arm = {**_common(up), "joints": JOINTS[up.robot], "limits": up.robot, "auto_arm": up.robot == "twin"}
    if up.robot != "twin":
        eyes = cameras(up, share) if up.camera_node else []
        return [*eyes, Process("arm_node", arm, params_file)]
    twin = {
        **_common(up),
        "task": up.task,
        "joints": JOINTS["twin"],
        "cameras": _cameras(up),
        "image_size": up.image_size,
        "clearance_m": up.clearance_m,
        "realtime_factor": up.realtime_factor,
    }
    return [Process("twin_node", {**twin, "use_sim_time": False}, params_file), Process("arm_node", arm, params_file)]


def _recorder(up: Up, where: dict[str, Any]) -> Process:
    return Process("recorder_node", {**_common(up), "cameras": _cameras(up), **where})


def _session(up: Up, name: str, parameters: dict[str, Any]) -> Process:
    common = {
        **_common(up),
        "task": up.task,
        "max_steps": up.max_steps,
        "cameras": _cameras(up),
        "joints": JOINTS[up.robot],
        "image_size": up.image_size,
        "image_topic": "color/image_raw" if up.robot == "twin" or not up.camera_node else "color/image_policy",
    }
    return Process(name, {**common, **parameters}, is_session=True)
