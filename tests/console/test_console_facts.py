"""What the console knows: each fact with its age, the newest picture alone, success that counts what counts."""

from __future__ import annotations

import json
import math
import stat

import numpy as np
import pytest
from console_examples import a_picture, ended

from o2o_robot.console.board import Board
from o2o_robot.console.commands import Refused
from o2o_robot.console.control import Control
from o2o_robot.console.frames import MAX_SIDE_PX, Eyes, to_jpeg
from o2o_robot.console.guard_story import GuardStory
from o2o_robot.console.history import WINDOW, Growing, story
from o2o_robot.console.place import Announcement, forget_address, read_address, write_address
from o2o_robot.console.rate import Bucket
from o2o_robot.console.returns import Promises, read_transform, return_from
from o2o_robot.console.streams import MAX_NODES, Nodes
from o2o_robot.data.returns import RewardTransform
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.safety.reason import Reason


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def test_a_board_is_json_whatever_the_numbers_are_and_changes_its_version_with_every_fact(clock):
    board = Board(clock)
    board.put("session", {"q": math.nan, "rates": (math.inf, 1.0), "state": "running"})
    assert json.loads(board.text()) == {"session": {"at": 100.0, "q": None, "rates": [None, 1.0], "state": "running"}}
    before = board.version
    clock.now_s = 101.0
    board.put("session", {"state": "paused"})
    assert board.version > before
    assert json.loads(board.text()) == {"session": {"at": 101.0, "state": "paused"}}


def test_control_outlives_a_reload_and_not_a_page_that_stays_away(clock):
    control = Control(clock, grace_s=10.0)
    control.came("a")
    control.take("a", "kim")
    control.went("a")
    clock.now_s += 9.0
    control.came("a")
    assert control.has("a")
    control.went("a")
    clock.now_s += 11.0
    assert control.name == ""
    control.came("b")
    control.take("b", "lee")
    assert not control.has("a")


def test_of_two_tabs_with_one_id_the_last_to_close_counts(clock):
    control = Control(clock, grace_s=10.0)
    for _ in range(2):
        control.came("a")
    control.take("a", "kim")
    control.went("a")
    clock.now_s += 60.0
    assert control.has("a")


def test_a_page_that_is_gone_does_not_drive(clock):
    control = Control(clock)
    control.came("a")
    control.take("a", "kim")
    control.is_driven = True
    control.went("a")
    assert not control.is_driven


def test_control_cannot_be_taken_from_somebody_who_no_longer_has_it(clock):
    control = Control(clock)
    for client, name in (("a", "kim"), ("b", "lee")):
        control.came(client)
        control.take(client, name, take_from=control.name)
    with pytest.raises(Refused, match="lee has control"):
        control.take("a", "kim", take_from="kim")


def test_a_bucket_gives_its_burst_and_then_its_rate(clock):
    bucket = Bucket(4.0, 8, clock)
    assert sum(bucket.take() for _ in range(100)) == 8
    given = 0
    for _ in range(1000):
        clock.now_s += 0.01
        given += bucket.take()
    assert given in (39, 40, 41)
    with pytest.raises(ConfigError, match="above 0"):
        Bucket(0.0, 1, clock)


# --- pictures --------------------------------------------------------------------------------------------------------
def test_a_picture_is_decoded_once_and_only_if_it_is_asked_for():
    decoded = []

    def decode(raw):
        decoded.append(raw)
        return a_picture()

    eyes = Eyes(["wrist"], decode)
    assert eyes.picture("wrist") is None
    for i in range(5):
        eyes.see("wrist", i, float(i))
    first = eyes.picture("wrist")
    assert first is eyes.picture("wrist")
    assert (first.number, first.at_s, decoded) == (5, 4.0, [4])


def test_what_is_no_picture_is_told_until_one_comes():
    def decode(raw):
        if raw is None:
            raise DataError("image encoding is 'mono8'")
        return raw

    eyes = Eyes(["wrist"], decode)
    eyes.see("wrist", None, 0.0)
    assert eyes.picture("wrist") is None
    assert eyes.trouble == {"wrist": "image encoding is 'mono8'"}
    eyes.see("wrist", a_picture(), 0.0)
    assert eyes.picture("wrist") is not None
    assert eyes.trouble == {}


@pytest.mark.parametrize(("height", "width"), [(64, 64), (480, 640), (1080, 1920), (2000, 20)])
def test_a_jpeg_keeps_its_shape_and_is_no_larger_than_a_page_needs(height, width):
    import cv2

    pixels = cv2.imdecode(np.frombuffer(to_jpeg(np.full((height, width, 3), 90, np.uint8)), np.uint8), cv2.IMREAD_COLOR)
    assert max(pixels.shape[:2]) <= MAX_SIDE_PX
    assert pixels.shape[0] / pixels.shape[1] == pytest.approx(height / width, rel=0.2)


# --- the guard -------------------------------------------------------------------------------------------------------
def test_what_was_counted_before_the_console_came_is_no_news(clock):
    guard = GuardStory(clock)
    assert guard.see("RUN", 0, {"tool speed": 30})["latest"] == []
    clock.now_s += 2.0
    facts = guard.see("RUN", 0, {"tool speed": 33, "workspace": 1})
    assert [(one["name"], one["n"], one["at"]) for one in facts["latest"]] == [
        ("workspace", 1, 102.0),
        ("tool speed", 3, 102.0),
    ]
    clock.now_s += 2.0
    latest = guard.see("RUN", 0, {"tool speed": 34, "workspace": 1})["latest"]
    assert [(one["name"], one["n"]) for one in latest] == [("tool speed", 4), ("workspace", 1)]


def test_a_latched_guard_says_why_and_which_buttons_lead_out(clock):
    facts = GuardStory(clock).see("LATCHED", int(Reason.ESTOP | Reason.LATCHED), {})
    assert "emergency stop" in facts["remedy"]
    assert "press Reset guard, then Arm" in facts["remedy"]


# --- episodes --------------------------------------------------------------------------------------------------------
def test_only_episodes_with_an_outcome_of_the_same_mode_count():
    lines = [ended(i, is_success=True) for i in range(3)]
    lines += [ended(3, is_success=False, termination="fault"), ended(4, is_success=False, discarded=True)]
    lines += [ended(5, is_success=False, termination="operator")]
    lines += [ended(6, is_success=False, termination="operator", labelled_by="kim")]
    lines += [ended(7, mode="eval", is_success=False), ended(8, is_success=False) | {"outcome": "incomplete"}]
    told = story(lines, "online")
    assert (told["now"]["k"], told["now"]["n"], told["episodes"]) == (3, 4, 8)
    assert [chip["word"] for chip in told["chips"]][4] == "discarded"


def test_success_now_and_before_are_windows_that_do_not_overlap():
    lines = [ended(i, is_success=i >= WINDOW) for i in range(2 * WINDOW)]
    told = story(lines, "online")
    assert (told["now"]["rate"], told["before"]["rate"]) == (1.0, 0.0)
    assert told["now"]["lo"] < 1.0
    assert len(told["curve"]["rate"]) == 2 * WINDOW


def test_a_run_without_episodes_tells_nothing_and_does_not_fail():
    told = story([], "")
    assert (told["now"]["rate"], told["takings_over"], told["human_share"]) == (None, None, None)


def test_a_growing_log_gives_every_whole_line_once_and_a_new_file_anew(tmp_path):
    log = Growing(tmp_path / "episodes.jsonl")
    assert list(log.look()) == []
    path = tmp_path / "episodes.jsonl"
    path.write_text('{"id": 0}\n{"id": 1}\n{"id": ')
    assert [line["id"] for line in log.look()] == [0, 1]
    path.write_text('{"id": 0}\n{"id": 1}\n{"id": 2}\nnonsense\n[1]\n{"id": 3}\n')
    assert [line["id"] for line in log.look()] == [2, 3]
    path.write_text('{"id": 9}\n')
    assert [line["id"] for line in log.look()] == [9]


# --- Q against the return --------------------------------------------------------------------------------------------
def test_the_return_is_the_discounted_sum_it_stands_for():
    transform = RewardTransform(scale=2.0, bias=-1.0, discount=0.9)
    rewards = np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    for step in range(5):
        left = transform.apply(rewards[step:]).astype(float)
        expected = float((left * 0.9 ** np.arange(len(left))).sum())
        assert return_from(step, 5, 1.0, transform) == pytest.approx(expected)
    with pytest.raises(ConfigError, match="not within"):
        return_from(5, 5, 1.0, transform)


def test_the_first_q_of_an_episode_is_held_against_what_followed():
    promises = Promises(RewardTransform(1.0, -1.0, 0.97))
    promises.hear("online-000001", step=2, q=-7.0)
    promises.hear("online-000001", step=9, q=-1.0)
    promises.hear("online-000002", step=0, q=math.nan)
    promises.ended(ended(1, is_success=True))
    promises.ended(ended(2, is_success=True))
    (kept,) = promises.kept()
    assert (kept["q"], kept["cut"]) == (-7.0, False)
    assert kept["ret"] == pytest.approx(return_from(2, 20, 1.0, promises.transform))


@pytest.mark.parametrize("line", [{"termination": "fault"}, {"discarded": True}, {"outcome": "incomplete"}])
def test_an_episode_that_says_nothing_of_the_return_is_left_out(line):
    promises = Promises(RewardTransform(1.0, -1.0, 0.97))
    promises.hear("online-000001", step=0, q=-7.0)
    promises.ended(ended(1, is_success=False) | line)
    assert promises.kept() == []


def test_a_time_limit_cuts_the_return_off_and_a_checkpoint_without_transform_gives_none(tmp_path):
    promises = Promises(RewardTransform(1.0, -1.0, 0.97))
    promises.hear("online-000001", step=0, q=-7.0)
    promises.ended(ended(1, is_success=False, termination="time_limit"))
    assert promises.kept()[0]["cut"]
    assert read_transform(tmp_path) is None
    (tmp_path / "config.json").write_text('{"transform": {"scale": 1.0, "bias": -1.0, "discount": 0.97}}')
    assert read_transform(tmp_path) == RewardTransform(1.0, -1.0, 0.97)


# --- streams ---------------------------------------------------------------------------------------------------------
def test_of_several_readers_the_one_with_the_oldest_word_is_shown(clock):
    nodes = Nodes(clock)
    nodes.hear("arm_node", 0, "working", {"joint_states hz": "100.0", "joint_states age_s": "0.01"})
    nodes.hear("policy_node", 0, "working", {"joint_states hz": "0.0", "joint_states age_s": "4.2"})
    (row,) = nodes.facts()["streams"]
    assert (row["name"], row["by"], row["age_s"]) == ("joint_states", "policy_node", 4.2)


def test_a_stream_never_heard_is_worse_than_an_old_one(clock):
    nodes = Nodes(clock)
    nodes.hear("a", 0, "", {"action hz": "0.0", "action age_s": "never heard"})
    nodes.hear("b", 0, "", {"action hz": "1.0", "action age_s": "9.0"})
    assert nodes.facts()["streams"][0]["by"] == "a"


def test_a_node_that_fell_silent_is_said_to_be_and_one_that_ended_in_order_is_not(clock):
    nodes = Nodes(clock)
    nodes.hear("arm_node", 0, "working", {})
    nodes.hear("policy_node", 3, "ended in order", {})
    clock.now_s += 60.0
    assert {one["name"]: one["silent"] for one in nodes.facts()["nodes"]} == {"arm_node": True, "policy_node": False}


def test_strangers_on_diagnostics_do_not_fill_the_memory(clock):
    nodes = Nodes(clock)
    for i in range(1000):
        nodes.hear(f"node{i}", 0, "x" * 10_000, {f"stream{i} hz": "1.0"})
    facts = nodes.facts()
    assert len(facts["nodes"]) == MAX_NODES
    assert len(json.dumps(facts)) < 40_000


# --- where it is -----------------------------------------------------------------------------------------------------
def test_the_address_is_for_its_owners_eyes_and_is_announced_once_for_every_console_that_comes_up(tmp_path):
    said = []
    page = Announcement(tmp_path, said.append)
    page.tell()
    write_address(tmp_path, url="http://x/?token=t", token="t", port=8765)
    assert stat.S_IMODE((tmp_path / "console.json").stat().st_mode) == 0o600
    page.tell()
    page.tell()
    assert said == ["console: http://x/?token=t"]
    assert read_address(tmp_path)["token"] == "t"
    forget_address(tmp_path)
    forget_address(tmp_path)
    assert read_address(tmp_path) == {}


def test_a_console_that_died_here_before_is_not_announced(tmp_path):
    write_address(tmp_path, url="http://old", token="t", port=1)
    said = []
    Announcement(tmp_path, said.append).tell()
    assert said == []
