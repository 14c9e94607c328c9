"""How a phase's graph is brought up: small pictures, short episodes, real time, and no end of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crashing.cells import ASKED_FOR, STORY_OF, Cell
from crashing.checkpoint import IMAGE_SIZE, make_checkpoint

MAX_STEPS = 16
FOREVER = 100_000
FILM_SIDE = 64
MODE_OF = {"collect": "demo", "evaluate": "eval", "warmup": "warmup", "online": "online"}
SESSION_OF = {"collect": "teleop_node", "evaluate": "policy_node", "warmup": "policy_node", "online": "policy_node"}
Changes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Materials:
    """What trials share: an untrained policy, and a film for camera_node."""

    checkpoint: Path
    film: Path


def has_spool(cell: Cell) -> bool:
    """Whether the session keeps its steps until the recorder and the learner have them safe."""
    return STORY_OF[cell.phase] == "finetune"


def words(cell: Cell, run_dir: Path, materials: Materials) -> list[str]:
    """The command line of the cell's phase."""
    factor = 0.0 if cell.lockstep else 1.0
    common = {"run-dir": run_dir, "realtime-factor": factor, "max-steps": MAX_STEPS, "image-size": IMAGE_SIZE}
    warmup = {"warmup-steps": MAX_STEPS if cell.phase == "online" else FOREVER, "online-steps": FOREVER}
    own: Mapping[str, Any] = {
        "collect": {"episodes": FOREVER},
        "evaluate": {"episodes": FOREVER, "checkpoint": materials.checkpoint},
        "finetune": {**warmup, "checkpoint": materials.checkpoint, "eval-episodes": 0},
    }[STORY_OF[cell.phase]]
    asked = ASKED_FOR.get(cell.node, {})
    options = [word for name, value in {**common, **own, **asked}.items() for word in _option(name, value)]
    story = STORY_OF[cell.phase]
    return [*(["finetune"] if story == "finetune" else ["up", story]), *options]


def _option(name: str, value: Any) -> tuple[str, ...]:
    return (f"--{name}",) if value is True else (f"--{name}", str(value))


def words_again(cell: Cell, run_dir: Path, materials: Materials) -> list[str]:
    """How a person takes the run up again; collect and evaluate go on where the same words name the same folder."""
    is_finetune = STORY_OF[cell.phase] == "finetune"
    return ["finetune", "--resume", str(run_dir)] if is_finetune else words(cell, run_dir, materials)


def changes(cell: Cell, run_dir: Path, materials: Materials) -> Changes:
    """Both ways of recording where demonstrations are collected; a film in front of camera_node where it is tried."""
    found: Changes = {}
    if STORY_OF[cell.phase] == "finetune":
        found["learner_node"] = {"torch_threads": 1, "publish_every": 5, "save_every": 20}
    if cell.phase == "collect":
        found["recorder_node"] = {"store": str(run_dir / "episodes.zarr"), "bags": str(run_dir / "bags")}
    if cell.node == "camera_node":
        session = SESSION_OF[cell.phase]
        found["twin_node"] = {"cameras": [""]}
        found["camera_node"] = _camera(run_dir, materials.film)
        found[session] = {"image_topic": "color/image_policy"}
    return found


def _camera(run_dir: Path, film: Path) -> dict[str, Any]:
    device = {"driver": "opencv", "device": str(film), "policy_size": IMAGE_SIZE, "fps": 30}
    device |= {"width": FILM_SIDE, "height": FILM_SIDE}
    names = ["wrist", "front"]
    each = {f"{name}.{key}": value for name in names for key, value in device.items()}
    return {"run_dir": str(run_dir), "use_sim_time": True, "cameras": names, **each}


def make_materials(folder: Path) -> Materials:
    """In `folder`, which must be there as long as trials go on."""
    return Materials(make_checkpoint(folder / "policy" / "checkpoint"), make_film(folder / "film.avi"))


def make_film(path: Path) -> Path:
    """Two seconds of grey that gets brighter."""
    import cv2
    import numpy as np

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (FILM_SIDE, FILM_SIDE))
    for k in range(60):
        writer.write(np.full((FILM_SIDE, FILM_SIDE, 3), 2 * k, np.uint8))
    writer.release()
    return path
