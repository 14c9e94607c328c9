"""Memory and time of sampling a replay larger than memory: `python benchmarks/replay_memory.py [--steps 200000]`.

Two cameras of 128x128, frames in a memory map on disk (98 kB a step: 20 GB at 200,000 steps, removed afterwards).
Private is what the process itself holds (anonymous memory of /proc/self/smaps_rollup); total is its resident set, in
which pages of the mapped files count while they are in use, although they are the system's page cache and not held.
Batches are timed cold (all frames on disk only), then with as many of the frames in the page cache as fit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from o2o_robot.data.episode import demonstrated
from o2o_robot.data.memmap import FrameMap
from o2o_robot.data.provenance import machine, versions
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.data.returns import RewardTransform
from o2o_robot.types import Episode, ObservationSpec

SPEC = ObservationSpec(("wrist", "front"), 128, (("tool_position_m", 3), ("q_rad", 7)))
EPISODE_STEPS, BATCH = 200, 256
RESULT = Path(__file__).parent / "results" / "replay_memory.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="a disk with room for it")
    parser.add_argument("--json", type=Path, default=RESULT)
    args = parser.parse_args()
    n_episodes = args.steps // EPISODE_STEPS
    n_rows = n_episodes * (EPISODE_STEPS + 1)
    n_bytes = n_rows * len(SPEC.cameras) * SPEC.image_size**2 * 3
    if shutil.disk_usage(args.folder).free < n_bytes + (2 << 30):
        print(f"not measured: {args.folder} has no room for {n_bytes / 1e9:.0f} GB; give another --folder or --steps")
        return
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="replay_memory.") as folder:
        figures = measure(Path(folder), n_episodes, n_rows, args.batches)
    figures = {"steps": n_episodes * EPISODE_STEPS, "frames_GB": round(n_bytes / 1e9, 2)} | figures
    for name, value in figures.items():
        print(f"{name:32} {value}")
    document = {"figures": figures, "machine": machine(), "versions": versions()}
    args.json.write_text(json.dumps(document, indent=1) + "\n")


def measure(folder: Path, n_episodes: int, n_rows: int, n_batches: int) -> dict[str, float]:
    """Fill a mapped replay, then sample it, watching the process's memory all the while."""
    episode = make_episode(np.random.default_rng(0))
    before = private_mb()
    with Watch() as watch:
        frames = FrameMap(folder, SPEC, n_rows, is_writable=True)
        replay = ReplayBuffer(n_rows, SPEC, 3, RewardTransform(bias=-1.0), frames=frames)
        started = time.perf_counter()
        for _ in range(n_episodes):
            replay.add_episode(episode)
        fill_s = time.perf_counter() - started
        drop_page_cache(folder)
        cold_ms = times_ms(replay, n_batches, seed=0)
        read_through(folder)
        warm_ms = times_ms(replay, n_batches, seed=1)
    return {
        "fill_s": round(fill_s, 1),
        "private_overhead_MB_peak": round(watch.private_mb - before, 1),
        "resident_total_MB_peak": round(watch.total_mb, 1),
        "ms_per_batch_of_256_cold_median": round(float(np.median(cold_ms)), 2),
        "ms_per_batch_of_256_median": round(float(np.median(warm_ms)), 2),
        "ms_per_batch_of_256_p90": round(float(np.percentile(warm_ms, 90)), 2),
        "batches": n_batches,
        "system_memory_GB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
    }


def times_ms(replay: ReplayBuffer, n_batches: int, *, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    times = []
    for _ in range(n_batches):
        started = time.perf_counter()
        replay.sample(BATCH, rng)
        times.append(1e3 * (time.perf_counter() - started))
    return times


def make_episode(rng: np.random.Generator) -> Episode:
    """An episode of random pixels, which no file system can shrink."""
    n = EPISODE_STEPS
    last = np.arange(n) == n - 1
    return demonstrated(
        {name: rng.integers(0, 256, (n + 1, 128, 128, 3), np.uint8) for name in SPEC.cameras},
        {name: rng.normal(size=(n + 1, size)).astype(np.float32) for name, size in SPEC.proprio},
        np.arange(n + 1) * 100_000_000,
        rng.uniform(-1, 1, (n, 3)).astype(np.float32),
        last.astype(np.float32),
        is_success=True,
        meta={},
    )


def drop_page_cache(folder: Path) -> None:
    """Let the files be on disk only, as after a start of the machine."""
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def read_through(folder: Path) -> None:
    """Let the page cache hold what it can of the files."""
    for path in folder.iterdir():
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 24):
                pass


class Watch:
    """The highest private and total memory of this process while it is open, looked at ten times a second."""

    def __init__(self) -> None:
        self.private_mb = self.total_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.1):
            self.private_mb = max(self.private_mb, private_mb())
            self.total_mb = max(self.total_mb, _status_mb("VmRSS"))


def private_mb() -> float:
    """Memory that is this process's own and no file's."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1e3
    raise SystemExit("/proc/self/smaps_rollup has no Anonymous line; this benchmark needs Linux 4.14 or later")


def _status_mb(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1e3
    return 0.0


if __name__ == "__main__":
    main()
