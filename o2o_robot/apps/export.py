"""Write an episode store as a dataset that others read: `o2o export data/peg.zarr --to lerobot --out peg_lerobot`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.progress import Progress

from o2o_robot.data.formats import lerobot_export, needs_libraries, robomimic_export
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError

_SAY_AFTER_S = 2.0


def main(
    store: Annotated[Path, tyro.conf.Positional],
    *,
    to: Literal["lerobot", "robomimic"],
    out: Path,
    fps: int | None = None,
    pictures: Literal["video", "png"] = "video",
    task: str = "",
    valid: float = 0.0,
    seed: int = 0,
) -> int:
    """Write all episodes of a store as a LeRobot v3.0 folder or a robomimic HDF5 file, which ingest reads back.

    The result is written aside and renamed: it is there whole, or not at all. Nothing is ever written over.

    Args:
        store: an episode store.
        to: lerobot (actions in the recording's own unit) or robomimic (actions in [-1, 1]).
        out: the folder or file to make.
        fps: lerobot only: rate of its grid; the rate of the stamps without it.
        pictures: lerobot only: h264 video, or png without loss.
        task: lerobot only: the task of episodes that name none.
        valid: robomimic only: part of the episodes in mask/valid, the rest in mask/train; 0 writes no masks.
        seed: draws those episodes.
    """
    _check(to, fps=fps, pictures=pictures, task=task, valid=valid)
    console = Console(soft_wrap=True, highlight=False)
    with EpisodeStore.open(store) as episodes, _bar(console, len(episodes)) as progress, needs_libraries(f"--to {to}"):
        if to == "lerobot":
            lerobot_export.export(episodes, out, fps=fps, task=task, pictures=pictures, progress=progress)
        else:
            rng = np.random.default_rng(seed)
            robomimic_export.export(episodes, out, valid=valid, rng=rng, progress=progress)
        told = f"{out}: {len(episodes)} episodes, {episodes.n_steps} steps as {to}, {_megabytes(out):.1f} MB"
    console.print(told, markup=False)
    return 0


def _check(to: str, *, fps: int | None, pictures: str, task: str, valid: float) -> None:
    """Raises ConfigError where an option is out of range, or means nothing for this format."""
    if not 0.0 <= valid < 1.0:
        raise ConfigError(f"--valid must be at least 0 and below 1, got {valid:g}; 0.1 keeps a tenth for validation")
    if fps is not None and fps < 1:
        raise ConfigError(f"--fps must be at least 1, got {fps}")
    is_given = {"--fps": fps is not None, "--pictures": pictures != "video", "--task": bool(task)}
    strange = (
        [option for option, given in is_given.items() if given] if to == "robomimic" else ["--valid"] * bool(valid)
    )
    if strange:
        raise ConfigError(f"{strange[0]} means nothing with --to {to}; leave it out")


@contextmanager
def _bar(console: Console, n_episodes: int) -> Iterator[Callable[[int], None]]:
    """A progress bar that shows itself where an export takes longer than a moment."""
    started = time.monotonic()
    bar = Progress(console=console, transient=True)
    export = bar.add_task("export", total=n_episodes)

    def progress(n_done: int) -> None:
        bar.update(export, completed=n_done)
        if console.is_terminal and time.monotonic() - started > _SAY_AFTER_S:
            bar.start()

    try:
        yield progress
    finally:
        if bar.live.is_started:
            bar.stop()


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6
