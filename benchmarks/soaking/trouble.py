"""Makes trouble in a running graph, and is the person who looks after it: faults, kills, resets, and what was seen."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any, NamedTuple

import rclpy
from o2o_msgs import msg as m
from o2o_msgs.srv import InjectFault
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from o2o_nodes import qos
from o2o_robot.safety.reason import names
from o2o_robot.supervise import Supervisor
from soaking.verdict import Moment


class Fault(NamedTuple):
    kind: str
    stream: str = ""
    amount: float = 0.0
    count: int = 0


ESTOP = "estop"
FAULTS = (  # what a run in lockstep survives; the last one is no fault: somebody presses, and then has to reset
    Fault("latency", "wrist", 0.05, 5),
    Fault("drop", "joint_states", 0.5, 6),
    Fault("loss", "front", 0.0, 2),
    Fault("swap", "current_pose", 0.0, 4),
    Fault("shuffle_names", count=50),
    Fault("extra_name", count=50),
    Fault("pause", "clock", 0.0, 50),
    Fault("stamp", "clock", -5.0, 50),
    Fault("stamp", "clock", 5.0, 50),
    Fault("not_finite", "joint_states", 1.0, 1),
    Fault(ESTOP),
)
VICTIMS = ("learner_node", "recorder_node")  # those that the graph starts again


class Trouble:
    """with Trouble(domain, ...) as trouble: trouble.look(supervisor)    # often"""

    def __init__(self, domain: int, *, began_s: float, seed: int, fault_s: float, kill_s: float) -> None:
        """Seconds between two faults, and between two kills (0: none). began_s: of the run, by the monotonic clock."""
        self.made: list[Moment] = []
        self.stops: list[Moment] = []
        self._domain, self._began_s, self._rng = domain, began_s, random.Random(seed)
        self._fault_s, self._kill_s = fault_s, kill_s
        now_s = time.monotonic()
        self._next_fault_s, self._next_kill_s = now_s + fault_s, now_s + kill_s / 2
        self._state = ""

    def __enter__(self) -> Trouble:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=self._domain)
        self._node = Node("trouble", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._injecting = self._node.create_client(InjectFault, "inject_fault")
        self._resetting = self._node.create_client(Trigger, "arm_node/reset")
        self._stopping = self._node.create_client(Trigger, "arm_node/estop")
        self._node.create_subscription(m.EpisodeEvent, "episode", self._on_event, qos.RECORD)
        self._node.create_subscription(m.SafetyState, "safety_state", self._on_safety, qos.LATCHED)
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def look(self, supervisor: Supervisor) -> None:
        """Listen for a moment; make the trouble that is due."""
        self._executor.spin_once(timeout_sec=0.05)
        now_s = time.monotonic()
        if now_s >= self._next_fault_s and self._injecting.service_is_ready():
            self._next_fault_s = now_s + self._fault_s
            self._inject(self._rng.choice(FAULTS))
        if self._kill_s and now_s >= self._next_kill_s:
            self._next_kill_s = now_s + self._kill_s
            self._kill(supervisor)

    def _inject(self, fault: Fault) -> None:
        self._note(f"{fault.kind} {fault.stream}".strip())
        if fault.kind == ESTOP:
            self._stopping.call_async(Trigger.Request())
            return
        self._injecting.call_async(InjectFault.Request(**fault._asdict(), seed=self._rng.randrange(1 << 31)))

    def _kill(self, supervisor: Supervisor) -> None:
        alive = [one for one in supervisor.running if one.process.name in VICTIMS and one.exit_code is None]
        if alive:
            victim = self._rng.choice(alive)
            self._note(f"kill {victim.process.name}")
            os.kill(victim.popen.pid, signal.SIGKILL)

    def _note(self, what: str) -> None:
        self.made.append(Moment(time.monotonic() - self._began_s, what))

    def _on_event(self, event: Any) -> None:
        if event.kind == m.EpisodeEvent.END and event.termination not in ("task", "time_limit"):
            self.stops.append(Moment(time.monotonic() - self._began_s, f"{event.id} {event.termination}"))

    def _on_safety(self, safety: Any) -> None:
        if safety.state == self._state:
            return
        self._state = safety.state
        if self._state in ("SOFT_STOP", "LATCHED"):
            why = ", ".join(names(safety.reasons))
            self.stops.append(Moment(time.monotonic() - self._began_s, f"{self._state}: {why}"))
        if self._state == "LATCHED":
            self._resetting.call_async(Trigger.Request())
