"""Numbers of a run, kept twice: metrics.jsonl for programs, TensorBoard for people (where it is installed)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from o2o_robot.jsonfile import append_line


class MetricsLog:
    """Appends to folder/metrics.jsonl and to event files in folder/tensorboard.

    with MetricsLog("runs/pretrain") as log:
        log.write(step, metrics)           # tensors become floats here, the only place where they are waited for
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._writer: Any = None

    def __enter__(self) -> MetricsLog:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return self
        self._writer = SummaryWriter(str(self.folder / "tensorboard"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, step: int, metrics: Mapping[str, Tensor | float]) -> dict[str, float]:
        """Record metrics at `step`; gives them back as floats."""
        values = {name: float(value) for name, value in metrics.items()}
        append_line(self.folder / "metrics.jsonl", {"step": step, **values})
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
        return values
