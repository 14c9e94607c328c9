"""What went into the spool comes out, whatever crash, full disk or restart lies between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from o2o_robot.errors import DataError, StoreError
from o2o_robot.jsonfile import write_json
from o2o_robot.segment import segments
from o2o_robot.spool import Spool, run_of

SMALL = 200  # bytes of a segment


def filled(folder: Path, n: int, *, run: str = "r", **settings: int) -> Spool:
    spool = Spool.open(folder, run=run, segment_bytes=SMALL, **settings)
    for number in range(n):
        assert spool.append(payload(number), tally=2 * number) == number
    return spool


def payload(number: int) -> bytes:
    return bytes([number % 256]) * (10 + 7 * number % 50)


def numbers(spool: Spool, first: int = 0) -> list[int]:
    return [record.number for record in spool.read(first)]


@given(st.lists(st.binary(max_size=90), max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_what_was_appended_is_read_again_in_order_from_any_number_also_by_the_next_process(data, first, forgotten):
    with tempfile.TemporaryDirectory() as folder:
        with Spool.open(folder, run="r", segment_bytes=SMALL) as spool:
            for index, one in enumerate(data):
                spool.append(one, tally=index)
        with Spool.open(folder, run="other", resume=True, segment_bytes=SMALL) as spool:
            assert (spool.run, spool.next_number) == ("r", len(data))
            assert [(r.tally, r.data) for r in spool.read(first)] == list(enumerate(data))[first:]
            spool.forget(min(forgotten, len(data)))
            assert numbers(spool, forgotten) == list(range(forgotten, len(data)))


@given(st.integers(0, 400))
def test_a_torn_end_costs_the_torn_step_alone_and_counting_goes_on_behind_it(cut):
    with tempfile.TemporaryDirectory() as folder:
        filled(Path(folder), 12).close()
        path = segments(Path(folder))[-1]
        before = path.stat().st_size
        os.truncate(path, max(0, before - cut))
        with Spool.open(folder, run="x", resume=True, segment_bytes=SMALL) as spool:
            kept = numbers(spool)
            assert kept == list(range(spool.next_number))
            assert int(path.stem) <= spool.next_number <= 12
            spool.append(b"again", tally=77)
            assert numbers(spool) == [*kept, len(kept)]
            assert spool.last().tally == 77


def test_a_flipped_bit_at_the_end_is_a_torn_end_and_in_the_middle_it_is_named(tmp_path):
    filled(tmp_path, 12).close()
    first, *_, last = segments(tmp_path)
    damage(last, -1)
    with Spool.open(tmp_path, run="x", resume=True) as spool:
        assert spool.next_number == 11
        damage(first, -1)
        with pytest.raises(DataError, match=rf"{first.name}: step \d+ is damaged"):
            list(spool.read(0))


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_forgetting_frees_the_disk_but_never_a_step_that_somebody_lacks(tmp_path):
    with filled(tmp_path, 40) as spool:
        full = spool.n_bytes
        for before in range(41):
            spool.forget(before)
            assert numbers(spool, before) == list(range(before, 40))
        assert len(segments(tmp_path)) == 1
        assert spool.n_bytes == segments(tmp_path)[0].stat().st_size < full / 4


def test_an_emptied_spool_still_knows_how_far_it_had_counted(tmp_path):
    with filled(tmp_path, 40) as spool:
        spool.forget(40)
    with Spool.open(tmp_path, run="x", resume=True) as spool:
        assert (spool.next_number, spool.tally) == (40, 78)


def test_a_new_run_leaves_nothing_of_the_old_one(tmp_path):
    filled(tmp_path, 40).close()
    with Spool.open(tmp_path, run="new") as spool:
        assert (spool.run, spool.next_number, numbers(spool)) == ("new", 0, [])
    assert run_of(tmp_path) == "new"


def test_it_is_full_before_the_next_steps_would_not_fit_and_not_full_once_they_are_safe(tmp_path):
    with filled(tmp_path, 20, max_bytes=2000) as spool:
        assert not spool.is_full()
        assert spool.is_full(more=20)
        spool.forget(20)
        assert not spool.is_full(more=20)


def test_a_full_disk_refuses_a_step_in_one_line_and_tears_nothing(tmp_path):
    """A process of its own, whose files may not grow past 1000 bytes: the kernel writes a part and then refuses."""
    script = f"""
import resource, signal
from o2o_robot.errors import StoreError
from o2o_robot.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
with Spool.open({str(tmp_path)!r}, run="r") as spool:
    try:
        while True: spool.append(b"x" * 300, tally=1)
    except StoreError as problem:
        print(spool.next_number, [r.number for r in spool.read(0)], problem)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    spool.append(b"there is room again")
    print([r.number for r in spool.read(0)])
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.startswith("3 [0, 1, 2] step 3 cannot be kept in")
    assert "make room" in said
    assert said.endswith("[0, 1, 2, 3]\n")


def test_what_was_appended_survives_the_death_of_the_writer(tmp_path):
    script = f"""
import os, signal
from o2o_robot.spool import Spool
spool = Spool.open({str(tmp_path)!r}, run="r")
for _ in range(9): spool.append(b"step")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    with Spool.open(tmp_path, run="x", resume=True) as spool:
        assert [record.data for record in spool.read(0)] == [b"step"] * 9


def test_a_folder_of_another_format_is_refused_and_stays_as_it_was(tmp_path):
    write_json(tmp_path / "spool.json", {"format": 9, "run": "r"})
    (tmp_path / "000000000000.steps").write_bytes(b"theirs")
    with pytest.raises(DataError, match="has format 9, this version reads 1"):
        Spool.open(tmp_path, run="x", resume=True)
    assert (tmp_path / "000000000000.steps").read_bytes() == b"theirs"


def test_a_refused_segment_leaves_the_one_before_it_in_use(tmp_path, monkeypatch):
    with filled(tmp_path, 3) as spool:
        spool.append(b"x" * 300)  # the next one begins a segment
        monkeypatch.setattr(os, "write", lambda *_: 0)
        with pytest.raises(StoreError):
            spool.append(b"y")
        monkeypatch.undo()
        assert spool.append(b"z") == 4
        assert numbers(spool) == [0, 1, 2, 3, 4]
