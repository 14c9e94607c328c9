"""Many workers, one store: what comes out does not depend on how many there are, nor on which of them die."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_recordings import write_seed
from twin_bags import make_episode, write_twin_bag

from o2o_robot.apps.ingest import main
from o2o_robot.data.episode import digest
from o2o_robot.data.ingest.job import Request
from o2o_robot.data.ingest.report import REPORT
from o2o_robot.data.ingest.workers import STALL_S, Answer, Processes, Task, in_order
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError
from o2o_robot.types import Episode

SIDE = 16


@pytest.fixture(scope="module")
def bags(tmp_path_factory) -> Path:
    """Eight sources: good ones, a damaged one, one of three episodes, one left out in part, and a copy."""
    folder = tmp_path_factory.mktemp("bags")
    for seed in (0, 2, 5, 6):
        write_twin_bag(folder / f"episode_{seed}.mcap", make_episode(seed, n_steps=2, side=SIDE))
    broken = write_twin_bag(folder / "episode_1.mcap", make_episode(1, n_steps=2, side=SIDE))
    broken.write_bytes(broken.read_bytes()[:-100])
    three = [make_episode(seed, n_steps=2, side=SIDE) for seed in (30, 31, 32)]
    write_twin_bag(folder / "episode_3.mcap", *three)
    lost = frozenset({"episode@END"})
    write_twin_bag(folder / "episode_4.mcap", make_episode(4, n_steps=2, side=SIDE), skip=lost)
    shutil.copy(folder / "episode_3.mcap", folder / "episode_7.mcap")
    return folder


@pytest.fixture(scope="module")
def alone(bags, tmp_path_factory) -> Path:
    """The store that one process makes of them."""
    out = tmp_path_factory.mktemp("alone") / "s"
    assert main([bags], out=out, image_side=SIDE) == 1
    return out


def contents(store: Path) -> list[tuple[str, dict[str, Any]]]:
    """Digest and meta of every episode, in order; the time of the ingest is left out."""
    with EpisodeStore.open(store) as opened:
        return [(digest(episode), _without_time(episode)) for episode in opened.episodes()]


def _without_time(episode: Episode) -> dict[str, Any]:
    provenance = {name: value for name, value in episode.meta["provenance"].items() if name != "created_at"}
    return {**episode.meta, "provenance": provenance}


def report_of(store: Path) -> dict[str, Any]:
    return json.loads((store / REPORT).read_text())


def reasons(store: Path) -> dict[str, str]:
    return {Path(bag["bag"]).name: bag["reason"] for bag in report_of(store)["bags"] if bag["status"] == "left out"}


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.mark.parametrize("n", [2, 3])
def test_the_store_and_the_report_are_the_same_for_any_number_of_workers(bags, alone, tmp_path, n):
    before = children()
    assert main([bags], out=tmp_path / "s", image_side=SIDE, workers=n) == 1
    assert contents(tmp_path / "s") == contents(alone)
    assert len(contents(alone)) == 7
    assert report_of(tmp_path / "s") == report_of(alone)
    assert not (tmp_path / "s" / ".incoming").exists()
    assert children() == before


def test_a_copy_of_a_recording_is_stored_once_and_named(alone):
    by_name = {Path(bag["bag"]).name: bag for bag in report_of(alone)["bags"]}
    assert by_name["episode_7.mcap"]["status"] == "in store"
    assert by_name["episode_7.mcap"]["reason"].endswith("episode_3.mcap")


# A process whose audit hook ends it when it opens the deadly file; it also prints, as C libraries do.
_TRAP = """
import glob, os, sys
def trap(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".mcap"):
        os.write(1, b'{{"report": "not an answer"}}\\n')
        if "episode_2." in str(arguments[0]) and glob.glob({pattern!r}):
            os.kill(os.getpid(), 9)
sys.addaudithook(trap)
"""


@pytest.mark.parametrize("when", ["looking", "ingesting"])
def test_a_worker_that_dies_costs_its_source_and_nothing_else(bags, alone, tmp_path, monkeypatch, when):
    out = tmp_path / "s"
    pattern = str(out) if when == "looking" else str(out / ".incoming" / "*" / "*")
    (tmp_path / "sitecustomize.py").write_text(_TRAP.format(pattern=pattern))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert main([bags], out=out, image_side=SIDE, workers=2) == 1
    expected = [each for each in contents(alone) if each[1]["id"] != "ep-2"]
    assert contents(out) == expected
    assert "died by signal SIGKILL" in reasons(out)["episode_2.mcap"]
    assert set(reasons(out)) == {*reasons(alone), "episode_2.mcap"}


_STUCK = """
import os, signal, sys
def trap(event, arguments):
    if event == "open" and "episode_2." in str(arguments[0]):
        os.write(os.open({fifo!r}, os.O_WRONLY), b"." * 1000)
        signal.pause()
sys.addaudithook(trap)
"""


class _WhenStuck:
    """A timer that runs out when, and only when, the trap has been reached; see threading.Timer."""

    def __init__(self, fifo: Path, run_out: Callable[[], None]) -> None:
        self._is_cancelled = False
        self._thread = threading.Thread(target=self._wait, args=(fifo, run_out), daemon=True)
        self.start, self.join = self._thread.start, self._thread.join

    def _wait(self, fifo: Path, run_out: Callable[[], None]) -> None:
        with fifo.open("rb", buffering=0) as told:  # once the trap has opened it too, however late we are
            told.read(1)
        if not self._is_cancelled:
            run_out()

    def cancel(self) -> None:
        self._is_cancelled = True


def test_a_dataset_that_kills_its_reader_costs_only_itself_even_without_workers(tmp_path, monkeypatch):
    pytest.importorskip("h5py", reason="no HDF5; pip install 'o2o_robot[formats]'")
    deadly = "e == 'open' and 'demos' in str(a[0])"
    trap = f"import os, sys\nsys.addaudithook(lambda e, a: {deadly} and os.kill(os.getpid(), 9))"
    write_seed("hdf5", tmp_path / "in")
    write_twin_bag(tmp_path / "in" / "whole.mcap", make_episode(0, n_steps=2, side=SIDE))
    (tmp_path / "sitecustomize.py").write_text(trap)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert main([tmp_path / "in"], out=tmp_path / "s", image_side=SIDE) == 1
    assert [meta["id"] for _, meta in contents(tmp_path / "s")] == ["ep-0"]
    assert "died by signal SIGKILL" in reasons(tmp_path / "s")["demos.hdf5"]


def test_a_worker_that_hangs_is_ended_and_costs_its_source(bags, tmp_path, monkeypatch):
    fifo = tmp_path / "stuck"
    os.mkfifo(fifo)
    (tmp_path / "sitecustomize.py").write_text(_STUCK.format(fifo=str(fifo)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    request = Request(image_side=SIDE, created_at="2026-01-01T00:00:00+00:00")
    tasks = [Task(request, path=str(bags / f"episode_{seed}.mcap")) for seed in (0, 2, 5)]
    with Processes(1, timer=lambda seconds, run_out: _WhenStuck(fifo, run_out)) as crew:  # type: ignore[arg-type]
        before, stuck, after = crew.answers(tasks, lambda i, n: None)
    assert f"read nothing for {STALL_S} s" in stuck.died
    assert [answer.look.contract for answer in (before, after)] == ["twin", "twin"]


@pytest.mark.parametrize("n_lines", [1, 4])
def test_an_ingest_that_is_killed_leaves_a_sound_store_and_the_same_command_goes_on(bags, alone, tmp_path, n_lines):
    out = tmp_path / "s"
    command = [sys.executable, "-m", "o2o_robot.cli", "ingest", str(bags), "--out", str(out)]
    command += ["--image-side", str(SIDE), "--workers", "2"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as ingest:
        assert ingest.stdout is not None
        for _ in range(n_lines):
            assert ingest.stdout.readline()
        ingest.kill()
    with EpisodeStore.open(out, "a") as store:
        found = [digest(episode) for episode in store.episodes()]
    assert found == [each for each, _ in contents(alone)][: len(found)]
    assert (out / ".incoming").exists()
    main([bags], out=out, image_side=SIDE)
    assert contents(out) == contents(alone)
    assert not (out / ".incoming").exists()


def test_a_bag_that_was_stored_in_part_is_completed_and_not_stored_twice(bags, alone, tmp_path):
    three = bags / "episode_3.mcap"
    main([three], out=tmp_path / "s", image_side=SIDE)
    whole = contents(tmp_path / "s")
    shutil.rmtree(tmp_path / "s" / "episodes" / "000002")  # as if killed before the last of three
    for n in (2, 1):
        assert main([three], out=tmp_path / "s", image_side=SIDE, workers=n) == 0
        assert contents(tmp_path / "s") == whole


def test_no_more_tasks_are_ahead_of_the_store_than_allowed():
    n_given = 0

    def tasks() -> Iterator[Task]:
        nonlocal n_given
        for n_given in range(1, 21):  # noqa: B007
            yield Task(Request())

    answers = in_order(lambda number, task: lambda: Answer(died=str(number)), tasks(), ahead=4)
    for n_taken, answer in enumerate(answers):
        assert answer.died == str(n_taken)
        assert n_given - n_taken <= 5  # four that wait, and the one that is being handed over


def test_answers_come_in_order_of_the_tasks_even_when_every_worker_dies(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    (tmp_path / "sitecustomize.py").write_text("import os, sys\nif '-m' in sys.orig_argv: os._exit(3)\n")
    with Processes(2) as crew:
        answers = list(crew.answers([Task(Request(), path=str(i)) for i in range(5)], lambda i, n: None))
    assert [answer.died for answer in answers] == ["the worker that read it died with exit code 3"] * 5


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"workers": 0}, "workers must be at least 1"),
        ({"dask": "tcp://127.0.0.1:1"}, "no Dask scheduler answers at tcp://127.0.0.1:1"),
        ({"dask": "nonsense"}, "no Dask scheduler answers at nonsense"),
    ],
)
def test_a_crew_that_cannot_be_is_refused_with_a_remedy(bags, tmp_path, monkeypatch, asked, said):
    if "dask" in asked:
        _distributed()
        monkeypatch.setattr("o2o_robot.data.ingest.dask_cluster._CONNECT_S", 0.2)
    with pytest.raises(ConfigError, match=said):
        main([bags], out=tmp_path / "s", **asked)


def test_a_request_that_is_wrong_stops_the_workers_too(bags, tmp_path):
    with pytest.raises(ConfigError, match="rate_hz must be > 0"):
        main([bags], out=tmp_path / "s", hz=0.0, workers=2)


def test_a_dask_cluster_makes_the_same_store(bags, alone, tmp_path):
    distributed = _distributed()
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        assert main([bags], out=tmp_path / "s", image_side=SIDE, dask=cluster.scheduler_address) == 1
    assert contents(tmp_path / "s") == contents(alone)
    assert report_of(tmp_path / "s") == report_of(alone)


def _distributed() -> Any:
    return pytest.importorskip("distributed", reason="no Dask; pip install 'o2o_robot[dask]'")
