"""LeRobot datasets for the tests, written as LeRobot writes them, v2.1 and v3.0: small, and wrong where asked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from episode_examples import an_episode

from o2o_robot.data.formats import lerobot_write as write
from o2o_robot.types import Array, Episode

CAMERA = "observation.images.front"
FPS = 10


def smooth_frames(n_frames: int, side: int = 32, seed: int = 0) -> Array:
    """Frames (n, side, side, 3) a codec can keep: slow ramps that move a little from frame to frame."""
    y, x, t = np.mgrid[:side, :side, :n_frames].transpose(0, 3, 1, 2)
    return np.stack([50 + 3 * x + t, 200 - 3 * y, 60 + 5 * t + 10 * seed], axis=-1).astype(np.uint8)


def filmed(episode: Episode) -> Episode:
    """The episode with smooth frames in place of its flat ones."""
    return dataclasses.replace(
        episode,
        images={name: smooth_frames(len(episode) + 1, seed=i) for i, name in enumerate(episode.images)},
    )


def an_own_episode(n_steps: int = 5, *, seed: int = 0, end: str = "truncated", unit: bool = False) -> Episode:
    """An episode as ingest leaves it, its actions of a known range unless `unit`."""
    limits = {} if unit else {"action_low": [-2.0, 0.0, 1e6], "action_high": [2.0, 0.5, 1e6 + 1e-3]}
    outcome = {"terminated": "success", "truncated": "failure"}.get(end, "incomplete")
    meta = {"id": f"ep-{seed}", "task": f"task {seed % 2}", "outcome": outcome, "robot": "fr3", **limits}
    return filmed(an_episode(n_steps, seed=seed, side=32, end=end, meta=meta))


def rows_of(n_rows: int, number: int = 0, *, seed: int = 0) -> dict[str, Array]:
    """The columns of one episode of a teleoperated arm: 3 actions, 4 state values."""
    rng = np.random.default_rng(seed + number)
    ticks = np.arange(n_rows)
    return {
        "observation.state": rng.normal(size=(n_rows, 4)).astype(np.float32),
        "action": rng.uniform(-90, 90, (n_rows, 3)).astype(np.float32),
        "timestamp": (ticks / FPS).astype(np.float32),
        "frame_index": ticks,
        "episode_index": np.full(n_rows, number),
        "index": ticks,
        "task_index": np.zeros(n_rows, np.int64),
    }


def write_v21(
    root: Path,
    episodes: list[dict[str, Array]],
    *,
    frames: Mapping[int, Array] | None = None,
    video_fps: int = FPS,
    info: Mapping[str, Any] | None = None,
) -> Path:
    """A v2.1 dataset: a parquet and (with `frames` by episode) an mp4 for each episode."""
    for number, rows in enumerate(episodes):
        path = root / f"data/chunk-000/episode_{number:06d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(write.table(rows), path)
    for number, pixels in (frames or {}).items():
        _write_video(root / f"videos/chunk-000/{CAMERA}/episode_{number:06d}.mp4", [pixels], video_fps)
    lengths = [len(rows["action"]) for rows in episodes]
    facts = _info("v2.1", episodes[0], has_video=frames is not None) | {
        "total_episodes": len(episodes),
        "total_frames": sum(lengths),
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    }
    _write_json(root / "meta" / "info.json", facts | dict(info or {}))
    lines = [{"episode_index": i, "tasks": ["push"], "length": n} for i, n in enumerate(lengths)]
    (root / "meta" / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def write_v30(
    root: Path,
    episodes: list[dict[str, Array]],
    *,
    frames: list[Array] | None = None,
    pictures: list[list[bytes]] | None = None,
    info: Mapping[str, Any] | None = None,
) -> Path:
    """A v3.0 dataset: all episodes in one parquet and one mp4, or PNG `pictures` within the parquet."""
    lengths = [len(rows["action"]) for rows in episodes]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    with write.Rows(root, write.DATA_PATH, most_bytes=1 << 30) as file:
        for i, rows in enumerate(episodes):
            file.add(write.table({**rows, **({CAMERA: pictures[i]} if pictures else {})}))
    if frames is not None:
        _write_video(root / f"videos/{CAMERA}/chunk-000/file-000.mp4", frames, FPS)
    with write.Records(root / write.EPISODES_PATH) as file:
        for i, n_rows in enumerate(lengths):
            clip = {f"videos/{CAMERA}/{name}": 0 for name in ("chunk_index", "file_index")}
            clip |= {f"videos/{CAMERA}/from_timestamp": float(starts[i] / FPS)}
            clip |= {f"videos/{CAMERA}/to_timestamp": float(starts[i + 1] / FPS)}
            place = {"data/chunk_index": 0, "data/file_index": 0, "stats/action/min": [0.0]}
            file.add({"episode_index": i, "tasks": ["push"], "length": n_rows} | place | (clip if frames else {}))
    facts = _info("v3.0", episodes[0], has_video=frames is not None) | {
        "total_episodes": len(episodes),
        "total_frames": int(starts[-1]),
        "data_path": write.DATA_PATH,
        "video_path": write.VIDEO_PATH,
    }
    if pictures:
        facts["features"][CAMERA] = {"dtype": "image", "shape": [32, 32, 3], "names": None}
    _write_json(root / "meta" / "info.json", facts | dict(info or {}))
    return root


def _info(version: str, rows: Mapping[str, Array], *, has_video: bool) -> dict[str, Any]:
    features: dict[str, Any] = {
        key: {"dtype": str(values.dtype), "shape": [*values.shape[1:]] or [1], "names": None}
        for key, values in rows.items()
    }
    features["observation.state"]["names"] = [["a", "b", "c", "d"]]
    if has_video:
        features[CAMERA] = {"dtype": "video", "shape": [32, 32, 3], "names": ["height", "width", "channels"]}
    return {"codebase_version": version, "robot_type": "toy", "fps": FPS, "chunks_size": 1000, "features": features}


def _write_video(path: Path, clips: list[Array], fps: int) -> None:
    with write.Video(path.parent, "clip", fps=fps, most_bytes=1 << 30) as video:
        for frames in clips:
            video.add(frames)
    (path.parent / "videos/clip/chunk-000/file-000.mp4").rename(path)


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
