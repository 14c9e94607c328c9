"""How fast the arm is held and a run is back: five figures, each by a function, on the twin through the command line.

    python benchmarks/survival.py                       # all five, some minutes; writes results/survival.json
    python benchmarks/survival.py --only commit,resume

Times are the senders' own (wall clock of one machine), so that this process may be slow. Where the machine is busy with
other work they say so by `load_1min`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from crashing.bench import brought_up
from crashing.cells import Cell
from crashing.holding import COMMAND_PERIOD_MS
from crashing.inject import inject
from crashing.phases import Materials, make_materials

from o2o_robot.data.provenance import git_revision, machine, versions
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import O2OError
from o2o_robot.jsonfile import read_json, write_json

OUT = Path(__file__).parent / "results" / "survival.json"
Figure = dict[str, Any]


def kill_to_held(folder: Path, materials: Materials, runs: int = 10) -> Figure:
    """kill -9 of policy_node in an episode, at another moment between two commands each time, to the guard's hold."""
    periods = []
    for k in range(runs):
        cell = Cell("evaluate", "policy_node", "kill")
        with brought_up(cell, folder / f"kill-{k}", materials) as bench:
            bench.midway_and(zlib.crc32(f"{k}".encode()) % COMMAND_PERIOD_MS * 1e-3)
            at_ns = inject(cell, bench.run.pid_of(cell.node), bench.ears.listen)
            periods.append((bench.held_ns(after_ns=at_ns) - at_ns) / 1e6 / COMMAND_PERIOD_MS)
    return {"runs": runs, "command_periods": spread(periods), "wanted": "< 2"}


def estop_to_hold(folder: Path, materials: Materials, calls: int = 50) -> Figure:
    """From the call of arm_node/estop to the hold on `target_pose`, as a reader beside the twin gets it; arm moving."""
    ms = []
    with brought_up(Cell("collect", "arm_node", "kill"), folder / "estop", materials) as bench:
        bench.call("arm_node/estop")  # from here on it is known where the service is
        bench.call("arm_node/reset")
        for _ in range(calls):
            bench.midway(steps=3)
            at_ns = time.time_ns()
            bench.call("arm_node/estop")
            ms.append((bench.hold_target_ns(after_ns=at_ns) - at_ns) / 1e6)
            bench.call("arm_node/reset")
    return {"calls": calls, "ms": spread(ms), "wanted": "< 20"}


def commit(folder: Path, materials: Materials, episodes: int = 20) -> Figure:
    """Of 50 steps with two 64x64 cameras, lockstep: from END, sent, to recorder_state telling the episode stored; and
    the store's part of that, each of those episodes appended once more."""
    cell = Cell("collect", "recorder_node", "kill")
    options = {"realtime-factor": 0.0, "max-steps": 50, "image-size": 64}
    only_store = {"teleop_node": {"bias_m": 0.2}, "recorder_node": {"bags": ""}}
    with brought_up(cell, folder / "commit", materials, only_store, options) as bench:
        told_ms = bench.commits_ms(episodes)
    append_ms = appends_ms(bench.run_dir / "episodes.zarr", folder / "again.zarr")
    wanted = "append < 10"
    return {"episodes": episodes, "append_ms": spread(append_ms), "end_to_told_ms": spread(told_ms), "wanted": wanted}


def appends_ms(path: Path, other: Path) -> list[float]:
    """The time that each episode of a store takes to be committed to another one, the first left out."""
    took_ms = []
    with EpisodeStore.open(path) as store, EpisodeStore.create(other) as copy:
        for episode in store.episodes():
            before_s = time.perf_counter()
            copy.append(episode)
            took_ms.append((time.perf_counter() - before_s) * 1e3)
    return took_ms[1:]


def resume(folder: Path, materials: Materials, runs: int = 3) -> Figure:
    """A whole online run killed; from the command that takes it up again to the first action of its policy."""
    seconds = []
    for k in range(runs):
        cell, place = Cell("online", "policy_node", "kill"), folder / f"resume-{k}"
        with brought_up(cell, place, materials) as bench:
            bench.midway()
            bench.run.kill_all()
        started_ns = time.time_ns()
        with brought_up(cell, place, materials, again=True) as bench:
            seconds.append((bench.first_action_ns() - started_ns) / 1e9)
    return {"runs": runs, "s": spread(seconds), "wanted": "< 20"}


def jitter(folder: Path, materials: Materials, seconds: float = 20.0) -> Figure:
    """arm_node's 200 Hz tick, by when its targets were sent, while learner_node trains on the last core."""
    ticks = {"arm_node": {"tick_hz": 200.0}, "learner_node": {"torch_threads": 1, "utd": 1000}}
    with brought_up(Cell("online", "arm_node", "kill"), folder / "jitter", materials, ticks) as bench:
        bench.midway()
        cores = sorted(os.sched_getaffinity(0))
        bench.pin("learner_node", {cores[-1]})
        for node in set(bench.run.look()) - {"learner_node"}:
            bench.pin(node, set(cores[:-1]) or {cores[-1]})
        before = len(bench.ears.targets)
        bench.ears.listen(seconds)
        gaps_ms = np.diff([one.sent_ns for one in bench.ears.targets[before:]]) / 1e6
        gaps_ms = gaps_ms[gaps_ms > 0.5]  # an action's own target comes between two ticks
    late_ms = np.abs(gaps_ms - 5.0)
    return {"ticks": len(gaps_ms), "off_by_ms": spread(late_ms), "wanted": "p99 < 2"}


FIGURES: dict[str, Callable[[Path, Materials], Figure]] = {
    "kill": kill_to_held,
    "estop": estop_to_hold,
    "commit": commit,
    "resume": resume,
    "jitter": jitter,
}


def spread(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    found = {"p50": np.percentile(values, 50), "p99": np.percentile(values, 99), "max": np.max(values)}
    return {name: round(float(value), 3) for name, value in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(FIGURES), help=f"of {', '.join(FIGURES)}, with commas")
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    figures = read_json(chosen.out)["figures"] if chosen.out.exists() else {}
    with tempfile.TemporaryDirectory(prefix="survival.") as folder:
        materials = make_materials(Path(folder))
        for name in chosen.only.split(","):
            if name not in FIGURES:
                print(f"survival: no figure '{name}' (there are {', '.join(FIGURES)})", file=sys.stderr)
                return 2
            try:
                figures[name] = FIGURES[name](Path(folder), materials) | {"load_1min": machine()["load_1min"]}
            except O2OError as problem:
                print(f"survival: {name}: {problem}", file=sys.stderr)
                return 1
            print(f"{name:8} {figures[name]}", flush=True)
            about = {"machine": machine(), "versions": versions(), "git_revision": git_revision()}
            write_json(chosen.out, {**about, "figures": figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
