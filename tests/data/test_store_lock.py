"""One writer at a time, whoever asks; and a lock that no dead process holds."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from episode_examples import an_episode

from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import StoreError


def test_a_second_writer_is_refused_and_readers_are_not(tmp_path):
    with EpisodeStore.create(tmp_path / "s") as store:
        with pytest.raises(StoreError, match=f"written by process {os.getpid()}"):
            EpisodeStore.open(tmp_path / "s", "a")
        reader = EpisodeStore.open(tmp_path / "s")
        store.append(an_episode())
        assert (len(reader), reader.refresh()) == (0, 1)
    with EpisodeStore.open(tmp_path / "s", "a") as store:
        assert store.append(an_episode(seed=1)) == 1


def in_another_thread(act):
    """What `act` gave or raised there."""
    found = []

    def run():
        try:
            found.append(act())
        except Exception as problem:
            found.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def in_a_forked_child(act):
    """What `act` returned there as text, or the message of what it raised."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(act()).encode())
        except BaseException as problem:
            os.write(write, str(problem).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


def test_a_second_writer_in_another_thread_process_or_forked_child_is_refused(tmp_path):
    path = tmp_path / "s"
    with EpisodeStore.create(path):
        told = f"written by process {os.getpid()}"
        assert told in str(in_another_thread(lambda: EpisodeStore.open(path, "a")))
        assert told in in_a_forked_child(lambda: EpisodeStore.open(path, "a"))
        program = f"from o2o_robot.data.store import EpisodeStore\nEpisodeStore.open({str(path)!r}, 'a')"
        other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert told in other.stderr
        assert other.returncode == 1


def test_a_forked_child_cannot_write_through_its_parents_store(tmp_path):
    with EpisodeStore.create(tmp_path / "s") as store:
        for act in (
            lambda: store.append(an_episode()),
            lambda: store.delete(0, "bad"),
            lambda: store.compact(),
            lambda: store.adopt(store),
        ):
            assert "forked" in in_a_forked_child(act)
        assert in_a_forked_child(lambda: store.close()) == "None"
        assert store.append(an_episode()) == 0
        with pytest.raises(StoreError, match="written by"):
            EpisodeStore.open(tmp_path / "s", "a")


def a_writer_with_a_child(path, ready, stay, *, closes):
    """Holds a store, forks a child that lives on until `stay` is closed, and ends when that child runs."""
    try:
        store = EpisodeStore.create(path)
        if os.fork() == 0:
            os.close(stay[1])
            os.write(ready[1], b".")
            os.read(stay[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
        if closes:
            store.close()
    finally:
        os._exit(0)  # closes nothing but what the kernel closes


@pytest.mark.parametrize("closes", [True, False])
def test_a_forked_child_that_lives_on_keeps_no_lock_when_its_parent_closes_or_dies(tmp_path, closes):
    ready, stay = os.pipe(), os.pipe()
    parent = os.fork()
    if parent == 0:
        a_writer_with_a_child(tmp_path / "s", ready, stay, closes=closes)
    os.waitpid(parent, 0)
    try:
        with EpisodeStore.open(tmp_path / "s", "a") as again:
            assert again.append(an_episode()) == 0
    finally:
        for end in (*ready, *stay):
            os.close(end)


def test_a_closed_store_lets_the_next_writer_in_before_a_forked_child_ran_at_all(tmp_path):
    store = EpisodeStore.create(tmp_path / "s")
    stopped = os.dup(store._lock._descriptor)  # as a child has it that was forked and not yet scheduled
    store.close()
    EpisodeStore.open(tmp_path / "s", "a").close()
    os.close(stopped)


def test_the_lock_file_of_a_dead_process_keeps_nobody_out(tmp_path):
    program = (
        "import os, sys\nfrom o2o_robot.data.store import EpisodeStore\n"
        "store = EpisodeStore.create(sys.argv[1])\nprint(os.getpid())\nsys.stdout.flush()\nos.kill(os.getpid(), 9)"
    )
    dead = subprocess.run([sys.executable, "-c", program, str(tmp_path / "s")], capture_output=True, text=True)
    assert (tmp_path / "s/writer.lock").read_text() == dead.stdout.strip()
    with EpisodeStore.open(tmp_path / "s", "a") as store:
        assert (tmp_path / "s/writer.lock").read_text() == str(os.getpid())
        assert store.append(an_episode()) == 0


def test_threads_that_share_a_store_commit_one_after_the_other(tmp_path):
    with EpisodeStore.create(tmp_path / "s") as store:
        threads = [
            threading.Thread(target=lambda k=k: [store.append(an_episode(3, seed=10 * k + i)) for i in range(5)])
            for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [store.number(i) for i in range(20)] == [f"{i:06d}" for i in range(20)]
        assert {e.meta["id"] for e in store.episodes()} == {f"ep-{10 * k + i}" for k in range(4) for i in range(5)}


def test_a_store_that_could_not_be_opened_to_append_is_not_left_locked(tmp_path):
    EpisodeStore.create(tmp_path / "s").close()
    (tmp_path / "s/tombstones.jsonl").write_text("rubbish\n")
    for _ in range(2):
        with pytest.raises(Exception, match="line 1"):
            EpisodeStore.open(tmp_path / "s", "a")
    Path(tmp_path / "s/tombstones.jsonl").unlink()
    EpisodeStore.open(tmp_path / "s", "a").close()
