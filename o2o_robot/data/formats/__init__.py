"""Readers of other people's dataset formats: which there are, which one a path is, and how it is opened.

A format's module imports without its library (h5py, pyarrow, av, ...), which only opening a dataset asks for: so a path
is recognised on any machine, and what is missing is one line that names the extra to install.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from o2o_robot.data.formats.dataset import Dataset, Format, Wishes
from o2o_robot.errors import DataError

__all__ = ["MODULES", "Dataset", "Format", "Wishes", "format_of", "is_dataset", "needs_libraries", "open_dataset"]

MODULES = ("lerobot", "robomimic", "diffusion_policy", "hilserl", "rlds", "table")
_EXTRA = "formats"


def open_dataset(path: str | Path) -> Dataset | None:
    """The foreign dataset at `path`; None where it is of no known format.

    Raises DataError where it is of one but cannot be read, or where the format's library is not installed.
    """
    path = Path(path)
    found = format_of(path)
    if found is None:
        return None
    try:
        with needs_libraries(f"{path}: a {found.name} dataset"):
            return found.open(path)
    except OSError as problem:
        raise DataError(f"{path}: cannot be opened ({problem.strerror or problem}); check its rights") from None


def is_dataset(path: str | Path) -> bool:
    """True where `path` looks like a dataset of a known format; opens nothing, needs no library."""
    return format_of(Path(path)) is not None


def format_of(path: Path) -> Format | None:
    """The first format that recognises `path`."""
    return next((each for each in _formats() if each.recognises(path)), None)


@contextmanager
def needs_libraries(what: str) -> Iterator[None]:
    """Turns a library that is not installed into a DataError that says how to get it."""
    try:
        yield
    except ModuleNotFoundError as problem:
        raise DataError(f"{what} needs {problem.name}; pip install 'o2o_robot[{_EXTRA}]'") from None


def _formats() -> Iterator[Format]:
    return (importlib.import_module(f"{__name__}.{module}").FORMAT for module in MODULES)
