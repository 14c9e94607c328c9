"""The ROS side of a terminal: deeds come in on standard input, a word a line; what a person should know goes out as
JSON lines. It ends with its input.

    python -m o2o_nodes.prompt policy_node

`o2o up` and `o2o finetune` start it where a person sits at a terminal. It is a process of its own, since o2o_robot
knows no ROS, and what starts and ends every node must not hang in a middleware. Its clients are there before the first
key: a stop waits for no discovery.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from typing import Any

import rclpy
from o2o_msgs import msg as m
from o2o_msgs.srv import LabelEpisode
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from o2o_nodes import qos
from o2o_robot.flow.keys import LABELS, TRIGGERS

BY = "keys"


class Prompt(Node):
    """One session's deeds: `deed("success")`. It tells the states of session and guard, and every answer."""

    def __init__(self, session: str) -> None:
        super().__init__("prompt")
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop = self.create_publisher(Bool, "estop", qos.COMMAND)
        self._label = self.create_client(LabelEpisode, f"{session}/label")
        self._triggers = {deed: self.create_client(Trigger, name.format(session)) for deed, name in TRIGGERS.items()}
        self._last: dict[str, dict[str, Any]] = {}
        self.create_subscription(m.SessionState, "session_state", self._on_session, qos.LATCHED)
        self.create_subscription(m.SafetyState, "safety_state", self._on_guard, qos.LATCHED)
        self._spoken = self.create_guard_condition(self._listen)
        self.is_over = False

    def say(self, word: str) -> None:
        """From any thread; an empty word is the end."""
        self._words.put(word)
        self._spoken.trigger()

    def _listen(self) -> None:
        while not self._words.empty():
            word = self._words.get()
            if not word:
                self.is_over = True
            else:
                self.deed(word)

    def deed(self, name: str) -> None:
        if name == "estop":
            self._stop.publish(Bool(data=True))  # heard by whoever commands the arm, served or not
        if name in LABELS:
            self._ask(name, self._label, LabelEpisode.Request(outcome=name, by=BY))
        elif name in self._triggers:
            self._ask(name, self._triggers[name], Trigger.Request())
        else:
            tell("answer", deed=name, ok=False, message=f"there is no '{name}'")

    def _ask(self, deed: str, client: Client, request: Any) -> None:
        if not client.service_is_ready():
            tell("answer", deed=deed, ok=False, message=f"nobody serves {client.srv_name}")
            return
        client.call_async(request).add_done_callback(lambda future: self._answered(deed, future.result()))

    def _answered(self, deed: str, answer: Any) -> None:
        if answer is not None:
            tell("answer", deed=deed, ok=bool(answer.success), message=str(answer.message))

    def _on_session(self, state: m.SessionState) -> None:
        names = ("state", "waits_for", "mode", "episode", "step", "max_steps", "block", "next")
        self._tell_if_new("session", {name: getattr(state, name) for name in names})

    def _on_guard(self, state: m.SafetyState) -> None:
        self._tell_if_new("guard", {"state": state.state, "reasons": list(state.reason_names)})

    def _tell_if_new(self, kind: str, facts: dict[str, Any]) -> None:
        if self._last.get(kind) != facts:
            self._last[kind] = facts
            tell(kind, **facts)


def tell(kind: str, **facts: Any) -> None:
    print(json.dumps({"kind": kind, **facts}), flush=True)


def read_words(prompt: Prompt) -> None:
    for line in sys.stdin:
        if word := line.strip():
            prompt.say(word)
    prompt.say("")


def main() -> None:
    rclpy.init(signal_handler_options=rclpy.SignalHandlerOptions.NO)
    prompt = Prompt(sys.argv[1])
    threading.Thread(target=read_words, args=(prompt,), daemon=True).start()
    try:
        while not prompt.is_over:
            rclpy.spin_once(prompt, timeout_sec=0.5)
    except (ExternalShutdownException, KeyboardInterrupt, BrokenPipeError):
        pass
    prompt.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
