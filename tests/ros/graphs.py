"""Graphs for the tests: brought up, changed where a test needs it, and compared by what they stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot import overlay
from o2o_robot.data.store import EpisodeStore
from o2o_robot.graph import STORIES, Process
from o2o_robot.jsonfile import read_json
from o2o_robot.supervise import Supervisor
from o2o_robot.types import Episode

IMAGE_SIZE = 16


def graph(
    story: str, run_dir: Path, changes: Mapping[str, Mapping[str, Any]] | None = None, **settings: Any
) -> Supervisor:
    """A story's processes, small images, not started yet. changes: node -> parameters that replace its own."""
    settings_of, describe = STORIES[story]
    up = settings_of(run_dir=str(run_dir), image_size=IMAGE_SIZE, **settings)
    changes = changes or {}
    processes = [_changed(process, changes.get(process.name, {})) for process in describe(up, overlay.share())]
    return Supervisor(processes, run_dir)


def run_to_end(supervisor: Supervisor) -> Path:
    """The run's folder, after a session that ended well and processes that all left with 0."""
    with supervisor:
        supervisor.wait()
    codes = {node["name"]: node["exit_code"] for node in supervisor.facts()}
    assert set(codes.values()) == {0}, codes
    return supervisor.run_dir


def facts_of(run_dir: Path, node: str) -> dict[str, Any]:
    """What a node wrote about itself when it closed."""
    return read_json(run_dir / f"{node}.json")


def episodes_in(store: Path) -> list[Episode]:
    with EpisodeStore.open(store) as opened:
        return [opened.read(index) for index in range(len(opened))]


def arrays_of(episode: Episode) -> dict[str, np.ndarray]:
    """Every array of an episode under one flat name."""
    found: dict[str, np.ndarray] = {}
    for field in fields(Episode):
        value = getattr(episode, field.name)
        if isinstance(value, np.ndarray):
            found[field.name] = value
        elif field.name in ("images", "state"):
            found |= {f"{field.name}/{name}": array for name, array in value.items()}
    return found


def transitions_digest(store: Path) -> str:
    """A hash of every array of every episode, in order."""
    total = hashlib.sha256()
    for episode in episodes_in(store):
        for name, array in sorted(arrays_of(episode).items()):
            total.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _changed(process: Process, parameters: Mapping[str, Any]) -> Process:
    return replace(process, parameters={**process.parameters, **parameters})
