"""The console in front of the twin, through the real nodes: what a person presses in a browser comes to the guard."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("fastapi", reason="needs fastapi")
sys.path.append(str(Path(__file__).resolve().parents[1] / "console"))

from console_browser import Pages, chromium, shows, take_control, told_times
from graphs import graph
from sensor_msgs.msg import Joy
from watcher import Watcher

from o2o_nodes import qos
from o2o_robot.console.place import read_address
from o2o_robot.jsonfile import read_lines
from o2o_robot.types import Source

pytestmark = pytest.mark.ros
PATIENCE_S = 120.0
CONSOLE = "console_node"


class Run:
    """A graph with a console; the arm waits for a person, and episodes are long enough to say something about."""

    def __init__(self, folder: Path, checkpoint: Path, domain: int) -> None:
        changes = {"arm_node": {"auto_arm": False}, "policy_node": {"guard_patience_s": 600.0}}
        self.running = graph(
            "evaluate", folder, changes, checkpoint=str(checkpoint), episodes=100_000, max_steps=100_000,
            console=True, console_port=0, teleop="browser",
        )  # fmt: skip
        self.watcher, self.folder = Watcher(domain), folder
        self.joys: list[Joy] = []

    def __enter__(self) -> Run:
        self.running.__enter__()
        self.watcher.__enter__()
        self.watcher.node.create_subscription(Joy, "console_joy", self.joys.append, qos.COMMAND)
        self.until(lambda: read_address(self.folder), "the console's address")
        self.until(lambda: self.watcher.safety, "a guard")
        return self

    def __exit__(self, *_: object) -> None:
        self.watcher.__exit__()
        self.running.stop()

    def until(self, condition, what: str) -> None:
        self.watcher.until(condition, PATIENCE_S, what)

    def guard(self) -> str:
        return self.watcher.safety[-1].state

    def is_in(self, *states: str) -> None:
        self.until(lambda: self.guard() in states, f"the guard in {states}, not {self.guard()}")

    def lines(self) -> list[dict]:
        return list(read_lines(self.folder / "episodes.jsonl"))


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def run(browser, tmp_path_factory, checkpoint, module_domain):
    with Run(tmp_path_factory.mktemp("console"), checkpoint, module_domain) as found:
        yield found


@pytest.fixture
def pages(browser, run):
    found = Pages(browser, lambda: read_address(run.folder)["url"])
    yield found
    found.close()
    assert found.problems == []


def press(page, command: str) -> None:
    page.locator(f"button[data-command={command}]").click()


def moving(run: Run, page) -> None:
    """From whatever was before to an episode that runs."""
    if run.guard() == "LATCHED":
        press(page, "reset")
        run.is_in("IDLE", "UNCONFIGURED")
    run.until(lambda: run.watcher.poses, "a first state of the arm")
    n, tried_s = len(run.watcher.executed), -1e9

    def runs() -> bool:
        nonlocal tried_s
        if run.guard() in ("IDLE", "UNCONFIGURED") and time.monotonic() - tried_s > 3.0:
            tried_s = time.monotonic()
            press(page, "arm")
        return len(run.watcher.executed) > n and run.guard() == "RUN"

    run.until(runs, "an episode that runs")
    shows(page, "#phase", "step")


def test_every_button_of_the_arm_does_at_the_guard_what_it_says(run, pages):
    page = pages.open()
    take_control(page, "kim")
    moving(run, page)
    shows(page, "#guard-state", "RUN")
    press(page, "hold")
    run.is_in("IDLE")
    shows(page, "#guard-state", "IDLE")
    moving(run, page)
    press(page, "estop")
    run.is_in("LATCHED")
    page.wait_for_selector("#latched:not([hidden])")
    press(page, "arm")
    shows(page, "#said", "arm:")
    assert run.guard() == "LATCHED"  # arming leads out of no latch
    moving(run, page)
    print(f"\ntwin in lockstep, by the page's own clock, medians: {told_times(page)}")


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_a_persons_word_ends_the_running_episode_as_that(run, pages, outcome):
    page = pages.open()
    take_control(page, "kim")
    moving(run, page)
    n = len(run.lines())
    press(page, outcome)
    run.until(lambda: len(run.lines()) > n, "an episode that ended")
    line = run.lines()[n]
    assert (line["outcome"], line["labelled_by"]) == (outcome, "kim")


def test_a_discarded_episode_ends_and_counts_nowhere(run, pages):
    page = pages.open()
    take_control(page, "kim")
    moving(run, page)
    n = len(run.lines())
    press(page, "discard")
    run.until(lambda: len(run.lines()) > n, "an episode that ended")
    assert run.lines()[n]["discarded"]


def test_a_hand_on_the_page_moves_the_arm_in_the_policys_place_and_hands_it_back(run, pages):
    page = pages.open()
    take_control(page, "kim")
    moving(run, page)
    page.keyboard.down("t")
    page.keyboard.down("w")
    by_hand = [Source.TELEOP]
    run.until(
        lambda: run.watcher.executed[-1].source in by_hand and run.watcher.executed[-1].executed[0] > 0, "by hand"
    )
    assert run.joys[-1].axes[0] == 1.0
    page.keyboard.up("t")
    run.until(lambda: not run.joys[-1].axes, "a hand that let go")
    run.until(lambda: run.watcher.executed[-1].source == Source.POLICY, "the policy again")


def test_of_two_operators_one_has_control_and_both_may_stop(run, pages):
    kim, lee = pages.open(), pages.open()
    take_control(kim, "kim")
    moving(run, kim)
    shows(lee, "#holder", "kim has control")
    assert lee.locator("button[data-command=arm]").is_disabled()
    press(lee, "estop")
    run.is_in("LATCHED")
    kim.wait_for_selector("#latched:not([hidden])")
    kim.reload()
    kim.wait_for_selector(".who.has")
    moving(run, kim)


def test_a_console_that_is_killed_is_missed_at_once_comes_back_and_the_arm_never_stopped(run, pages):
    page = pages.open()
    take_control(page, "kim")
    moving(run, page)
    n = len(run.watcher.executed)
    os.kill(read_address(run.folder)["pid"], signal.SIGKILL)
    began_s = time.monotonic()
    page.wait_for_selector("#lost", state="visible")
    print(f"\nlost connection shown {time.monotonic() - began_s:.2f} s after the kill")
    assert page.locator("button[data-command]:enabled").count() == 0
    run.until(lambda: len(run.watcher.executed) > n + 20, "steps without a console")
    run.until(lambda: not run.running.has_ended() and page.locator("#lost").is_hidden(), "the console again")
    assert run.guard() == "RUN"
    shows(page, "#phase", "step")


def test_pause_resume_and_end_steer_the_session(run, pages):  # the last: the session is over then
    page = pages.open()
    take_control(page, "kim")
    moving(run, page)
    press(page, "pause")
    shows(page, "#said", "pause")
    press(page, "failure")
    shows(page, "#phase", "paused")
    press(page, "resume")
    moving(run, page)
    press(page, "end")
    shows(page, "#said", "end")
    press(page, "failure")
    run.until(run.running.has_ended, "a session that ended in order")
