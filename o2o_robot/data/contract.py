"""What a recording promises: which topic is which camera, joint, action and reward. Small YAML, checked at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import yaml

from o2o_robot.config import build
from o2o_robot.errors import ConfigError, DataError

SHIPPED = Path(__file__).parent / "contracts"


@dataclass(frozen=True)
class ImageStream:
    """A camera: sensor_msgs Image or CompressedImage. The whole picture is resized to side x side pixels."""

    topic: str
    side: int = 64

    def __post_init__(self) -> None:
        if not 8 <= self.side <= 1024:
            raise ConfigError(f"image side of {self.topic} must be 8 to 1024 pixels, got {self.side}")


@dataclass(frozen=True)
class StateField:
    """A proprioception field: `field` is a path in the message (position, pose.orientation).

    joints picks and orders entries of a JointState by name; without it the entries are taken by position, as they come.
    default: each joint's value where a message lacks it, or leaves the whole field empty; without it that is an error.
    """

    topic: str
    field: str = "position"
    joints: tuple[str, ...] = ()
    default: float | None = None


@dataclass(frozen=True)
class ActionStream:
    """What was done. `executed`: o2o_msgs/ExecutedAction, whose stamps are the ticks. `command`: a topic in raw units.

    A command is stored scaled to [-1, 1] by low and high (one number each a joint). Without them the range of the data
    is taken: over all bags of one ingest, or the one already in the store.
    """

    topic: str
    kind: Literal["executed", "command"]
    field: str = "position"
    joints: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or any(a >= b for a, b in zip(self.low, self.high, strict=True)):
            raise ConfigError(f"action {self.topic}: low and high need one number a joint each, every low < its high")


@dataclass(frozen=True)
class Contract:
    """A layout of topics. A topic matches by its last parts, so `joint_states` also means `/left/joint_states`.

    Ticks come from the executed actions, or from the first camera (else the first state field) thinned to rate_hz. At
    each tick the latest message not older than tolerance_s is taken. Where ticks are more than max_gap_periods apart
    the recording is cut and its longest part kept. episode: topic of o2o_msgs/EpisodeEvent; without one a bag is one
    episode. reward: topic of o2o_msgs/TaskState; without one `--outcome` says how it ended.
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
        optional = [topic for topic in (self.reward, self.episode) if topic]
        return tuple(dict.fromkeys([*(stream.topic for stream in streams), *optional]))


def load_contract(name_or_path: str) -> Contract:
    """A shipped contract by name, or one from a YAML file. Raises ConfigError naming the key that is wrong."""
    path = SHIPPED / f"{name_or_path}.yaml" if name_or_path in shipped_contracts() else Path(name_or_path)
    try:
        settings = yaml.safe_load(path.read_text())
    except OSError:
        allowed = ", ".join(shipped_contracts())
        raise ConfigError(f"contract '{name_or_path}': no such file, nor a shipped contract ({allowed})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise ConfigError(f"contract {path}: not YAML ({problem})") from None
    if not isinstance(settings, Mapping):
        raise ConfigError(f"contract {path}: expected a mapping of settings, got {type(settings).__name__}")
    return build(Contract, settings, where=f"contract {path}")


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


def choose_contract(topics: Iterable[str]) -> Contract:
    """The shipped contract whose topics are all there, the most demanding of several. Raises DataError if none."""
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
    return max(fitting, key=lambda each: len(each.topics))


def _matches(wanted: str, names: tuple[str, ...]) -> tuple[str, ...]:
    exact = "/" + wanted.lstrip("/")
    fits = tuple(name for name in names if f"/{name.lstrip('/')}".endswith(exact))  # a recorder may leave the / out
    same = tuple(name for name in fits if f"/{name.lstrip('/')}" == exact)
    return same or (() if wanted.startswith("/") else fits)
