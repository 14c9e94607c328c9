"""Clocks and stamps that lie during an episode: the guard stops, the episode is incomplete, the next one works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import episodes_in, graph

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")
pytest.importorskip("o2o_sim.engine", reason="needs mujoco")

from o2o_msgs.action import RunEpisode
from o2o_msgs.srv import InjectFault
from patience import patient
from rclpy.action import ActionClient
from rclpy.task import Future
from std_srvs.srv import Trigger
from watcher import Watcher

from o2o_robot.safety.reason import Reason
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
SENSORS = ("joint_states", "current_pose", "task_state", "wrist")
MAX_STEPS = 150
PATIENT_TRIES = 5
PATIENCE_S = 4.0  # of the session with a silent graph
NO_HANG_S = 90.0  # of wall time, for whatever may take PATIENCE_S on a loaded machine


class Rig:
    """policy, learner and recorder before a twin that breaks on request; episodes run when the test asks."""

    def __init__(self, watcher: Watcher, run_dir: Path, *, lockstep: bool) -> None:
        self.watcher, self.store, self._lockstep = watcher, run_dir / "episodes.zarr", lockstep
        self._client = ActionClient(watcher.node, RunEpisode, "run_episode")
        watcher.until(self._client.server_is_ready, 60.0, "policy_node's episodes")
        watcher.until(lambda: watcher.safety, 30.0, "the guard's word")

    def begin(self, seed: int, *, max_steps: int) -> Future:
        """An episode's result, to come."""
        goal = self._client.send_goal_async(RunEpisode.Goal(mode="warmup", seed=seed, max_steps=max_steps))
        self.watcher.until(goal.done, 10.0, "the episode to be accepted")
        assert goal.result().accepted
        return goal.result().get_result_async()

    def run(self, seed: int, *, max_steps: int) -> Any:
        """A whole episode's result."""
        result = self.begin(seed, max_steps=max_steps)
        self.watcher.until(result.done, NO_HANG_S, "the end of the episode")
        return result.result().result

    def break_in(self, seed: int, faults: Mapping[str, float], *, kind: str = "stamp") -> Any:
        """The result of an episode in which, once it has acted three times, `faults` begin: stream -> amount."""
        for _ in range(PATIENT_TRIES):  # a loaded machine may end an episode before anything breaks
            self.mend()
            self.watcher.safety.clear()
            self.watcher.executed.clear()
            result = self.begin(seed, max_steps=MAX_STEPS)
            if self._acts(result):
                break
        for stream, amount in faults.items():
            request = InjectFault.Request(kind=kind, stream=stream, amount=amount)
            assert self.watcher.call(InjectFault, "inject_fault", request).success
        self.watcher.until(result.done, NO_HANG_S, "the end of the episode")
        return result.result().result

    def _acts(self, result: Future) -> bool:
        self.watcher.until(lambda: len(self.watcher.executed) >= 3 or result.done(), 60.0, "three actions")
        return not result.done()

    def mend(self) -> None:
        """The cause is gone, and a person has looked."""
        for name in ("clear_faults", "arm_node/reset"):
            assert self.watcher.call(Trigger, name, Trigger.Request()).success
        if self._lockstep:
            return  # a state comes with the next reset, and the twin's guard arms with it
        assert self.watcher.call(Trigger, "arm_node/hold", Trigger.Request()).success  # out of a stop
        self.watcher.safety.clear()
        self.watcher.until(lambda: self.watcher.safety and self.watcher.safety[-1].state == "ARMED", 30.0, "ARMED")

    def assert_works_again(self, seed: int) -> None:
        """The next episode runs to its end; where a loaded machine stops the guard, one of the next."""
        for _ in range(PATIENT_TRIES):
            self.mend()
            after = self.run(seed, max_steps=8)
            if (after.termination, after.n_steps) == ("time_limit", 8):
                return
        raise AssertionError(f"no episode works any more: {after.termination} after {after.n_steps} steps")

    def stored(self) -> dict[str, Any]:
        """Episode id -> what the recorder has committed."""
        return {episode.meta["id"]: episode for episode in episodes_in(self.store)}

    def assert_stored_in_order(self, *last: str) -> None:
        """Every stored step is later than the one before; the last of these ids is among them."""
        self.watcher.until(lambda: last[-1] in self.stored(), 30.0, f"episode {last[-1]} in the store")
        for episode in self.stored().values():
            assert (np.diff(episode.stamp_ns) > 0).all(), episode.meta["id"]


def rig(run_dir: Path, domain: int, checkpoint: Path, *, factor: float) -> Iterator[Rig]:
    quick = {"schedule": [""], "patience_s": PATIENCE_S, "guard_patience_s": PATIENCE_S}
    never = 1_000_000  # warm-up steps: nothing is learned here
    settings = {"realtime_factor": factor, "cameras": "wrist,front", "checkpoint": str(checkpoint)}
    whole = graph("finetune", run_dir, {"policy_node": quick}, warmup_steps=never, **settings).processes
    with Supervisor(patient(whole, run_dir), run_dir), Watcher(domain) as watcher:
        yield Rig(watcher, run_dir, lockstep=factor == 0.0)


@pytest.fixture(scope="module")
def in_real_time(module_domain: int, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    yield from rig(tmp_path_factory.mktemp("real_time"), module_domain, checkpoint, factor=0.5)


@pytest.fixture(scope="module")
def in_lockstep(module_domain: int, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    domain = module_domain % 100 + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        yield from rig(tmp_path_factory.mktemp("lockstep"), domain, checkpoint, factor=0.0)


def everywhere(shift_s: float) -> dict[str, float]:
    """The robot's host has another time than arm_node's: every sensor's stamp is off, the clock is not."""
    return dict.fromkeys((*SENSORS, "front"), shift_s)


OLD = Reason.STALE_STATE | Reason.STATE_LOST
STOPS: dict[str, tuple[str, dict[str, float], Reason]] = {
    "a clock that stands still": ("pause", {"clock": 0.0}, Reason.FUTURE_STAMP),
    "a clock that jumps back": ("stamp", {"clock": -5.0}, Reason.CLOCK_JUMP),
    "a clock that jumps ahead": ("stamp", {"clock": 20.0}, OLD),
    "joints from the future": ("stamp", {"joint_states": 2.0}, Reason.FUTURE_STAMP),
    "a robot whose host is ahead": ("stamp", everywhere(5.0), Reason.FUTURE_STAMP),
    "a robot whose host is behind": ("stamp", everywhere(-0.5), Reason.BACKWARD_STAMP | OLD),
}


@pytest.mark.parametrize("name", STOPS)
def test_in_real_time_the_guard_stops_and_the_episode_is_incomplete(in_real_time, name):
    kind, faults, reason = STOPS[name]
    rig, seed = in_real_time, 10 * list(STOPS).index(name)
    ended = rig.break_in(seed, faults, kind=kind)
    assert ended.outcome == "incomplete"
    assert ended.termination in ("safety", "fault")
    assert ended.n_steps < MAX_STEPS
    seen = [s for s in rig.watcher.safety if s.state in ("SOFT_STOP", "LATCHED")]
    assert any(s.reasons & reason for s in seen), [(s.state, Reason(s.reasons)) for s in rig.watcher.safety]
    rig.assert_works_again(seed + 1)
    last = rig.watcher.events[-1].id
    rig.assert_stored_in_order(ended.id, last)
    assert rig.stored().get(ended.id) is None or rig.stored()[ended.id].meta["outcome"] == "incomplete"


def test_in_real_time_pictures_from_the_future_end_the_episode_as_incomplete(in_real_time):
    rig = in_real_time
    ended = rig.break_in(100, {"wrist": 5.0, "front": 5.0})
    assert (ended.outcome, ended.n_steps < MAX_STEPS) == ("incomplete", True)
    rig.assert_works_again(101)
    rig.assert_stored_in_order(rig.watcher.events[-1].id)


@pytest.mark.parametrize("fault", [("pause", 0.0), ("stamp", -5.0), ("stamp", 5.0)])
def test_in_lockstep_the_clock_is_only_told_and_a_wrong_one_changes_nothing(in_lockstep, fault):
    kind, amount = fault
    ended = in_lockstep.break_in(20, {"clock": amount}, kind=kind)
    assert (ended.termination, ended.n_steps) == ("time_limit", MAX_STEPS)
    in_lockstep.assert_works_again(21)
    in_lockstep.assert_stored_in_order(in_lockstep.watcher.events[-1].id)


@pytest.mark.parametrize("faults", [{"joint_states": 2.0}, {"wrist": 2.0}, {"joint_states": -0.5}, everywhere(-5.0)])
def test_in_lockstep_stamps_that_do_not_belong_together_end_the_episode_as_incomplete(in_lockstep, faults):
    ended = in_lockstep.break_in(30, faults)
    assert (ended.outcome, ended.termination in ("safety", "fault")) == ("incomplete", True)
    in_lockstep.assert_works_again(31)
    in_lockstep.assert_stored_in_order(in_lockstep.watcher.events[-1].id)
