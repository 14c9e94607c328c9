"""The session's side of a reset: an answer that was lost is asked for again, a refusal is one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

from arm_bench import Client
from o2o_msgs.action import ResetScene
from rclpy.task import Future

from o2o_nodes import reset_client
from o2o_nodes.reset_client import ResetClient

pytestmark = pytest.mark.ros
STAMP_NS = 7_000_000_000


class Server:
    """Answers each goal as told: lost, refused, accepted; the last word for ever."""

    def __init__(self, *words: str) -> None:
        self._words, self.seeds = list(words), list[int]()

    def send_goal_async(self, goal: ResetScene.Goal, feedback_callback: object) -> Future:
        self.seeds.append(goal.seed)
        word = self._words.pop(0) if len(self._words) > 1 else self._words[0]
        sent = Future()
        if word != "lost":
            sent.set_result(SimpleNamespace(accepted=word == "accepted", get_result_async=_done))
        return sent


def _done() -> Future:
    result = ResetScene.Result(success=True)
    result.stamp.sec = STAMP_NS // 1_000_000_000
    found = Future()
    found.set_result(SimpleNamespace(result=result))
    return found


def start(domain: int, monkeypatch: pytest.MonkeyPatch, server: Server) -> int | None:
    monkeypatch.setattr(reset_client, "ASK_AGAIN_S", 0.1)
    monkeypatch.setattr(reset_client, "WAIT_S", 0.05)
    with Client(domain, lockstep=False) as client:
        reset = ResetClient(client.node, tell=lambda stage: None, patience_s=2.0)
        reset._client = server
        task = client.node.executor.create_task(reset.to_start(3))
        client.until(task.done, 60.0, "the reset")
        return task.result()


def test_a_goal_whose_answer_was_lost_is_sent_again(domain, monkeypatch):
    server = Server("lost", "accepted")
    assert start(domain, monkeypatch, server) == STAMP_NS
    assert server.seeds == [3, 3]


def test_a_goal_that_is_refused_for_the_first_of_it_is_sent_until_that_one_is_over(domain, monkeypatch):
    server = Server("lost", "refused", "refused", "accepted")
    assert start(domain, monkeypatch, server) == STAMP_NS
    assert len(server.seeds) == 4


def test_a_refusal_is_one_and_a_server_that_never_answers_is_given_up(domain, monkeypatch):
    server = Server("refused")
    assert start(domain, monkeypatch, server) is None
    assert len(server.seeds) == 1
    assert start(domain, monkeypatch, Server("lost")) is None
