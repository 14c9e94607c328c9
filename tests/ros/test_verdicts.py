"""What the guard said before a recorder was there is still told to it; readers of what is new are told nothing old."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from o2o_msgs.msg import ExecutedAction
from watcher import Watcher

from o2o_nodes import qos

pytestmark = pytest.mark.ros


def test_a_recorder_that_is_matched_late_gets_every_verdict_and_a_reader_of_news_none(domain):
    with Watcher(domain) as guard, Watcher(domain) as late:
        out = guard.node.create_publisher(ExecutedAction, "executed_action", qos.VERDICT_OUT)
        guard.until(lambda: out.get_subscription_count() >= 2, 10.0, "both watchers, who read what is new")
        for seq in range(40):
            out.publish(ExecutedAction(seq=seq))
        late.until(lambda: len(late.executed) == 40, 10.0, "the news")
        recorded: list[int] = []
        news: list[int] = []
        late.node.create_subscription(
            ExecutedAction, "executed_action", lambda message: recorded.append(message.seq), qos.VERDICT_RECORD
        )
        late.node.create_subscription(
            ExecutedAction, "executed_action", lambda message: news.append(message.seq), qos.COMMAND
        )
        late.until(lambda: len(recorded) == 40, 10.0, "what was said before")
        assert recorded == list(range(40))
        assert news == []
