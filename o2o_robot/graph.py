"""The graph of processes, described once: `ros2 launch` and `o2o up` both read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from o2o_robot.errors import ConfigError
from o2o_robot.graph_arm import JOINTS as JOINTS
from o2o_robot.graph_arm import action_space, is_map, laid_over, params_files, twin_joints
from o2o_robot.graph_reset import NONE, RESET_PATIENCE_S, require_chain, reset_parameters
from o2o_robot.graph_reward import TRUTH_TOPIC, judge_parameters, require_judge
from o2o_robot.graph_teleop import beside_parameters, demonstrating, require_device
from o2o_robot.robot.action_space import has_gripper

ROBOTS = ("twin", "fr3", "ur5e")
OF_THE_TWIN = ("arm", "sensors", "randomization", "placements")


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
    clearance_m: float = described(0.002, "twin's peg task: gap between peg and hole on each side; the demo's 0.01")
    first_seed: int = described(0, "seed of the first scene")
    resume: bool = described(False, "go on with the run in run_dir where its schedule stood")
    camera_node: bool = described(True, "real robots: start camera_node; false where realsense2_camera runs")
    arm: str = described("fr3", "twin only: fr3, ur5e, or the path of a name map (.yaml) of your own model")
    sensors: str = described("none", "twin only: what its sensors do to the truth: none, real, or a file's path")
    randomization: str = described("none", "twin only: drawn for each scene: none, mild, strong, or a file's path")
    placements: str = described("", "twin only: calibration results (.yaml) to place cameras by, with commas")
    action_space: str = described("", "delta_position, delta_position_gripper; empty: the task's (lift has a gripper)")
    params_file: str = described("", "your cell's parameters (.yaml), laid over launch/params/<robot>.yaml")
    ask_outcome: str = described("", "ask a person how an episode ended: never, doubtful, always; empty: as it fits")
    reward: str = described(
        "", "who judges: empty, the twin's state; a folder of o2o reward train; topic, pose, wrench or keys"
    )
    teleop: str = described(
        "", "a person's device: spacemouse, gamepad, keyboard, joy, browser, twist, leader; or simulated; empty: nobody"
    )
    reset: str = described(
        "", "how the arm gets back: path,unstick,replay,learned,ask; empty: the twin's own, else ask; none: yours"
    )
    console: bool = described(False, "the operator's web page; its address is printed, and in run_dir/console.json")
    console_host: str = described("127.0.0.1", "address that the page listens at; this machine alone unless told")
    console_port: int = described(8765, "the page's port; any free one where that is taken")

    def __post_init__(self) -> None:
        if self.robot not in ROBOTS:
            raise ConfigError(f"no robot '{self.robot}' (there are {', '.join(ROBOTS)})")
        self._check_arm()
        if self.robot != "twin" and self.realtime_factor != 1.0:
            object.__setattr__(self, "realtime_factor", 1.0)  # only a simulator can run at another pace
        if self.realtime_factor < 0:
            raise ConfigError(f"realtime_factor must be >= 0, got {self.realtime_factor}; 0 is lockstep, 1 real time")

    @property
    def lockstep(self) -> bool:
        return self.realtime_factor == 0.0

    @property
    def joints(self) -> list[str]:
        """Joint names of the arm that answers."""
        return twin_joints(self.arm) if self.robot == "twin" else JOINTS[self.robot]

    @property
    def space(self) -> str:
        """What an action's numbers mean, for both sides of it."""
        return action_space(self.task, self.action_space)

    def _check_arm(self) -> None:
        """Raises ConfigError for an arm, a space or a file that there is not."""
        told = [name for name in OF_THE_TWIN if getattr(self, name) != getattr(Up, name)]
        if self.robot != "twin" and told:
            raise ConfigError(f"{', '.join(told)}: of the twin alone, and the robot is '{self.robot}'; leave it out")
        has_gripper(self.space)
        require_judge(self.reward)
        require_chain(self.reset)
        require_device(self.teleop, self.robot)
        if self.robot == "twin":
            twin_joints(self.arm)
        if self.robot == "twin" and is_map(self.arm) and not self.params_file:
            raise ConfigError(
                f"arm {self.arm} is your own, and so are its limits: give params_file with /**/arm_node's guard.robot, "
                "tool and workspace (see launch/params/twin_ur5e.yaml)"
            )
        if self.params_file:
            laid_over([self.params_file], "arm_node")


@dataclass(frozen=True)
class Collect(Up):
    """Demonstrations by the scripted expert, or by a person at a device (teleop), one MCAP file an episode."""

    episodes: int = described(60, "episodes to record")
    noise: float = described(0.3, "standard deviation of the expert's action noise, of full scale")
    bias_m: float = described(0.008, "standard deviation of an episode's wrong aim, metres")
    distracted: float = described(0.0, "share of episodes aimed at the distractor")
    countdown_s: float = described(3.0, "a person's device: seconds to count down before each episode")


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
    intervention_share: float = described(
        0.0, "share of each mini-batch from steps that a person moved, and offline's demonstrations; HIL-SERL keeps 0.5"
    )
    online_steps: int = described(1500, "steps while learning")
    utd: int = described(1, "critic updates to environment steps")
    eval_episodes: int = described(0, "episodes of the mean action at the end, and in each round between; 0: none")
    eval_every: int = described(0, "online episodes between two rounds of evaluation, the first before them; 0: none")
    eval_first_seed: int = described(900_000, "of the scenes that are evaluated, and nothing is learned on")
    begin_paused: bool = described(False, "wait for the session's ~/resume before the first episode")
    wandb: bool = described(False, "curves at Weights & Biases too (pip install wandb; WANDB_MODE=offline keeps them)")
    rerun: str = described("", "show the run in Rerun: a viewer's address, or a file that ends in .rrd")
    resume: bool = described(False, "go on with the run in run_dir: learner, counts, schedule where it is the same")


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
    "intervention_share",
    "resume",
    "wandb",
    "rerun",
)


# Where the session keeps every step until they have it safe, these two may die and come back: nothing is lost. What
# moves the arm, and what decides to, is never started again by itself: a person looks first.
RESTARTS = 3
# A bag holds what only its recorder heard: an episode counts once it says that the file is whole.
RECORDER_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Cameras(Up):
    """Real cameras alone: to look through, or to calibrate."""

    robot: str = described("fr3", "fr3 or ur5e: whose cameras, of launch/params/<robot>.yaml")


@dataclass(frozen=True)
class Process:
    """One node: its executable, its parameters, and whether its clean end is the end of the run.

    restarts: how often it is started again when it dies; 0: its death stops the run. on_restart: parameters that are
    others then.
    """

    name: str
    parameters: dict[str, Any]
    params_file: str = ""
    is_session: bool = False
    restarts: int = 0
    on_restart: dict[str, Any] = field(default_factory=dict)


def collect(up: Collect, share: Path) -> list[Process]:
    schedule = [f"demo episodes={up.episodes} first_seed={up.first_seed}"]
    teleop = {"noise": up.noise, "bias_m": up.bias_m, "distracted": up.distracted, "schedule": schedule}
    teleop |= {"recorder_patience_s": RECORDER_PATIENCE_S, "resume": up.resume}
    bags = {"bags": str(Path(up.run_dir) / "bags")}
    teleop |= demonstrating(up.teleop, up.countdown_s)
    session = _session(up, share, "teleop_node", {**teleop, "step_readers": 1})
    session = _with_files(up, share, session) if up.teleop else session
    return [*_arm(up, share), *_judge(up, share), *_console(up), _recorder(up, share, bags), session]


def evaluate(up: Evaluate, share: Path) -> list[Process]:
    schedule = [f"eval episodes={up.episodes} first_seed={up.first_seed}"]
    policy = {"checkpoint": up.checkpoint, "seed": up.seed, "schedule": schedule, "step_readers": 1}
    policy |= {"step_keepers": ["recorder_node"], "resume": up.resume}
    recorder = replace(_recorder(up, share, _store(up)), restarts=RESTARTS)
    session = _session(up, share, "policy_node", policy)
    return [*_arm(up, share), *_judge(up, share), *_hand(up, share), *_console(up), recorder, session]


def finetune(up: Finetune, share: Path) -> list[Process]:
    schedule = []
    if up.warmup_steps:
        schedule.append(f"warmup steps={up.warmup_steps} first_seed={up.first_seed}")
    schedule.append(f"online steps={up.online_steps} first_seed={up.first_seed + 100_000}")
    if up.eval_episodes:
        schedule.append(f"eval episodes={up.eval_episodes} first_seed={up.eval_first_seed}")
    policy = {
        "checkpoint": up.checkpoint,
        "seed": up.seed,
        "schedule": schedule,
        "step_readers": 2,
        "max_updates_owed": 0 if up.lockstep else -1,
        "step_keepers": ["learner_node", "recorder_node"],
        "resume": up.resume,
        "wandb": up.wandb,
        **_evaluations(up),
        **({"begin_paused": True} if up.begin_paused else {}),
        **({"ask_outcome": "always"} if up.teleop == "simulated" else {}),  # it answers each time
    }
    learner = {
        **_common(up),
        "checkpoint": up.checkpoint,
        "seed": up.seed,
        **{name: getattr(up, name) for name in LEARNER_SETTINGS},
    }
    return [
        *_arm(up, share),
        *_judge(up, share),
        *_hand(up, share),
        *_console(up),
        replace(_recorder(up, share, _store(up)), restarts=RESTARTS),
        Process("learner_node", learner, restarts=RESTARTS, on_restart={"resume": True}),
        _session(up, share, "policy_node", policy),
    ]


def _evaluations(up: Finetune) -> dict[str, Any]:
    """What the session is told of rounds between, where there are any."""
    if not (up.eval_every and up.eval_episodes):
        return {}
    names = ("eval_every", "eval_episodes", "eval_first_seed")
    return {name: getattr(up, name) for name in names}


def cameras(up: Up, share: Path) -> list[Process]:
    """camera_node; the robot's own file says which device is which."""
    eyes = {**_common(up), "cameras": _cameras(up), **{f"{name}.policy_size": up.image_size for name in _cameras(up)}}
    return [_with_files(up, share, Process("camera_node", eyes))]


STORIES: dict[str, tuple[type[Up], Callable[[Any, Path], list[Process]]]] = {
    "collect": (Collect, collect),
    "evaluate": (Evaluate, evaluate),
    "finetune": (Finetune, finetune),
}
# without a session: they run until somebody ends them
PARTS: dict[str, tuple[type[Up], Callable[[Any, Path], list[Process]]]] = {"cameras": (Cameras, cameras)}


def _common(up: Up) -> dict[str, Any]:
    sim_time = up.robot == "twin"
    return {"run_dir": up.run_dir, "lockstep": up.lockstep, "use_sim_time": sim_time, "hardware_id": up.robot}


def _cameras(up: Up) -> list[str]:
    return _words(up.cameras)


def _store(up: Up) -> dict[str, Any]:
    return {"store": str(Path(up.run_dir) / "episodes.zarr")}


def _arm(up: Up, share: Path) -> list[Process]:
    """arm_node, and behind it the twin where no driver answers."""
    arm = {**_common(up), "joints": up.joints, "limits": up.robot, "auto_arm": up.robot == "twin"}
    arm |= {"awaits_teleop": True} if _has_hand_beside(up) and up.lockstep else {}
    door = _with_files(up, share, Process("arm_node", {**arm, "action_space": up.space}))
    if up.robot != "twin":
        return [*(cameras(up, share) if up.camera_node else []), door, *_reset(up, share)]
    twin = {
        **_common(up),
        "task": up.task,
        "robot": up.arm,
        "joints": up.joints,
        "cameras": _cameras(up),
        "image_size": up.image_size,
        "clearance_m": up.clearance_m,
        "realtime_factor": up.realtime_factor,
        "sensors": up.sensors,
        "randomization": up.randomization,
        "placements": _words(up.placements) or [""],
        "action_space": up.space,
        **({"task_state_topic": TRUTH_TOPIC} if up.reward else {}),
        **({"place_only": True} if _reset(up, share) else {}),
    }
    return [_with_files(up, share, Process("twin_node", {**twin, "use_sim_time": False})), door, *_reset(up, share)]


def _reset(up: Up, share: Path) -> list[Process]:
    """reset_node, where the arm is brought back as a real one is: always on a real robot, unless told otherwise."""
    if up.reset == NONE or (up.robot == "twin" and not up.reset):
        return []
    arm = {**_common(up), "joints": up.joints, "cameras": _cameras(up), "image_topic": _image_topic(up)}
    facts = {**arm, "action_space": up.space, **reset_parameters(up.reset, up.robot, up.arm)}
    return [_with_files(up, share, Process("reset_node", facts))]


def _judge(up: Up, share: Path) -> list[Process]:
    """reward_node in the twin's place, where somebody else than its state is to judge."""
    if not up.reward:
        return []
    facts = {**_common(up), **judge_parameters(up.reward), "image_topic": _image_topic(up)}
    return [_with_files(up, share, Process("reward_node", facts))]


def _has_hand_beside(up: Up) -> bool:
    """Whether a person's device is there beside a policy; in `collect` it has the session."""
    return bool(up.teleop) and not isinstance(up, Collect)


def _hand(up: Up, share: Path) -> list[Process]:
    """teleop_node, where a person may take over from the policy."""
    if not _has_hand_beside(up):
        return []
    facts = {**_common(up), **beside_parameters(up.teleop, task=up.task, space=up.space, joints=up.joints)}
    facts |= {"truth_topic": TRUTH_TOPIC} if up.reward and up.robot == "twin" else {}
    return [_with_files(up, share, Process("teleop_node", facts))]


def _image_topic(up: Up) -> str:
    return "color/image_raw" if up.robot == "twin" or not up.camera_node else "color/image_policy"


def _with_files(up: Up, share: Path, process: Process) -> Process:
    """The process, told the chosen facts: by the robot's file, and where several are laid over it by all their sum."""
    first, *above = params_files(up.robot, up.arm, up.space, share, up.params_file)
    if not above:
        return replace(process, params_file=first)
    return replace(process, parameters={**process.parameters, **laid_over([first, *above], process.name)})


def _reading_gripper(up: Up, share: Path, process: Process) -> Process:
    """Where the action moves a gripper, the robot's files say where its state is to be read."""
    return _with_files(up, share, process) if has_gripper(up.space) else process


def _console(up: Up) -> list[Process]:
    """The operator's page: whatever becomes of it, the run goes on."""
    if not up.console:
        return []
    page = {"host": up.console_host, "port": up.console_port, "checkpoint": getattr(up, "checkpoint", "")}
    facts = {**_common(up), **page, "cameras": _cameras(up), "image_topic": "color/image_raw"}
    return [Process("console_node", facts, restarts=RESTARTS)]


def _recorder(up: Up, share: Path, where: dict[str, Any]) -> Process:
    facts = {**_common(up), "cameras": _cameras(up), "scenes": up.randomization != "none", **where}
    return _reading_gripper(up, share, Process("recorder_node", facts))


def _session(up: Up, share: Path, name: str, parameters: dict[str, Any]) -> Process:
    common = {
        **_common(up),
        "task": up.task,
        "max_steps": up.max_steps,
        "cameras": _cameras(up),
        "joints": up.joints,
        "action_space": up.space,
        "image_size": up.image_size,
        "image_topic": _image_topic(up),
        **({"reset_patience_s": RESET_PATIENCE_S} if _reset(up, share) else {}),
        **({"truth_topic": TRUTH_TOPIC} if up.reward and up.robot == "twin" and name == "teleop_node" else {}),
    }
    asks = {"ask_outcome": up.ask_outcome} if up.ask_outcome else {}
    return _reading_gripper(up, share, Process(name, {**common, **parameters, **asks}, is_session=True))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
