"""Ingest and sampling, beside what others do, in one run: `python benchmarks/data.py [--only ingest|batches]`.

Ingest: a rosbag2 MCAP of two 640x480 JPEG cameras at 30 Hz and 7 joints at 100 Hz to 10 Hz at 128x128, on one core, in
turns with the same conversion written plainly with `rosbags` and OpenCV (peers/plain_ingest.py); and the memory it
takes for a recording ten times as long.
Batches: 256 transitions, observation and next, two cameras of 128x128, at random from a store of 50,000 steps: from
the replay (frames in memory, and mapped from its cache), from the zarr store itself, and from LeRobot's own dataset
class over an export of a part of it, as video and as PNG (an environment with `lerobot`, O2O_LEROBOT or .venv-lerobot;
left out without); beside the image update such a batch is for.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent
OUT = HERE / "results" / "data.json"
LEROBOT = Path(os.environ.get("O2O_LEROBOT", ROOT / ".venv-lerobot")) / "bin" / "python"
SIDE, RATE_HZ, BATCH, EPISODE_STEPS = 128, 10.0, 256, 200
CAMERAS = ("wrist", "front")
CONTRACT = f"""
name: bench
rate_hz: {RATE_HZ}
images:
  wrist: {{topic: wrist/image/compressed, side: {SIDE}}}
  front: {{topic: front/image/compressed, side: {SIDE}}}
state:
  q_rad: {{topic: joint_states, field: position}}
action: {{topic: joint_states, kind: delta_joint}}
"""
Row = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("ingest", "batches"))
    parser.add_argument("--seconds", type=int, default=60, help="of the recording that is timed")
    parser.add_argument("--rounds", type=int, default=3, help="turns of ingest")
    parser.add_argument("--steps", type=int, default=50_000, help="of the store that is sampled")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="a disk with 15 GB of room")
    parser.add_argument("--json", type=Path, default=OUT)
    parser.add_argument("--ingest-one", nargs=4, metavar=("WHO", "BAG", "OUT", "CONTRACT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ingest_one:
        ingest_one(*chosen.ingest_one)
        return
    from o2o_robot.data.provenance import machine, versions

    document = json.loads(chosen.json.read_text()) if chosen.json.exists() else {}
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix="bench_data.") as folder:
        if chosen.only != "batches":
            document["ingest"] = show("ingest", ingest(Path(folder), chosen.seconds, chosen.rounds))
        if chosen.only != "ingest":
            document["batches"] = show("batches", batches(Path(folder), chosen.steps))
    chosen.json.write_text(json.dumps(document | {"machine": machine(), "versions": versions()}, indent=1) + "\n")


def show(title: str, figures: Row) -> Row:
    print(title)
    for name, value in figures.items():
        print(f"  {name:44} {value}")
    return figures


# --- ingest ----------------------------------------------------------------------------------------------------------
def ingest(folder: Path, seconds: int, rounds: int) -> Row:
    contract = folder / "bench.yaml"
    contract.write_text(CONTRACT)
    short, long = (write_bag(folder / f"bag_{n}", n) for n in (seconds, 10 * seconds))
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    peak_mb: dict[str, float] = {}
    for turn in range(rounds):
        for who in times:
            took = child(who, short, folder / f"{who}-{turn}", contract)
            times[who].append(took["s"])
            peak_mb[who] = took["peak_MB"]
    on_long = child("ours", long, folder / "long", contract)
    ours_s, plain_s = (float(np.median(times[who])) for who in times)
    gb = short.stat().st_size / 1e9 if short.is_file() else sum(f.stat().st_size for f in short.iterdir()) / 1e9
    return {
        "recorded_s": seconds,
        "recorded_GB": round(gb, 3),
        "ours_s": round(ours_s, 2),
        "plain_s": round(plain_s, 2),
        "times_real_time_on_one_core": round(seconds / ours_s, 1),
        "times_plain": round(plain_s / ours_s, 2),
        "minutes_per_GB": round(ours_s / 60 / gb, 2),
        "peak_MB": round(peak_mb["ours"]),
        "peak_MB_plain": round(peak_mb["plain"]),
        "peak_MB_ten_times_as_long": round(on_long["peak_MB"]),
        "times_real_time_ten_times_as_long": round(10 * seconds / on_long["s"], 1),
    }


def child(who: str, bag: Path, out: Path, contract: Path) -> Row:
    """A conversion in a process of its own, on one core: seconds without start-up, and its peak memory."""
    words = [sys.executable, str(Path(__file__)), "--ingest-one", who, str(bag), str(out), str(contract)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{who} failed on {bag}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    shutil.rmtree(out, ignore_errors=True)
    found: Row = json.loads(done.stdout.splitlines()[-1])
    return found


def ingest_one(who: str, bag: str, out: str, contract: str) -> None:
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    if who == "plain":
        from peers.plain_ingest import convert as run

        started = time.perf_counter()
        run(Path(bag), Path(out), rate_hz=RATE_HZ, side=SIDE)
    else:
        from o2o_robot.apps import ingest as app

        started = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):
            if app.main([Path(bag)], out=Path(out), contract=contract):
                raise SystemExit("the bag was not ingested whole")
    took_s = time.perf_counter() - started
    print(json.dumps({"s": took_s, "peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}))


def write_bag(path: Path, seconds: int) -> Path:
    """A rosbag2 folder as a recorder leaves it: JPEG at quality 90, stamps with jitter, receipt a little later."""
    import cv2
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    rng, store = np.random.default_rng(0), get_typestore(Stores.LATEST)
    types = {
        **{f"/{name}/image/compressed": "sensor_msgs/msg/CompressedImage" for name in CAMERAS},
        "/joint_states": "sensor_msgs/msg/JointState",
    }
    frames = [
        cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].ravel() for frame in camera_like(rng, 480, 640)
    ]
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        to = {topic: writer.add_connection(topic, kind, typestore=store) for topic, kind in types.items()}
        for ns, topic, n in schedule(seconds):
            stamp_ns = ns + int(rng.uniform(0, 2e6))
            message = frame_message if topic != "/joint_states" else joint_message
            data = store.serialize_cdr(message(store.types, stamp_ns, n, frames), types[topic])
            writer.write(to[topic], stamp_ns + 3_000_000, data)
    return path


def schedule(seconds: int) -> Iterator[tuple[int, str, int]]:
    """When each message is due, in order of time: (ns, topic, its number)."""
    start = 1_700_000_000_000_000_000
    due = [(start + int(n * 1e7), "/joint_states", n) for n in range(100 * seconds)]
    for name in CAMERAS:
        due += [(start + int(n * 1e9 / 30), f"/{name}/image/compressed", n) for n in range(30 * seconds)]
    return iter(sorted(due))


def frame_message(types: Any, stamp_ns: int, n: int, frames: list[np.ndarray]) -> Any:
    kind = types["sensor_msgs/msg/CompressedImage"]
    return kind(header=header(types, stamp_ns), format="jpeg", data=frames[n % len(frames)])


def joint_message(types: Any, stamp_ns: int, n: int, frames: list[np.ndarray]) -> Any:
    names = [f"joint{i}" for i in range(7)]
    q = np.sin(0.01 * n + np.arange(7.0))
    kind = types["sensor_msgs/msg/JointState"]
    return kind(header=header(types, stamp_ns), name=names, position=q, velocity=q, effort=q)


def header(types: Any, stamp_ns: int) -> Any:
    time_type, header_type = types["builtin_interfaces/msg/Time"], types["std_msgs/msg/Header"]
    return header_type(stamp=time_type(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id="camera")


def camera_like(rng: np.random.Generator, height: int, width: int, n: int = 30) -> list[np.ndarray]:
    """n pictures (H, W, 3) uint8: shading, something that moves, edges, and a sensor's noise."""
    y, x = np.mgrid[:height, :width] / height
    pictures = []
    for i in range(n):
        at = 0.5 + 0.3 * np.array([np.sin(0.2 * i), np.cos(0.3 * i)])
        shade = np.stack([0.3 + 0.3 * x, 0.6 - 0.2 * y, 0.4 + 0.2 * x * y], axis=-1)
        shade[np.hypot(x - at[0], y - at[1]) < 0.15] = (0.8, 0.3, 0.2)
        shade[(20 * x + 3 * i).astype(int) % 7 == 0] *= 0.8
        pictures.append((255 * shade + rng.normal(0, 3, shade.shape)).clip(0, 255).astype(np.uint8))
    return pictures


# --- batches ---------------------------------------------------------------------------------------------------------
def batches(folder: Path, n_steps: int) -> Row:
    from o2o_robot.data.replay import ReplayBuffer
    from o2o_robot.data.returns import RewardTransform
    from o2o_robot.data.store import EpisodeStore
    from o2o_robot.types import ObservationSpec

    spec = ObservationSpec(CAMERAS, SIDE, (("q_rad", 7),))
    path = fill_store(folder / "store.zarr", n_steps)
    transform = RewardTransform(1.0, -1.0, 0.97)
    found: Row = {"steps": n_steps, "batch": BATCH}
    with EpisodeStore.open(path) as store:
        rng = np.random.default_rng(0)
        mapped = ReplayBuffer.from_store(store, spec, transform=transform, cache=folder / "cache")
        found["ms_mapped_from_its_cache"] = median_ms(lambda: mapped.sample(BATCH, rng), 60)
        found["ms_zarr"] = median_ms(lambda: from_zarr(store, rng), 5)
        for pictures in ("video", "png"):
            found[f"ms_lerobot_{pictures}"] = lerobot_ms(folder, store, pictures)
        held = ReplayBuffer.from_store(store, spec, transform=transform)
        found["ms_in_memory"] = median_ms(lambda: held.sample(BATCH, rng), 60)
        found["ms_image_update"] = update_ms(held)
    for name in ("ms_zarr", "ms_lerobot_video", "ms_lerobot_png"):
        found[f"times_{name.removeprefix('ms_')}"] = round(found[name] / found["ms_mapped_from_its_cache"], 1)
    found["share_of_an_update"] = round(found["ms_mapped_from_its_cache"] / found["ms_image_update"], 4)
    return found


def fill_store(path: Path, n_steps: int) -> Path:
    """A store of `n_steps`, in episodes of 200, with pictures that look like a camera's."""
    from o2o_robot.data.episode import demonstrated
    from o2o_robot.data.store import EpisodeStore

    rng, n = np.random.default_rng(0), EPISODE_STEPS
    frames = np.stack(camera_like(rng, SIDE, SIDE, n=n + 1))
    last = np.arange(n) == n - 1
    with EpisodeStore.create(path) as store:
        for number in range(n_steps // n):
            episode = demonstrated(
                {name: np.roll(frames, number, axis=0) for name in CAMERAS},
                {"q_rad": rng.normal(size=(n + 1, 7)).astype(np.float32)},
                np.arange(n + 1) * 100_000_000,
                rng.uniform(-1, 1, (n, 4)).astype(np.float32),
                last.astype(np.float32),
                is_success=True,
                meta={"id": f"bench-{number}", "task": "bench", "outcome": "success"},
            )
            store.append(episode)
    return path


def from_zarr(store: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What a sampler on the archive itself would do: the rows of each episode by zarr's orthogonal indexing."""
    import zarr

    length = EPISODE_STEPS
    rows = np.sort(rng.integers(0, len(store) * length, BATCH))
    found: dict[str, list[np.ndarray]] = {name: [] for name in CAMERAS}
    for number in np.unique(rows // length):
        mine = rows[rows // length == number] % length
        both = np.unique(np.concatenate([mine, mine + 1]))
        for name in CAMERAS:
            array = zarr.open_array(str(store.path / "episodes" / f"{number:06d}" / "images" / name), mode="r")
            picked = array.oindex[both]
            found[name].append(picked[np.searchsorted(both, np.concatenate([mine, mine + 1]))])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def lerobot_ms(folder: Path, store: Any, pictures: str, *, n_episodes: int = 10) -> float:
    """Milliseconds of LeRobotDataset for as many items, each with two frames of each camera; NaN without lerobot."""
    if not LEROBOT.exists():
        print(f"  LeRobot is left out: no {LEROBOT} (make lerobot, or O2O_LEROBOT=<its environment>)")
        return float("nan")
    from o2o_robot.apps import export
    from o2o_robot.data.store import EpisodeStore

    part, out = folder / "part.zarr", folder / f"lerobot_{pictures}"
    with EpisodeStore.open_or_create(part) as small:
        for number in range(len(small), n_episodes):
            small.append(store.read(number))
    with contextlib.redirect_stdout(sys.stderr):
        export.main(part, to="lerobot", out=out, pictures=pictures)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "_ROS"))}
    words = [str(LEROBOT), str(HERE / "peers" / "lerobot_batches.py"), str(out), str(BATCH)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise SystemExit(f"lerobot failed:\n{done.stderr[-3000:]}")
    return round(float(json.loads(done.stdout.splitlines()[-1])["ms"]), 2)


def update_ms(replay: Any) -> float:
    """An image Cal-QL update on such a batch: two critics, the preset's networks."""
    from o2o_robot.algorithms.offline import prepare
    from o2o_robot.nets.memory import keep_freed_memory
    from o2o_robot.presets import calql

    keep_freed_memory()
    learner = prepare(replay, replace(calql(), batch_size=BATCH), seed=0)
    batch = replay.sample(learner.rows_per_update, np.random.default_rng(1))
    return median_ms(lambda: learner.update(batch), 5)


def median_ms(run: Callable[[], object], n: int) -> float:
    run()
    spans = []
    for _ in range(n):
        started = time.perf_counter()
        run()
        spans.append(1e3 * (time.perf_counter() - started))
    return round(float(np.median(spans)), 2)


if __name__ == "__main__":
    main()
