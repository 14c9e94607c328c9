"""Ingest, in seconds per minute of recording: `python benchmarks/ingest.py [BAG ...] [--json FILE]`.

Without bags: 20 synthetic episodes as recorder_node writes them, and, where they are, the real ones of ../shared/data.
Prints a table; also what reading a bag alone takes with our reader and with the two public ones, and what each
compression costs the recorder.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from o2o_robot.apps import ingest
from o2o_robot.data.bag import Bag, find_bags
from o2o_robot.data.bags.mcap_writer import McapEpisodeWriter
from o2o_robot.data.provenance import machine, versions

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bags", nargs="*", type=Path)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "ingest.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sets = {str(path): path for path in args.bags} or _usual(Path(folder))
        rows = {name: measure(path, Path(folder) / "stores" / str(i)) for i, (name, path) in enumerate(sets.items())}
    _print("ingest", rows)
    args.json.write_text(json.dumps({"figures": rows, "machine": machine(), "versions": versions()}, indent=1) + "\n")


def measure(path: Path, store: Path) -> dict[str, float]:
    """Figures of one bag or folder of bags, each the better of two runs."""
    bags = [Bag.open(each) for each in find_bags([path])]
    spans = []
    for bag in bags:
        receipt_ns = [message.receipt_ns for message in bag.messages(())]
        spans.append((max(receipt_ns) - min(receipt_ns)) / 1e9)
    ingest_s = min(_ingest_s(path, store.with_name(f"{store.name}-{i}")) for i in range(2))
    first = max(bags, key=lambda bag: bag.n_bytes)
    return {
        "recorded_s": sum(spans),
        "MB": sum(bag.n_bytes for bag in bags) / 1e6,
        "ingest_s": ingest_s,
        "ingest_s_per_minute": 60 * ingest_s / sum(spans),
        "read_ms": 1e3 * _best(lambda: _read(first)),
        "read_rosbags_ms": 1e3 * _best(lambda: _read_rosbags(first)),
        "read_mcap_ms": 1e3 * _best(lambda: _read_mcap(first)),
        **{f"write_{way}_ms": 1e3 * _best(lambda way=way: _write(first, way)) for way in ("lz4", "zstd")},
        **{f"write_{way}_MB": _write(first, way) / 1e6 for way in ("lz4", "zstd")},
    }


def _usual(folder: Path) -> dict[str, Path]:
    sys.path.insert(0, str(ROOT / "tests" / "data"))
    from twin_bags import make_episode, write_twin_bag

    for seed in range(20):
        write_twin_bag(folder / "twin" / f"episode_{seed}.mcap", make_episode(seed, n_steps=50))
    real = {name: REAL / name for name in ("g1-bags", "ats-rosbags") if (REAL / name).is_dir()}
    return {"twin (random pixels)": folder / "twin", **real}


def _ingest_s(path: Path, store: Path) -> float:
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        ingest.main([path], out=store)
    return time.perf_counter() - started


def _read(bag: Bag) -> None:
    for _ in bag.messages(bag.topics()):
        pass


def _read_rosbags(bag: Bag) -> None:
    from rosbags.rosbag2 import Reader

    with Reader(bag.path) as reader:
        for _ in reader.messages():
            pass


def _read_mcap(bag: Bag) -> None:
    from mcap.reader import make_reader

    for file in bag.files:
        if file.suffix == ".mcap":
            with file.open("rb") as stream:
                for _ in make_reader(stream, validate_crcs=True).iter_messages(log_time_order=False):
                    pass


def _write(bag: Bag, compression: str) -> int:
    """Bytes of the bag written anew with this compression."""
    topics = bag.topics()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mcap"
        with McapEpisodeWriter(path, compression=compression) as writer:  # type: ignore[arg-type]
            for topic in topics.values():
                writer.register(topic.name, topic.type_name, topic.definition)
            for message in bag.messages(topics):
                ns = message.receipt_ns
                writer.write(message.topic, message.data, log_time_ns=ns, publish_time_ns=ns)
        return path.stat().st_size


def _best(run: Callable[[], object], n: int = 3) -> float:
    times = []
    for _ in range(n):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def _print(title: str, rows: dict[str, dict[str, float]]) -> None:
    table = Table("", *rows, title=title)
    for figure in next(iter(rows.values())):
        table.add_row(figure, *(f"{row[figure]:.2f}" for row in rows.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
