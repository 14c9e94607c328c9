"""layout.yaml: what the columns of a plain table mean. Small YAML, checked at once, as contracts are.

    name: fr3_by_hand
    rate_hz: 20                              # ticks a second; every row where left out
    time: {first: 0, n: 1, unit: ns}         # or rows_hz: 950 where no column tells the time
    state:
      q_rad: {first: 1, n: 7}                # by position, or by a CSV's header: {names: [q1, q2]}
    action: {kind: delta_joint, of: q_rad}   # or {kind: command, first: 22, n: 7}

Beside one table it is called TABLE.layout.yaml (run.npz.layout.yaml); layout.yaml speaks for all tables of its folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from o2o_robot.config import build
from o2o_robot.data.episode import is_plain_name
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.yamlfile import read_yaml

FOLDER_LAYOUT = "layout.yaml"
FILE_SUFFIX = ".layout.yaml"
SUFFIXES = (".npy", ".npz", ".csv")
_MOST = 1e9
_TO_NS = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}


@dataclass(frozen=True)
class Columns:
    """Columns of a table: by `names` of a CSV's header, else n from position `first` on (all the rest without n).

    array: which array of an .npz; of a table with `episodes`, its name within each.
    """

    array: str = ""
    names: tuple[str, ...] = ()
    first: int = 0
    n: int | None = None

    def __post_init__(self) -> None:
        if self.first < 0 or (self.n is not None and self.n < 1):
            raise ConfigError(f"columns: first must be >= 0 and n >= 1, got {self.first} and {self.n}")
        if self.names and (self.first or self.n is not None):
            raise ConfigError("columns: give `names`, or `first` and `n`, not both")


@dataclass(frozen=True)
class TimeColumn(Columns):
    """The one column that holds each row's stamp, in `unit` from any zero."""

    unit: Literal["s", "ms", "us", "ns"] = "s"

    @property
    def to_ns(self) -> float:
        """Nanoseconds of one unit."""
        return _TO_NS[self.unit]


@dataclass(frozen=True)
class ActionColumns(Columns):
    """What was done. `command`: the columns at each tick. Else the motion of the state field `of` to the next tick.

    delta_joint: its difference. delta_pose: of 7 numbers (m, quaternion xyzw), translation then rotation vector.
    Stored scaled to [-1, 1] by low and high (a number each), or by the range of all tables.
    """

    kind: Literal["command", "delta_joint", "delta_pose"] = "command"
    of: str = ""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.kind == "command") == bool(self.of):
            raise ConfigError(f"action: {self.kind} with of: '{self.of}'; `of` names the state field of a delta")
        if len(self.low) != len(self.high) or not all(
            -_MOST < a < b < _MOST for a, b in zip(self.low, self.high, strict=True)
        ):
            raise ConfigError("action: low and high need one number a value each, every low < its high")


@dataclass(frozen=True)
class TableLayout:
    """What a table holds; one episode a file, or of an .npz one for each folder of arrays that fits `episodes`.

    files: which tables of a folder. rate_hz: ticks; None: every row. Rows have a time column, or come at rows_hz.
    reward: one number a row, of the row's own action. outcome: one number, above 0 in the last row for a success, else
    a failure. max_gap_periods: ticks further apart than this are an error: a table is one episode.
    """

    name: str
    state: dict[str, Columns]
    action: ActionColumns
    rate_hz: float | None = None
    time: TimeColumn | None = None
    rows_hz: float | None = None
    reward: Columns | None = None
    outcome: Columns | None = None
    task: str = ""
    files: str = "*"
    episodes: str = ""
    delimiter: str = ","
    max_gap_periods: float = 3.0

    def __post_init__(self) -> None:
        for name, least in (("rate_hz", 0.0), ("rows_hz", 0.0), ("max_gap_periods", 1.0)):
            value = getattr(self, name)
            if value is not None and not least < value < 1e6:
                raise ConfigError(f"layout {self.name}: {name} must be > {least:g}, got {value}")
        if (self.time is None) == (self.rows_hz is None):
            raise ConfigError(f"layout {self.name}: give the `time` column, or `rows_hz` where there is none")
        if not self.state or not all(map(is_plain_name, (self.name, *self.state))):
            raise ConfigError(f"layout {self.name}: its name and one or more of `state` need letters, digits, '_'")
        if self.action.of and self.action.of not in self.state:
            raise ConfigError(f"layout {self.name}: action.of is '{self.action.of}', state has {', '.join(self.state)}")
        if len(self.delimiter) != 1:
            raise ConfigError(f"layout {self.name}: delimiter must be one character, got '{self.delimiter}'")

    @property
    def columns(self) -> dict[str, Columns]:
        """Every use of columns: "time", "action", "reward", "outcome", "state/<field>"."""
        single = {"time": self.time, "reward": self.reward, "outcome": self.outcome}
        found = {f"state/{name}": each for name, each in self.state.items()}
        if self.action.kind == "command":
            found["action"] = self.action
        return found | {name: each for name, each in single.items() if each is not None}


def layout_of(table: Path) -> Path | None:
    """The layout that speaks for a table, its own before its folder's; or for a folder of tables. None: there is none.

    Where a folder holds no table its layout.yaml is somebody else's.
    """
    if table.is_dir():
        candidates = [table / FOLDER_LAYOUT] if any(map(is_table, table.iterdir())) else []
    else:
        candidates = [table.with_name(table.name + FILE_SUFFIX), table.parent / FOLDER_LAYOUT]
    return next((each for each in candidates if each.is_file()), None)


def is_table(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def load_layout(path: Path) -> TableLayout:
    """Raises DataError naming the key that is wrong; the other sources of an ingest go on."""
    try:
        settings: Any = read_yaml(path)
    except ConfigError as problem:
        raise DataError(str(problem)) from None
    if not isinstance(settings, Mapping) or not all(isinstance(key, str) for key in settings):
        raise DataError(f"{path}: expected a mapping of settings, got {type(settings).__name__}")
    try:
        return build(TableLayout, settings, where=str(path))
    except ConfigError as problem:
        raise DataError(str(problem)) from None
