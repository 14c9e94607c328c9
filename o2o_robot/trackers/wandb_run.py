"""A run at Weights & Biases, or kept for it on disk where there is no network (WANDB_MODE=offline). W&B enters here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from o2o_robot.errors import ConfigError


class Wandb:
    """A Tracker into one W&B run. A run folder taken up again goes on with the same one: its id is kept in the folder.

    W&B's own step only grows, and learner and episodes have each their own; so every family of numbers ("learner/...")
    is drawn over its own "learner/step".
    """

    def __init__(self, folder: Path, *, name: str, settings: Mapping[str, Any]) -> None:
        """settings: what W&B shows as the run's configuration. Raises ConfigError without the package or a login."""
        try:
            import wandb
        except ImportError:
            raise ConfigError("W&B is not installed; pip install wandb, or leave --wandb out") from None
        folder.mkdir(parents=True, exist_ok=True)
        id_ = _kept_id(folder / "run_id")
        try:
            self._run = wandb.init(
                project="o2o_robot", name=name, id=id_, resume="allow", dir=str(folder), config=dict(settings)
            )
        except Exception as problem:  # W&B's errors share no base; whatever it is, the arm must not be started blind
            told = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
            raise ConfigError(
                f"W&B does not start ({told}); `wandb login`, or WANDB_MODE=offline without network"
            ) from None
        self._families: set[str] = set()

    def scalars(self, values: Mapping[str, float], *, step: int) -> None:
        families = {name.partition("/")[0] for name in values}
        for family in families - self._families:
            self._run.define_metric(f"{family}/*", step_metric=f"{family}/step")
        self._families |= families
        self._run.log({**values, **{f"{family}/step": step for family in families}})

    def flush(self) -> None:
        """W&B sends by itself."""

    def close(self) -> None:
        self._run.finish()


def _kept_id(path: Path) -> str:
    if path.is_file() and (kept := path.read_text().strip()):
        return kept
    made = uuid.uuid4().hex
    path.write_text(made)
    return made
