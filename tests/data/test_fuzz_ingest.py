"""Two thousand damaged recordings: each ends in one clear line or in valid episodes, quickly, and in bounded memory."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_recordings import SEEDS, SIDE, damaged_messages, mutated_copy, write_seed

from o2o_robot.data.episode import validate
from o2o_robot.data.ingest.job import Request
from o2o_robot.data.ingest.prepare import plan_of, ranged_contracts
from o2o_robot.data.ingest.report import SourceReport
from o2o_robot.data.ingest.sources import ingest, look
from o2o_robot.data.store import EpisodeStore

MESSAGES = "messages"  # a sound MCAP around damaged messages
N_CASES = {**dict.fromkeys(SEEDS, 180), MESSAGES: 200}
DEADLINE_S = 10  # a case takes some 10 ms; what takes this long would take for ever
SPARE_BYTES = 1 << 30  # of address space beyond what the reader has when it starts
UNCLEAR = re.compile(r"unexpected [A-Z]\w+:|MemoryError|more memory|Traceback")


def test_there_are_two_thousand_cases():
    assert sum(N_CASES.values()) >= 2000


@pytest.mark.parametrize("name", N_CASES)
def test_a_damaged_recording_ends_in_one_clear_line_or_in_valid_episodes(name, tmp_path):
    done = _in_a_child(name, range(N_CASES[name]), tmp_path)
    assert not done["unclear"], f"{len(done['unclear'])} of {N_CASES[name]} cases: {done['unclear'][:5]}"
    assert done["n_left_out"] > N_CASES[name] // 10, "hardly any case was damaged"
    assert done["n_stored"] == done["n_sound"] > 0


@pytest.mark.parametrize("name", SEEDS)
def test_the_recording_that_is_damaged_was_sound(name, tmp_path):
    with EpisodeStore.create(tmp_path / "s") as store:
        (report,) = _ingest_case(write_seed(name, tmp_path / "seed"), store)
        assert (report.status, report.reason) == ("ingested", "")
        assert len(store) == len(report.episodes) >= 1


def _in_a_child(name: str, cases: range, folder: Path) -> dict[str, Any]:
    """What a process of its own found: a case that kills it, or hangs, is named by the file it leaves."""
    words = [sys.executable, __file__, name, str(cases.start), str(cases.stop), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    current = folder / "current"
    at = current.read_text() if current.exists() else "none"
    if done.returncode == -signal.SIGALRM:
        pytest.fail(f"case {at} of '{name}' took more than {DEADLINE_S} s")
    assert done.returncode == 0, f"case {at} of '{name}' ended the reader ({done.returncode}): {done.stderr[-2000:]}"
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run(name: str, cases: range, folder: Path) -> dict[str, Any]:
    """Every case through the ingest into one store, which is then read from end to end."""
    strangers = [_bytes_of(write_seed(each, folder / "seeds" / each)) for each in ("mcap", "db3", "hdf5", "pickle")]
    seed = write_seed(name, folder / "seed") if name in SEEDS else None
    unclear: list[str] = []
    n_left_out = n_stored = 0
    with EpisodeStore.create(folder / "s") as store:
        for case in cases:
            (folder / "current").write_text(str(case))
            rng = np.random.default_rng(case)
            place = folder / "case" / str(case)
            place.mkdir(parents=True)
            path = mutated_copy(seed, place, rng, strangers) if seed else damaged_messages(place, rng, strangers)
            signal.alarm(DEADLINE_S)
            reports = _ingest_case(path, store)
            signal.alarm(0)
            unclear += [f"{case}: {problem}" for report in reports for problem in _problems(report)]
            n_left_out += any(not report.is_complete for report in reports)
            n_stored += sum(len(report.episodes) for report in reports)
            shutil.rmtree(place)
        n_sound = 0
        for episode in store.episodes():  # each is checked against the digest of what was appended
            validate(episode)
            n_sound += 1
    return {"unclear": unclear, "n_left_out": n_left_out, "n_stored": n_stored, "n_sound": n_sound}


def _ingest_case(path: Path, store: EpisodeStore) -> list[SourceReport]:
    request = Request(image_side=SIDE, created_at="2026-01-01T00:00:00+00:00")
    ranged = ranged_contracts(store)
    plan = plan_of([look(path, request, ranged)], store, ranged)
    return list(plan.reports(ingest(job, request, store) for job in plan.jobs))


def _problems(report: SourceReport) -> list[str]:
    """What is wrong with how a report tells of a damaged source."""
    told = [*report.left_out, *([report.reason] if report.reason else [])]
    silent = [] if report.is_complete or report.reason else ["left out without a reason"]
    unclear = [line for line in told if len(line) > 2000 or UNCLEAR.search(line)]
    uncounted = [
        f"{topic}: {count}"
        for topic, count in report.topics.items()
        if count["messages"]
        != count["used"] + count["superseded"] + count["out_of_tolerance"] + sum(count["dropped"].values())
    ]
    return [*silent, *dict.fromkeys(unclear), *uncounted]


def _bytes_of(path: Path) -> bytes:
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return max((each.read_bytes() for each in files), key=len)


def _bound_memory() -> None:
    """From here on, asking for more than SPARE_BYTES fails."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    _name, _first, _last, _folder = sys.argv[1:]
    with EpisodeStore.create(Path(_folder) / "warm") as _store:  # what the reader imports and maps belongs to the start
        _ingest_case(write_seed(_name if _name in SEEDS else "mcap", Path(_folder) / "warm seed"), _store)
    _bound_memory()
    print(json.dumps(run(_name, range(int(_first), int(_last)), Path(_folder))))
