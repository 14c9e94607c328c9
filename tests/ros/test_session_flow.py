"""A person at a session: words on episodes reach everybody who holds them, keys at a prompt reach the arm's door,
rounds of evaluation come between, and a run is left and taken up."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from graphs import IMAGE_SIZE, episodes_in, facts_of, graph
from o2o_msgs import msg as m
from o2o_msgs.srv import LabelEpisode
from witness import Witness

from o2o_nodes import qos
from o2o_robot.data.store import EpisodeStore
from o2o_robot.jsonfile import read_lines
from o2o_robot.supervise import Supervisor

pytestmark = pytest.mark.ros
MAX_STEPS = 12
LONG = 180.0  # for what takes seconds on a quiet machine


def finetuning(run_dir: Path, checkpoint: Path, *, resume: bool = False, **settings: Any) -> Supervisor:
    """Two warm-up episodes, then rounds of two evaluations around every two online episodes, then an evaluation."""
    changes = {"policy_node": {"step_readers": 3}, "learner_node": {"publish_every": 5, "torch_threads": 1}}
    steps = {"warmup_steps": 2 * MAX_STEPS, "online_steps": 4 * MAX_STEPS, "max_steps": MAX_STEPS}
    evaluation = {"eval_every": 2, "eval_episodes": 2, "eval_first_seed": 9000}
    told = {**steps, **evaluation, "checkpoint": str(checkpoint), "resume": resume, **settings}
    return graph("finetune", run_dir, changes, **told)


def lines(run_dir: Path) -> list[dict[str, Any]]:
    return list(read_lines(run_dir / "episodes.jsonl"))


class Person:
    """Somebody who says how episodes ended."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._client = witness.node.create_client(LabelEpisode, "policy_node/label")

    def label(self, outcome: str, *, episode: str = "") -> LabelEpisode.Response:
        self._witness.until(self._client.service_is_ready, LONG, "the session's label")
        future = self._client.call_async(LabelEpisode.Request(episode=episode, outcome=outcome, by="kim"))
        self._witness.until(future.done, LONG, "an answer to the label")
        return future.result()


class Events:
    """What was said of episodes, by id."""

    def __init__(self, witness: Witness) -> None:
        self.ends: dict[str, m.EpisodeEvent] = {}
        witness.node.create_subscription(m.EpisodeEvent, "episode", self._hear, qos.RECORD)

    def _hear(self, event: m.EpisodeEvent) -> None:
        if event.kind == m.EpisodeEvent.END:
            self.ends[event.id] = event


@pytest.fixture(scope="module")
def told(module_domain: int, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run with words on its episodes: what was answered, and its folder once it is over."""
    run_dir = tmp_path_factory.mktemp("flow") / "run"
    said: dict[str, Any] = {"run_dir": run_dir}
    with Witness(module_domain) as witness, finetuning(run_dir, checkpoint) as supervisor:
        events, person = Events(witness), Person(witness)
        witness.until(lambda: witness.n_transitions >= 3, LONG, "steps of the first episode")
        said["running"] = person.label("success")
        witness.until(lambda: len(events.ends) >= 1, LONG, "its end")
        witness.until(lambda: lines(run_dir), LONG, "its line")
        said["late"] = person.label("failure", episode=lines(run_dir)[0]["id"])
        witness.until(lambda: running(witness, "online"), LONG, "an online episode")
        said["discarded"] = witness.sessions[-1].episode
        said["discard"] = person.label("discard")
        said["unknown"] = person.label("success", episode="online-999999")
        said["wrong"] = person.label("splendid")
        witness.to_the_end(supervisor)
        said["steps"] = list(witness.steps)
    return said


def running(witness: Witness, mode: str) -> bool:
    """An episode of that mode runs, and has had a step."""
    last = witness.steps[-1] if witness.steps else None
    now = witness.sessions[-1] if witness.sessions else None
    if not (last and now) or last.is_last or now.state != "running":
        return False
    return bool(last.mode == mode == now.mode and last.episode == now.episode)


def test_a_word_on_the_running_episode_ends_it_with_the_next_step_as_that(told):
    first = [step for step in told["steps"] if step.episode == told["steps"][0].episode]
    assert told["running"].success, told["running"].message
    assert len(first) - 1 < MAX_STEPS
    assert [step.terminated for step in first][-2:] == [True, False]
    assert first[-2].reward == 1.0
    assert lines(told["run_dir"])[0]["termination"] == "task"


def test_a_late_word_reaches_the_journal_the_store_and_the_learner(told):
    assert told["late"].success, told["late"].message
    line = lines(told["run_dir"])[0]
    assert (line["outcome"], line["outcome_judged"], line["labelled_by"]) == ("failure", "success", "kim")
    stored = {episode.meta["id"]: episode for episode in episodes_in(told["run_dir"] / "episodes.zarr")}[line["id"]]
    assert stored.meta["outcome"] == "failure"
    assert not stored.terminated.any()
    assert stored.reward[-1] == 0
    assert facts_of(told["run_dir"], "learner_node")["episodes_relabelled"] >= 1


def test_a_discarded_episode_is_nowhere_and_its_scene_is_run_again(told):
    assert told["discard"].success, told["discard"].message
    every = lines(told["run_dir"])
    gone = next(line for line in every if line["id"] == told["discarded"])
    assert gone["discarded"] is True
    again = [line for line in every if (line["mode"], line["seed"]) == (gone["mode"], gone["seed"])]
    assert [line.get("discarded", False) for line in again] == [True, False]
    with EpisodeStore.open(told["run_dir"] / "episodes.zarr") as store:
        kept = {store.meta(index)["id"] for index in range(len(store))}
    assert kept == {line["id"] for line in every} - {gone["id"]}


def test_a_word_that_is_none_and_an_episode_that_is_not_there_are_refused_in_one_line(told):
    assert not told["unknown"].success
    assert "no episode 'online-999999'" in told["unknown"].message
    assert not told["wrong"].success
    assert "'splendid' is unknown; allowed: success, failure, incomplete, discard" in told["wrong"].message


def test_rounds_of_evaluation_come_between_on_the_same_scenes_and_nothing_is_learned_of_them(told):
    every = [line for line in lines(told["run_dir"]) if not line.get("discarded")]
    rounds = [line["seed"] for line in every if line["mode"] == "eval"]
    assert rounds == [9000, 9001] * (len(rounds) // 2)
    assert len(rounds) >= 6, "before, between and at the end"
    assert {line["mode"] for line in every[-2:]} == {"eval"}
    learned = facts_of(told["run_dir"], "learner_node")
    evaluated = sum(line["n_steps"] for line in lines(told["run_dir"]) if line["mode"] == "eval")
    assert learned["steps_left_out"] == evaluated
    assert learned["updates"] == learned["steps_received"] - learned["warmup_steps"] - evaluated


def test_takings_over_are_written_for_every_episode(told):
    assert {(line["steps_human"], line["interventions"]) for line in lines(told["run_dir"])} == {(0, 0)}


# --- asked, and not answered -------------------------------------------------------------------------------------
def test_a_session_that_asks_waits_for_the_word_and_takes_its_default_where_none_comes(domain, checkpoint, tmp_path):
    asking = {"policy_node": {"ask_outcome": "always", "ask_patience_s": 5.0, "ask_default": "discard"}}
    settings = {"episodes": 2, "max_steps": MAX_STEPS, "checkpoint": str(checkpoint)}
    with Witness(domain) as witness, graph("evaluate", tmp_path, asking, **settings) as supervisor:
        person = Person(witness)
        witness.until(lambda: witness.sessions and witness.sessions[-1].state == "asking", LONG, "the question")
        assert "success, failure or discard" in witness.sessions[-1].waits_for
        assert "after 5 s it is discard" in witness.sessions[-1].waits_for
        witness.until(lambda: lines(tmp_path) and witness.sessions[-1].state != "asking", LONG, "the first line")
        says_success(witness, person, lambda: len([x for x in lines(tmp_path) if not x.get("discarded")]) >= 2)
        witness.to_the_end(supervisor)
    found = [(line["seed"], line["outcome"], line["labelled_by"]) for line in lines(tmp_path)]
    assert found[0] == (0, "incomplete", "nobody")
    assert {one for one in found if one[2] == "kim"} == {(0, "success", "kim"), (1, "success", "kim")}
    assert {episode.meta["outcome"] for episode in episodes_in(tmp_path / "episodes.zarr")} == {"success"}


def says_success(witness: Witness, person: Person, is_enough: Callable[[], bool]) -> None:
    """Whenever the session asks, until that is enough."""
    deadline_s = time.monotonic() + LONG
    while not is_enough() and time.monotonic() < deadline_s:
        witness.until(lambda: is_enough() or witness.sessions[-1].state == "asking", LONG, "a question")
        if witness.sessions[-1].state == "asking":
            person.label("success")
            witness.until(lambda: witness.sessions[-1].state != "asking", LONG, "an end of the question")


# --- the keys ----------------------------------------------------------------------------------------------------
class Terminal:
    """`o2o ...` in a terminal of its own: what it shows, and keys for it."""

    def __init__(self, *words: str) -> None:
        self.shown = ""
        self._ours, self._theirs = pty.openpty()
        self.modes = self._modes()
        command = [sys.executable, "-m", "o2o_robot.cli", *words]
        ends = dict.fromkeys(("stdin", "stdout", "stderr"), self._theirs)
        own = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # noqa: E731  the terminal is the session's own
        self.popen = subprocess.Popen(command, **ends, preexec_fn=own, start_new_session=True)
        os.set_blocking(self._ours, False)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        """As somebody leaves who has seen enough: ctrl-C. The terminal is as it was."""
        if self.popen.poll() is None:
            self.press("\x03")
        self.until(lambda: self.popen.poll() is not None, "the end")
        now = self._modes()
        for end in (self._ours, self._theirs):
            os.close(end)
        assert now == self.modes, "echo and lines are as they were"

    def _modes(self) -> list[Any]:
        return termios.tcgetattr(self._theirs)[:4]

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def see(self) -> str:
        with suppress(BlockingIOError):
            while data := os.read(self._ours, 1 << 16):
                self.shown += data.decode(errors="replace")
        return self.shown

    def until(self, condition: Callable[[], Any], what: str) -> None:
        deadline_s = time.monotonic() + LONG
        while not condition():
            assert time.monotonic() < deadline_s, f"{what}: not within {LONG} s; it shows:\n{self.see()[-2000:]}"
            self.see()
            time.sleep(0.02)


def test_keys_at_the_prompt_pause_discard_go_on_and_stop_the_arm_and_the_terminal_is_left_as_it_was(
    domain, checkpoint, tmp_path
):
    words = ["--checkpoint", str(checkpoint), "--run-dir", str(tmp_path), "--episodes", "500"]
    sizes = ["--max-steps", str(MAX_STEPS), "--image-size", str(IMAGE_SIZE)]
    with Terminal("up", "evaluate", *words, *sizes) as terminal:
        terminal.until(lambda: lines(tmp_path), "an episode")
        terminal.press("p")
        terminal.until(lambda: "paused: somebody to call" in terminal.see(), "the pause")
        n = len(lines(tmp_path))
        terminal.press("d")
        terminal.until(lambda: lines(tmp_path)[-1].get("discarded"), "the word on the episode that is over")
        terminal.press("r")
        terminal.until(lambda: len(lines(tmp_path)) > n + 1, "episodes after the pause")
        terminal.press(" ")
        terminal.until(lambda: "guard LATCHED" in terminal.see(), "the stop")
        assert "emergency stop" in terminal.shown
    found = lines(tmp_path)
    assert found[n - 1]["labelled_by"] == "keys"
    assert found[n]["seed"] == found[n - 1]["seed"], "its scene is run again"


def test_a_key_ends_the_run_after_this_episode_and_says_how_it_is_taken_up(domain, checkpoint, tmp_path):
    words = ["--checkpoint", str(checkpoint), "--run-dir", str(tmp_path), "--warmup-steps", "500"]
    sizes = ["--max-steps", str(MAX_STEPS), "--image-size", str(IMAGE_SIZE)]
    with Terminal("finetune", *words, *sizes) as terminal:
        terminal.until(lambda: lines(tmp_path), "an episode")
        terminal.press("e")
        terminal.until(lambda: terminal.popen.poll() is not None, "the end")
        assert terminal.popen.returncode == 0, terminal.see()[-2000:]
        shown = terminal.see()
    assert "warm-up, frozen policy:" in shown
    assert "min in episodes" in shown
    assert "not done; taken up with: o2o finetune --resume" in shown
