"""Hours of collecting, warm-up and online learning in lockstep, with faults and kills: does anything leak, or get lost?

    . scripts/env.sh
    python benchmarks/soak.py                          # two hours, in segments of twenty minutes
    python benchmarks/soak.py --minutes 20 --append    # one more segment, added to the results

A segment brings up `collect` for a sixth of its time, then `finetune`. Every 20 s something breaks on purpose; in every
other segment learner or recorder are killed every three minutes. Every 10 s the resident size of each node is read.
The replay is small (its memory is taken in the first minutes), so that what still grows is a leak. Writes
results/soak.json and results/soak.png; the exit code is 1 where the verdict is bad.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from soaking.picture import draw
from soaking.trouble import VICTIMS, Trouble
from soaking.verdict import SETTLE_S, Moment, Sample, growths, lost_steps, unexplained

from o2o_robot import overlay
from o2o_robot.apps import pretrain
from o2o_robot.data.provenance import git_revision, machine, versions
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import GraphError, O2OError
from o2o_robot.graph import Collect, Finetune, Process, collect, finetune
from o2o_robot.jsonfile import read_json, read_lines, write_json
from o2o_robot.spool import Spool
from o2o_robot.supervise import Supervisor

OUT = Path(__file__).parent / "results" / "soak.json"
SEGMENT_MIN, COLLECT_SHARE = 20.0, 1 / 6
FAULT_S, KILL_S, SAMPLE_S = 20.0, 180.0, 10.0
REPLAY_STEPS, WARMUP_STEPS, FOREVER = 2000, 300, 1_000_000_000
RESTARTS = 8  # of each, in a segment; each waits twice as long as the one before


def main() -> int:
    options = parse()
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    document = read_json(options.out) if options.append and options.out.exists() else {"segments": []}
    checkpoint = prepare(options.work)
    end_s = time.monotonic() + 60 * options.minutes
    while (left_s := end_s - time.monotonic()) > 30.0:
        number = len(document["segments"])
        minutes = min(options.segment_min, left_s / 60)
        document["segments"].append(segment(options.work, number, minutes, checkpoint))
        write_json(options.out, document | facts_of(document["segments"], options.settle_s))
    return report(read_json(options.out), options.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--segment-min", type=float, default=SEGMENT_MIN)
    parser.add_argument("--append", action="store_true", help="add to the results there are")
    parser.add_argument("--work", type=Path, default=Path("runs/soak"))
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--settle-s", type=float, default=SETTLE_S, help="seconds of a process that are not judged")
    return parser.parse_args()


def prepare(work: Path) -> Path:
    """A checkpoint of a few updates, from a few scripted episodes."""
    folder = work / "pretrain" / "checkpoint"
    if not folder.exists():
        run_dir = work / "demonstrations"
        told = collect(Collect(run_dir=str(run_dir), episodes=6), overlay.share())
        with Supervisor(_with(told, "recorder_node", store=str(run_dir / "episodes.zarr")), run_dir) as running:
            running.wait()
        pretrain.main(run_dir / "episodes.zarr", out=work / "pretrain", steps=20)
    return folder


def segment(work: Path, number: int, minutes: float, checkpoint: Path) -> dict[str, Any]:
    """Run one; everything that was seen in it, times from its own beginning."""
    began_s, folder = time.monotonic(), work / f"segment-{time.strftime('%Y%m%d-%H%M%S')}"
    kill_s = KILL_S if number % 2 else 0.0
    up = Finetune(
        run_dir=str(folder / "finetune"), checkpoint=str(checkpoint), warmup_steps=WARMUP_STEPS, online_steps=FOREVER
    )
    learning = _with(finetune(up, overlay.share()), "learner_node", capacity_steps=REPLAY_STEPS, torch_threads=1)
    learning = [replace(each, restarts=RESTARTS if each.name in VICTIMS else 0) for each in learning]
    up_collect = Collect(run_dir=str(folder / "collect"), episodes=FOREVER)
    collecting = collect(up_collect, overlay.share())
    store = folder / "collect" / "episodes.zarr"
    collecting = _with(collecting, "recorder_node", store=str(store))
    seen: dict[str, list[Any]] = {"samples": [], "made": [], "stops": [], "died": []}
    for name, told, share, kills in (
        ("collect", collecting, COLLECT_SHARE, 0.0),
        ("finetune", learning, 1.0 - COLLECT_SHARE, kill_s),
    ):
        for key, found in watch(told, folder / name, 60 * minutes * share, began_s, number, kills).items():
            seen[key] += found
    return {"number": number, "minutes": round(minutes, 1), **counts(folder), **seen}


def watch(
    told: list[Process], run_dir: Path, duration_s: float, began_s: float, seed: int, kill_s: float
) -> dict[str, list[Any]]:
    """Bring a graph up and look after it until its time is over."""
    end_s, next_s = time.monotonic() + duration_s, 0.0
    samples: list[Sample] = []
    died: list[str] = []
    domain = int(os.environ["ROS_DOMAIN_ID"])
    with (
        Supervisor(told, run_dir) as supervisor,
        Trouble(domain, began_s=began_s, seed=seed, fault_s=FAULT_S, kill_s=kill_s) as trouble,
    ):
        try:
            while time.monotonic() < end_s and not supervisor.has_ended():
                trouble.look(supervisor)
                if time.monotonic() >= next_s:
                    next_s = time.monotonic() + SAMPLE_S
                    samples += sizes(supervisor, time.monotonic() - began_s)
        except GraphError as problem:
            died.append(str(problem).splitlines()[0])
    if time.monotonic() < end_s and not died:
        died.append("the session ended before its time")
    return {"samples": samples, "made": trouble.made, "stops": trouble.stops, "died": died}


def sizes(supervisor: Supervisor, t_s: float) -> Iterator[Sample]:
    for one in supervisor.running:
        if one.exit_code is None:
            yield Sample(t_s, one.process.name, one.popen.pid, psutil.Process(one.popen.pid).memory_info().rss)


def counts(folder: Path) -> dict[str, Any]:
    """Steps that were told of, stored and learned from, and what is missing."""
    found: dict[str, Any] = {"episodes": 0, "steps_told": 0, "steps_stored": 0, "lost": {}}
    for name in ("collect", "finetune"):
        lines = list(read_lines(folder / name / "episodes.jsonl"))
        with EpisodeStore.open(folder / name / "episodes.zarr") as store:
            stored = {store.meta(i)["id"]: store.length(i) for i in range(len(store))}
        found["episodes"] += len(lines)
        found["steps_told"] += sum(line["n_steps"] for line in lines)
        found["steps_stored"] += sum(stored.values())
        found["lost"] |= {f"{name}/{episode}": steps for episode, steps in lost_steps(lines, stored).items()}
    learner = folder / "finetune" / "learner_node.json"
    told = sum(line["n_steps"] for line in read_lines(folder / "finetune" / "episodes.jsonl"))
    learned = read_json(learner)["steps_received"] if learner.exists() else 0
    waiting = spooled(folder / "finetune" / "spool", learned)
    return found | {"steps_to_learn": told, "steps_learned": learned, "steps_spooled": waiting}


def spooled(folder: Path, learned: int) -> int:
    """Steps that are on disk for a learner that has so many: it was stopped before it could take them, and would."""
    if not folder.is_dir():
        return 0
    with Spool.open(folder, run="soak", resume=True) as spool:
        oldest = next(spool.read(spool.first_number), None)
        reaches_back = oldest is not None and oldest.tally <= learned + 1
        return max(0, spool.tally - learned) if reaches_back else 0


def facts_of(segments: list[dict[str, Any]], settle_s: float) -> dict[str, Any]:
    """What is judged, over all segments."""
    grown = [
        {"segment": each["number"], **one._asdict(), "is_flat": one.is_flat}
        for each in segments
        for one in growths([Sample(*s) for s in each["samples"]], settle_s=settle_s)
    ]
    strange = [
        f"segment {each['number']}, {stop.t_s:.0f} s: {stop.what}"
        for each in segments
        for stop in unexplained([Moment(*s) for s in each["stops"]], [Moment(*s) for s in each["made"]])
    ]
    verdict = {
        "minutes": round(sum(each["minutes"] for each in segments), 1),
        "steps": sum(each["steps_told"] for each in segments),
        "troubles": sum(len(each["made"]) for each in segments),
        "stops": sum(len(each["stops"]) for each in segments),
        "unexplained_stops": strange,
        "died": [line for each in segments for line in each["died"]],
        "lost_steps": sum(sum(each["lost"].values()) for each in segments),
        "unlearned_steps": sum(
            max(0, each["steps_to_learn"] - each["steps_learned"] - each["steps_spooled"]) for each in segments
        ),
        "growth": grown,
    }
    return {"verdict": verdict, "machine": machine(), "versions": versions(), "revision": git_revision()}


def report(document: dict[str, Any], out: Path) -> int:
    """Print the verdict, draw the picture; 1 where something leaked, got lost or stopped by itself."""
    verdict, segments = document["verdict"], document["segments"]
    offsets_s = [60 * sum(each["minutes"] for each in segments[:i]) for i in range(len(segments))]
    together = list(zip(segments, offsets_s, strict=True))
    draw(
        out.with_suffix(".png"),
        [Sample(s[0] + offset_s, *s[1:]) for each, offset_s in together for s in each["samples"]],
        [Moment(t + offset_s, w) for each, offset_s in together for t, w in each["made"] if w.startswith("kill")],
    )
    print(json.dumps({name: value for name, value in verdict.items() if name != "growth"}, indent=1))
    for one in verdict["growth"]:
        print(
            f"{one['node']:14s} segment {one['segment']}: {one['median_mb']:7.1f} MB, {100 * one['share']:+5.1f} % in "
            f"{one['window_s'] / 60:.0f} min {'' if one['is_flat'] else '  GROWS'}"
        )
    good = not (verdict["unexplained_stops"] or verdict["died"] or verdict["lost_steps"] or verdict["unlearned_steps"])
    good = good and all(one["is_flat"] for one in verdict["growth"])
    print("good" if good else "BAD", f"({out})")
    return 0 if good else 1


def _with(processes: list[Process], name: str, **parameters: Any) -> list[Process]:
    return [
        replace(each, parameters={**each.parameters, **parameters}) if each.name == name else each for each in processes
    ]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except O2OError as problem:
        sys.exit(f"soak: {problem}")
