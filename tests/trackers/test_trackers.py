"""Curves follow the logs: every line once, whatever dies between; and a tracker that fails stops no run."""

from __future__ import annotations

import json
import sys
import threading
import types
from pathlib import Path

import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.jsonfile import append_line
from o2o_robot.trackers import scalars
from o2o_robot.trackers.follow import MOST_BYTES, Follower
from o2o_robot.trackers.of_run import follower
from o2o_robot.trackers.wandb_run import Wandb

EPISODE = {"id": "online-1", "mode": "online", "outcome": "success", "n_steps": 10, "steps_before": 30}
EPISODE |= {"steps_changed": 5, "reward_sum": 1.0}


class Heard:
    """A Tracker that keeps what it is told and refuses what no curve can show."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, float]]] = []
        self.is_closed = False

    def scalars(self, values, *, step):
        assert not self.is_closed
        assert all(isinstance(v, float) and abs(v) < float("inf") for v in values.values())
        self.told.append((step, dict(values)))

    def flush(self):
        assert not self.is_closed

    def close(self):
        self.is_closed = True


def following(run: Path, heard: Heard, *, resume: bool = True, logs=("learner.jsonl",), **more) -> Follower:
    told = more.pop("warned", [])
    made = Follower(run, logs, lambda: [heard], state=run / "followed.json", warn=told.append, resume=resume, **more)
    made.open()
    return made


def a_line(run: Path, update: int, **more) -> None:
    append_line(run / "learner.jsonl", {"update": update, "step": 500 + update, "td_loss": 0.5, **more})


def test_every_line_is_told_once_though_the_follower_dies_between(tmp_path):
    heard = Heard()
    for update in range(7):
        a_line(tmp_path, update)
        if update % 3 == 2:
            following(tmp_path, heard).look()  # a new process each time; the old one never closed
    following(tmp_path, heard).look()
    assert [step for step, _ in heard.told] == list(range(7))


def test_a_line_cut_short_is_told_when_it_is_whole(tmp_path):
    heard = Heard()
    follow, log = following(tmp_path, heard), tmp_path / "learner.jsonl"
    text = json.dumps({"update": 3, "td_loss": 1.5}) + "\n"
    log.write_text(text[:9])
    assert follow.look() == 0
    log.write_text(text)
    assert follow.look() == 1
    assert heard.told == [(3, {"learner/td_loss": 1.5})]


def test_a_new_run_in_an_old_folder_does_not_tell_the_old_runs_lines(tmp_path):
    a_line(tmp_path, 1)
    heard = Heard()
    follow = following(tmp_path, heard, resume=False)
    a_line(tmp_path, 2)
    follow.look()
    assert [step for step, _ in heard.told] == [2]


@pytest.mark.parametrize(
    "junk", ["[1, 2]", "{", "[" * 5000, '{"update": "x"}', '{"update": -1, "a": 1}', "\x00", "NaN"]
)
def test_junk_in_a_log_is_passed_over_and_the_next_line_is_told(tmp_path, junk):
    heard = Heard()
    (tmp_path / "learner.jsonl").write_text(junk + "\n")
    a_line(tmp_path, 4)
    following(tmp_path, heard).look()
    assert [step for step, _ in heard.told] == [4]


def test_a_line_longer_than_any_of_ours_does_not_stop_the_curves(tmp_path):
    heard = Heard()
    (tmp_path / "learner.jsonl").write_text("x" * (MOST_BYTES + 10) + "\n")
    a_line(tmp_path, 4)
    follow = following(tmp_path, heard)
    for _ in range(3):
        follow.look()
    assert [step for step, _ in heard.told] == [4]


def test_numbers_that_no_curve_can_show_are_left_out():
    line = {"update": 1, "a": float("nan"), "b": "x", "c": True, "d": None, "e": float("inf"), "f": 2}
    assert scalars.learner(line) == (1, {"learner/f": 2.0})


def test_an_episode_stands_at_the_environment_step_of_its_end():
    told = scalars.episode(EPISODE)
    assert told is not None
    assert told.step == 40
    assert told.values["online/success"] == 1.0
    assert told.values["online/share_changed_by_guard"] == 0.5


@pytest.mark.parametrize("odd", [{"outcome": "incomplete"}, {"discarded": True}, {"n_steps": 0}, {"mode": "other"}])
def test_an_episode_that_does_not_count_has_no_curve(odd):
    assert scalars.episode(EPISODE | odd) is None


def test_what_is_logged_until_the_end_is_told_before_the_trackers_close(tmp_path):
    heard = Heard()
    with Follower(tmp_path, ("learner.jsonl",), lambda: [heard], state=tmp_path / "s.json", warn=pytest.fail):
        for update in range(50):
            a_line(tmp_path, update)
    assert len(heard.told) == 50
    assert heard.is_closed


def test_a_tracker_that_fails_is_said_once_and_the_node_goes_on(tmp_path):
    said: list[str] = []
    gone = threading.Event()

    def warn(text: str) -> None:
        said.append(text)
        gone.set()

    class Broken(Heard):
        def scalars(self, values, *, step):
            raise OSError("disk full")

    make = Follower(
        tmp_path, ("learner.jsonl",), lambda: [Broken()], state=tmp_path / "s.json", warn=warn, every_s=0.001
    )
    with make:
        a_line(tmp_path, 1)
        assert gone.wait(30.0)
        a_line(tmp_path, 2)
    assert len(said) == 1
    assert "disk full" in said[0]


def test_tensorboard_reads_back_what_the_logs_hold(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with follower(tmp_path, "learner", ("learner.jsonl",), wandb=False, warn=pytest.fail):
        for update in (20, 40):
            a_line(tmp_path, update, **{"probe/offline/q_mean": -update})
    read = EventAccumulator(str(tmp_path / "tensorboard" / "learner"))
    read.Reload()
    assert [(e.step, e.value) for e in read.Scalars("learner/probe/offline/q_mean")] == [(20, -20.0), (40, -40.0)]


def test_wandb_asked_for_and_not_installed_is_an_error_before_anything_moves(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install wandb"):
        follower(tmp_path, "learner", (), wandb=True, warn=pytest.fail)


class FakeWandb(types.ModuleType):
    """W&B at its boundary: checks the calls that the real one takes."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.inits: list[dict] = []
        self.logged: list[dict] = []
        self.axes: dict[str, str] = {}

    def init(self, *, project, name, id, resume, dir, config):
        assert Path(dir).is_dir()
        assert resume == "allow"
        self.inits.append({"id": id, "name": name, "config": config})
        return self

    def define_metric(self, name, step_metric):
        self.axes[name] = step_metric

    def log(self, values):
        assert all(isinstance(value, (int, float)) for value in values.values())
        self.logged.append(values)

    def finish(self):
        self.logged.append({})


def test_a_run_taken_up_again_goes_on_with_its_wandb_run_and_each_family_has_its_axis(tmp_path, monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for step in (10, 20):
        run = Wandb(tmp_path, name="peg", settings={"utd": 1})
        run.scalars({"learner/td_loss": 0.5}, step=step)
        run.close()
    first, second = fake.inits
    assert first["id"] == second["id"] != ""
    assert fake.axes == {"learner/*": "learner/step"}
    assert [one.get("learner/step") for one in fake.logged] == [10, None, 20, None]


def test_wandb_that_does_not_start_says_what_to_do(tmp_path, monkeypatch):
    fake = FakeWandb()
    monkeypatch.setattr(fake, "init", lambda **_: (_ for _ in ()).throw(RuntimeError("api_key not configured")))
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with pytest.raises(ConfigError, match="WANDB_MODE=offline"):
        Wandb(tmp_path, name="peg", settings={})


def test_the_real_wandb_takes_a_run_without_network(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = Wandb(tmp_path, name="peg", settings={"utd": 1})
    run.scalars({"learner/td_loss": 0.5}, step=10)
    run.close()
    assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
