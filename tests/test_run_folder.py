"""A run's folder says what the run is, and nobody else works in it while anything of that run lives."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from o2o_robot import run_folder
from o2o_robot.errors import ConfigError, GraphError
from o2o_robot.graph import Collect, Finetune
from o2o_robot.jsonfile import read_json, write_json


def test_a_run_is_taken_up_with_every_setting_it_had_also_where_its_folder_was_moved(tmp_path):
    told = Finetune(run_dir=str(tmp_path / "old"), checkpoint="/c", utd=4, warmup_precision=0.5, online_steps=77)
    run_folder.save(tmp_path / "old", "finetune", told, {"at": "now"})
    (tmp_path / "old").rename(tmp_path / "new")
    assert run_folder.load(tmp_path / "new", "finetune") == dataclasses.replace(told, run_dir=str(tmp_path / "new"))


def test_a_folder_that_is_no_run_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"is no run's folder: it has no run.json"):
        run_folder.load(tmp_path, "finetune")
    run_folder.save(tmp_path, "collect", Collect(), {})
    with pytest.raises(ConfigError, match="of a run of 'collect'"):
        run_folder.load(tmp_path, "finetune")


def test_a_setting_that_is_not_known_is_named(tmp_path):
    run_folder.save(tmp_path, "finetune", Finetune(), {})
    facts = read_json(tmp_path / "run.json")
    facts["settings"]["warmup_stepz"] = 3
    write_json(tmp_path / "run.json", facts)
    with pytest.raises(ConfigError, match="warmup_stepz"):
        run_folder.load(tmp_path, "finetune")


def test_a_folder_in_use_is_refused_with_the_process_that_has_it_and_free_afterwards(tmp_path):
    with (
        run_folder.in_use(tmp_path),
        pytest.raises(GraphError, match=f"in use by the run of process {os.getpid()}"),
        run_folder.in_use(tmp_path),
    ):
        pass
    with run_folder.in_use(tmp_path):
        pass


HOLDER = """
import os, signal, subprocess, sys
from pathlib import Path
from o2o_robot import run_folder
with run_folder.in_use(Path({folder!r})) as lock:
    child = subprocess.Popen(["sleep", "60"], pass_fds=(lock,))
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_holds_its_folder_until_its_last_node_is_gone(tmp_path):
    script = HOLDER.format(folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        node = int(holder.stdout.readline())
        holder.wait()
    try:
        with pytest.raises(GraphError, match="in use"), run_folder.in_use(tmp_path):
            pass
    finally:
        os.kill(node, signal.SIGKILL)
    with run_folder.in_use(tmp_path, patience_s=20.0):
        assert int(Path(tmp_path / "run.lock").read_text()) == os.getpid()
