"""What every foreign dataset looks like from here: episodes by number, raw actions with a range, nothing executed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from o2o_robot.data.action_range import ActionRange
from o2o_robot.types import Episode, Outcome


@dataclass(frozen=True)
class Wishes:
    """What the command line asked of a foreign dataset, the same for all its episodes.

    cameras, state: keys to take, () for all, in the dataset's own names. outcome: for episodes that do not say how
    they ended (None: unknown). task: for episodes that do not name theirs.
    """

    image_side: int = 64
    cameras: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    outcome: Outcome | None = None
    task: str = ""


class Dataset(Protocol):
    """A foreign dataset, opened: what is in it is known and checked, no frame is decoded yet.

    dataset = open_dataset(path)                       # formats/__init__.py asks every format in turn
    action_range = dataset.action_range()
    for number in range(len(dataset)):
        store.append(dataset.read(number, wishes, action_range))
    """

    path: Path
    kind: str

    def __len__(self) -> int:
        """Episodes it claims to hold."""
        ...

    def fingerprint(self) -> str:
        """The same for the same data wherever it lies: enough bytes of its files to tell two datasets apart."""
        ...

    def action_range(self) -> ActionRange | None:
        """The range over all raw actions; None where the format promises [-1, 1] and keeps it."""
        ...

    def read(self, number: int, wishes: Wishes, action_range: ActionRange | None) -> Episode:
        """Episode `number`, valid, with meta `id`, `task`, `mode`, `outcome`, `termination`, and where a range was
        applied `action_low` and `action_high`. Raises DataError naming what is wrong; the others can still be read."""
        ...


class Format(NamedTuple):
    """One kind of dataset: its name, whether a path looks like it (cheap, never raises), and how it is opened."""

    name: str
    recognises: Callable[[Path], bool]
    open: Callable[[Path], Dataset]
