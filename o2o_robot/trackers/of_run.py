"""The trackers of one node of a run, by what it was told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from o2o_robot.errors import ConfigError
from o2o_robot.trackers.follow import Follower
from o2o_robot.trackers.tensorboard import TensorBoard
from o2o_robot.trackers.tracker import Tracker
from o2o_robot.trackers.wandb_run import Wandb


def follower(
    run_dir: Path,
    node: str,
    logs: Sequence[str],
    *,
    wandb: bool,
    warn: Callable[[str], None],
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Follower:
    """What follows these logs into run_dir/tensorboard/<node> and, where asked, into a W&B run of its own.

    Not begun yet: enter it. Raises ConfigError where W&B is asked for and not installed: before the arm moves.
    """
    if wandb:
        require_wandb()
    folder = run_dir / "tensorboard" / node

    def open_trackers() -> list[Tracker]:
        found: list[Tracker] = _tensorboard(folder, warn)
        if wandb:
            name = f"{run_dir.resolve().name}-{node}"
            found.append(Wandb(run_dir / "wandb" / node, name=name, settings=settings or {}))
        return found

    return Follower(run_dir, logs, open_trackers, state=folder / "followed.json", warn=warn, resume=resume)


def require_wandb() -> None:
    """Raises ConfigError where the package is not installed; does not import it, which takes seconds."""
    from importlib.util import find_spec

    if find_spec("wandb") is None:
        raise ConfigError("W&B is not installed; pip install wandb, or leave --wandb out")


def _tensorboard(folder: Path, warn: Callable[[str], None]) -> list[Tracker]:
    try:
        return [TensorBoard(folder)]
    except ImportError:
        warn("TensorBoard is not installed; pip install tensorboard for curves, the logs hold the numbers")
        return []
