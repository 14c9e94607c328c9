"""A guard for tests on a loaded machine: what it measures in wall time may take long, what by stamps may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from o2o_robot.graph import Process

# The slower the twin runs, the more wall time there is for the same stamps; silence and late ticks are wall time.
PATIENT = {"policy_period_s": 1.0, "tick_period_s": 0.2, "state_stop_s": 1.5, "state_latch_s": 4.0}


def patient(processes: Sequence[Process], folder: Path, **guard: Any) -> list[Process]:
    """The same processes, arm_node's guard as patient as PATIENT and as `guard` says otherwise."""
    return [_with_guard(process, folder, PATIENT | guard) for process in processes]


def _with_guard(process: Process, folder: Path, guard: dict[str, Any]) -> Process:
    if process.name != "arm_node":
        return process
    settings = yaml.safe_load(Path(process.params_file).read_text())
    settings["/**/arm_node"]["ros__parameters"]["guard"].update(guard)
    path = folder / "patient.yaml"
    path.write_text(yaml.safe_dump(settings))
    return replace(process, params_file=str(path))
