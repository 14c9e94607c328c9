"""An episode store as robomimic's HDF5, which the `robomimic` package trains from and `o2o ingest` reads back exactly.

data/demo_i holds obs and next_obs (row t of next_obs is what was seen after action t, so the final observation is
there), actions as stored in [-1, 1], rewards, dones (the end, whatever its cause), terminated and truncated apart, and
what robomimic_mark says. Pictures are obs/<camera>_image, uint8 (T, H, W, 3).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.data.formats import needs_libraries
from o2o_robot.data.formats.hdf5_sink import Hdf5Sink
from o2o_robot.data.formats.robomimic_mark import ATTRIBUTE, CAMERA_SUFFIX, FIELDS, Mark
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.types import Array, Episode

_GYM = 2  # robomimic.envs.env_base.EnvType.GYM_TYPE; 1 is robosuite's


class Exported(NamedTuple):
    """What was written."""

    path: Path
    n_episodes: int
    n_steps: int


def export(
    store: EpisodeStore,
    out: Path,
    *,
    valid: float = 0.0,
    rng: np.random.Generator | None = None,
    progress: Callable[[int], None] = lambda n_done: None,
) -> Exported:
    """Write every episode of `store` to the new file `out`; it is there whole, or not at all.

    valid: part of the episodes, drawn by rng, that mask/valid names; mask/train names the rest. Without it there are no
    masks. progress: called with the number of episodes done. Raises DataError: `out` exists, nothing to export, disk
    full.
    """
    if out.exists():
        raise DataError(f"{out} exists; choose another path, or delete it")
    if not len(store):
        raise DataError(f"{store.path} holds no episode; there is nothing to export")
    with needs_libraries("writing HDF5"):
        import h5py
    aside = out.with_name(out.name + ".part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with Hdf5Sink(aside) as sink:
            try:
                with h5py.File(sink, "w") as file:
                    n_steps = _write(file, store, sink, progress)
                    _write_masks(file, len(store), valid, rng)
            finally:
                sink.check()  # the disk's own reason comes before whatever h5py made of it
        aside.rename(out)
    except OSError as problem:
        raise DataError(f"cannot write {out}: {problem.strerror or problem}; check the path and its rights") from None
    finally:
        aside.unlink(missing_ok=True)
    return Exported(out, len(store), n_steps)


def _write(file: Any, store: EpisodeStore, sink: Hdf5Sink, progress: Callable[[int], None]) -> int:
    data = file.create_group("data")
    n_steps, task = 0, ""
    for number, episode in enumerate(store.episodes()):
        _write_demo(data.create_group(f"demo_{number}"), episode)
        sink.check()
        n_steps += len(episode)
        task = task or str(episode.meta.get("task", ""))
        progress(number + 1)
    data.attrs["total"] = n_steps
    data.attrs["env_args"] = json.dumps({"env_name": task, "type": _GYM, "env_kwargs": {}})
    data.attrs["store_fingerprint"] = store.fingerprint()
    return n_steps


def _write_demo(demo: Any, episode: Episode) -> None:
    for key, rows in _observations(episode).items():
        demo[f"obs/{key}"] = rows[:-1]
        demo[f"next_obs/{key}"] = rows[1:]
    for name in (*FIELDS, "stamp_ns"):
        demo[name] = getattr(episode, name)
    demo["actions"] = episode.action
    demo["rewards"] = episode.reward
    demo["dones"] = (episode.terminated | episode.truncated).astype(np.uint8)
    demo["terminated"] = episode.terminated.astype(np.uint8)
    demo["truncated"] = episode.truncated.astype(np.uint8)
    demo.attrs["num_samples"] = len(episode)
    demo.attrs[ATTRIBUTE] = Mark(episode.meta, tuple(episode.images), tuple(episode.state)).text()


def _observations(episode: Episode) -> dict[str, Array]:
    """Key under obs -> its T + 1 rows. Raises DataError where a state field has the name of a picture."""
    pictures = {name + CAMERA_SUFFIX: frames for name, frames in episode.images.items()}
    both = sorted(pictures.keys() & episode.state.keys())
    if both:
        raise DataError(f"state field '{both[0]}' has the name of a camera's picture in robomimic; rename it at ingest")
    return pictures | dict(episode.state)


def _write_masks(file: Any, n_episodes: int, valid: float, rng: np.random.Generator | None) -> None:
    if not valid:
        return
    n_valid = min(max(1, round(valid * n_episodes)), n_episodes - 1)
    if rng is None or n_valid < 1:
        raise DataError(f"a part of {valid:g} for validation needs at least two episodes, there are {n_episodes}")
    order = rng.permutation(n_episodes)
    for key, numbers in (("valid", order[:n_valid]), ("train", order[n_valid:])):
        file[f"mask/{key}"] = np.array([f"demo_{number}" for number in sorted(numbers)], dtype="S")
