"""What a recording promises: which topic is which camera, joint, action and reward. Small YAML, checked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from o2o_robot.config import build
from o2o_robot.data.bags import field_path
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.yamlfile import read_yaml

SHIPPED = Path(__file__).parent / "contracts"
SERVICE_EVENTS = "/_service_event"  # what rosbag2 records a service's calls as (REP 2012)


@dataclass(frozen=True)
class ImageStream:
    """A camera: sensor_msgs Image or CompressedImage. The whole picture is resized to side x side pixels.

    bayer: a mosaic is refused, or made into colours. depth_m: a 16-bit (millimetres) or float (metres) depth image is
    refused where this is empty, else shown as grey, 1 at depth_m[0] and nearer to 255 at depth_m[1] and farther; 0 is
    no reading.
    tolerance_s: how old a frame may be at a tick, in place of the contract's.
    """

    topic: str
    side: int = 64
    bayer: Literal["refuse", "convert"] = "refuse"
    depth_m: tuple[float, ...] = ()
    tolerance_s: float | None = None

    def __post_init__(self) -> None:
        if not 8 <= self.side <= 1024:
            raise ConfigError(f"image side of {self.topic} must be 8 to 1024 pixels, got {self.side}")
        if self.depth_m and not (len(self.depth_m) == 2 and 0 <= self.depth_m[0] < self.depth_m[1]):
            raise ConfigError(f"depth_m of {self.topic} must be [near, far] in metres, got {list(self.depth_m)}")


@dataclass(frozen=True)
class StateField:
    """A proprioception field: `field` is a path in the message (position, pose.orientation, axes[0:3], buttons[2]).

    A path may end at a whole pose or transform (7 numbers: position, quaternion xyzw), twist (6: linear, angular) or
    wrench (6: force, torque); an empty one is the message itself (data/bags/field_path.py).
    joints picks and orders entries of a JointState by name; without it the entries are taken by position, as they come.
    default: each joint's value where a message lacks it, or leaves the whole field empty; without it that is an error.
    tolerance_s: how old a message may be at a tick, in place of the contract's.
    """

    topic: str
    field: str = "position"
    joints: tuple[str, ...] = ()
    default: float | None = None
    tolerance_s: float | None = None

    def __post_init__(self) -> None:
        field_path.parse(self.field)


@dataclass(frozen=True)
class ActionStream:
    """What was done. `executed`: o2o_msgs/ExecutedAction, whose stamps are the ticks. `command`: a topic in raw units.

    Where no command was recorded the motion itself is the action, from each tick to the next: `delta_joint`, the
    difference of `field` (radians); `delta_pose`, of a message that holds one pose or transform (found by itself, or
    the path `field` to it), translation (m) then rotation vector (rad) in the base frame (data/ingest/derive.py).
    A command is stored scaled to [-1, 1] by low and high (one number each a joint). Without them the range of the data
    is taken: over all bags of one ingest, or the one already in the store.
    tolerance_s: how old a command may be at a tick, in place of the contract's.
    """

    topic: str
    kind: Literal["executed", "command", "delta_joint", "delta_pose"]
    field: str = "position"
    joints: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    tolerance_s: float | None = None

    def __post_init__(self) -> None:
        field_path.parse(self.field)
        if len(self.low) != len(self.high) or any(a >= b for a, b in zip(self.low, self.high, strict=True)):
            raise ConfigError(f"action {self.topic}: low and high need one number a joint each, every low < its high")


@dataclass(frozen=True)
class RewardStream:
    """A number from a topic, latest before each tick's end: the reward of that step."""

    topic: str
    field: str = "data"

    def __post_init__(self) -> None:
        field_path.parse(self.field)


@dataclass(frozen=True)
class OutcomeStream:
    """How an episode ended: the last value of `field` within it, compared with what means success and failure.

    success, failure: values as text ("true", "1", "done"); any other value leaves the outcome unknown.
    """

    topic: str
    field: str = "data"
    success: tuple[str, ...] = ("true", "1", "success")
    failure: tuple[str, ...] = ("false", "0", "-1", "failure")

    def __post_init__(self) -> None:
        field_path.parse(self.field)
        if shared := set(self.success) & set(self.failure):
            raise ConfigError(f"outcome {self.topic}: {', '.join(sorted(shared))} stands for success and for failure")


@dataclass(frozen=True)
class Split:
    """Where one episode ends and the next begins (data/ingest/split.py).

    bag: a recording is one episode. topic: `field` of `topic`; true is inside one, and so is a number that is not 0 or
    a text that is not empty, of which each change begins the next. service: each call recorded on `topic` (a service
    event topic) with `field` of the request true starts, false ends; a request without that
    field toggles. gap: silence of the reference stream longer than gap_s. button: `button` of a sensor_msgs/Joy; each
    press toggles. An episode that is not ended before the recording lasts to its end.
    """

    by: Literal["bag", "topic", "service", "gap", "button"] = "bag"
    topic: str = ""
    field: str = "data"
    button: int = 0
    gap_s: float = 5.0

    def __post_init__(self) -> None:
        field_path.parse(self.field)
        if self.by in ("topic", "service", "button") and not self.topic:
            raise ConfigError(f"split by {self.by}: say which `topic`")
        if self.by == "service" and not self.topic.endswith(SERVICE_EVENTS):
            raise ConfigError(
                f"split by service: '{self.topic}' is no topic of service events; rosbag2 records the calls of a "
                f"service as '{self.topic.rstrip('/')}{SERVICE_EVENTS}'"
            )
        if not self.gap_s > 0 or self.button < 0:
            raise ConfigError(f"split: gap_s must be > 0 and button >= 0, got {self.gap_s} and {self.button}")


@dataclass(frozen=True)
class Faults:
    """What to do where a stream is at fault (ingest/faults.py): `keep` on and say so, `cut`, or `reject` the episode.

    clock_jump: stamps leap against the times of receipt, or go back. gap: ticks further apart than max_gap_periods.
    frozen: the same values (or pixels) for longer than frozen_s while stamps go on. rate_change: a stream's period
    changes for good by more than a factor of rate_factor. pieces: of a cut episode the longest is kept, or all of them.
    """

    clock_jump: Literal["cut", "reject"] = "cut"
    gap: Literal["cut", "reject"] = "cut"
    frozen: Literal["keep", "cut", "reject"] = "keep"
    rate_change: Literal["keep", "cut", "reject"] = "keep"
    clock_jump_s: float = 0.5
    frozen_s: float = 1.0
    rate_factor: float = 1.5
    pieces: Literal["longest", "all"] = "longest"

    def __post_init__(self) -> None:
        for name, least in (("clock_jump_s", 0.0), ("frozen_s", 0.0), ("rate_factor", 1.0)):
            if not getattr(self, name) > least:
                raise ConfigError(f"faults: {name} must be > {least:g}, got {getattr(self, name)}")


@dataclass(frozen=True)
class Contract:
    """A layout of topics. A topic matches by its last parts, so `joint_states` also means `/left/joint_states`.

    Ticks come from the executed actions, or from the first camera (else the first state field) thinned to rate_hz. At
    each tick the latest message not older than tolerance_s is taken. Where ticks are more than max_gap_periods apart,
    or a stream is at fault, `faults` says what happens. episode: topic of o2o_msgs/EpisodeEvent; without one `split`
    says where episodes begin and end. reward: topic of o2o_msgs/TaskState, or reward_stream any number; without either
    the outcome (outcome stream, or `--outcome`) puts reward 1 on the last step of a success.
    definitions: folder of .msg, .srv and .idl files (package/msg/Name.msg) for types the recording does not define,
    as seen from the contract's file.
    """

    name: str
    rate_hz: float
    state: dict[str, StateField]
    action: ActionStream
    images: dict[str, ImageStream] = field(default_factory=dict)
    reward: str | None = None
    episode: str | None = None
    task: str = ""
    tolerance_s: float = 0.1
    max_gap_periods: float = 3.0
    reward_stream: RewardStream | None = None
    outcome: OutcomeStream | None = None
    split: Split = field(default_factory=Split)
    faults: Faults = field(default_factory=Faults)
    definitions: str = ""

    def __post_init__(self) -> None:
        for name, least in (("rate_hz", 0.0), ("tolerance_s", 0.0), ("max_gap_periods", 1.0)):
            if not getattr(self, name) > least:
                raise ConfigError(f"contract {self.name}: {name} must be > {least:g}, got {getattr(self, name)}")
        if not self.state:
            raise ConfigError(f"contract {self.name}: state is empty; name at least one field, e.g. q_rad")
        if self.action.kind == "executed" and not (self.reward and self.episode):
            raise ConfigError(f"contract {self.name}: executed actions need the topics `reward` and `episode` as well")

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic as the contract writes it, the reference stream first, each once."""
        streams: list[ImageStream | StateField | ActionStream] = [
            *self.images.values(),
            *self.state.values(),
            self.action,
        ]
        optional = [topic for topic in (self.reward, self.episode, self.split.topic) if topic]
        optional += [each.topic for each in (self.reward_stream, self.outcome) if each]
        return tuple(dict.fromkeys([*(stream.topic for stream in streams), *optional]))


def load_contract(name_or_path: str) -> Contract:
    """A shipped contract by name, or one from a YAML file. Raises ConfigError naming the key that is wrong."""
    path = SHIPPED / f"{name_or_path}.yaml" if name_or_path in shipped_contracts() else Path(name_or_path)
    try:
        settings = read_yaml(path)
    except OSError:
        allowed = ", ".join(shipped_contracts())
        raise ConfigError(f"contract '{name_or_path}': no such file, nor a shipped contract ({allowed})") from None
    except ConfigError as problem:
        raise ConfigError(f"contract {problem}") from None
    if not isinstance(settings, Mapping):
        raise ConfigError(f"contract {path}: expected a mapping of settings, got {type(settings).__name__}")
    contract = build(Contract, settings, where=f"contract {path}")
    if not contract.definitions:
        return contract
    folder = path.parent / Path(contract.definitions).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"contract {path}: definitions names {folder}, which is not a folder")
    return replace(contract, definitions=str(folder))


def shipped_contracts() -> tuple[str, ...]:
    """Names of the contracts that come with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def resolve(contract: Contract, topics: Iterable[str]) -> dict[str, str]:
    """Contract topic -> the bag's topic. Raises DataError where one is missing, or where two fit equally well."""
    names = tuple(topics)
    found = {wanted: _matches(wanted, names) for wanted in contract.topics}
    missing = [wanted for wanted, fits in found.items() if not fits]
    if missing:
        raise DataError(f"contract '{contract.name}' needs {', '.join(missing)}, which the recording does not hold")
    for wanted, fits in found.items():
        if len(fits) > 1:
            raise DataError(
                f"contract '{contract.name}': '{wanted}' fits {', '.join(fits)}; write the whole topic name"
            )
    return {wanted: fits[0] for wanted, fits in found.items()}


def choose_contract(
    topics: Iterable[str], speaks_of: Callable[[], Callable[[Contract], bool]] | None = None
) -> Contract:
    """The shipped contract whose topics are all there, the most demanding of several. Raises DataError if none.

    speaks_of(): what to ask of those that are as demanding; the first that it is true of is taken, else the first.
    """
    names = tuple(topics)
    contracts = [load_contract(name) for name in shipped_contracts()]
    fitting = [each for each in contracts if all(_matches(topic, names) for topic in each.topics)]
    if not fitting:
        n_held = [sum(bool(_matches(topic, names)) for topic in each.topics) for each in contracts]
        near = contracts[n_held.index(max(n_held))]
        if not max(n_held):
            shipped = ", ".join(shipped_contracts())
            raise DataError(
                f"foreign: none of its {len(names)} topics is in a shipped contract ({shipped}); pass --contract FILE"
            )
        missing = [topic for topic in near.topics if not _matches(topic, names)]
        raise DataError(
            f"no shipped contract fits its {len(names)} topics (nearest: '{near.name}', which also needs "
            f"{', '.join(missing)}); write one and pass --contract FILE"
        )
    most = max(len(each.topics) for each in fitting)
    best = [each for each in fitting if len(each.topics) == most]
    if len(best) == 1 or speaks_of is None:
        return best[0]
    is_spoken_of = speaks_of()
    return next((each for each in best if is_spoken_of(each)), best[0])


def _matches(wanted: str, names: tuple[str, ...]) -> tuple[str, ...]:
    exact = "/" + wanted.lstrip("/")
    fits = tuple(name for name in names if f"/{name.lstrip('/')}".endswith(exact))  # a recorder may leave the / out
    same = tuple(name for name in fits if f"/{name.lstrip('/')}" == exact)
    return same or (() if wanted.startswith("/") else fits)
