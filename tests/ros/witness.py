"""A node of the test's own that hears every step of a session, and what one learner would make of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import safetensors.numpy
from o2o_msgs import msg as m
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from o2o_nodes import convert, qos
from o2o_robot.delivery import Entry, Turnstile
from o2o_robot.supervise import Running, Supervisor


class Witness:
    """with Witness(domain) as witness: witness.until(lambda: witness.n_transitions > 20, 60.0, "twenty steps")

    Give it a place among the session's step_readers: then it misses none. A step that is said again is kept once.
    """

    def __init__(self, domain: int) -> None:
        self.steps: list[m.Step] = []
        self.sessions: list[m.SessionState] = []
        self.learned: list[m.LearnerState] = []
        self.turnstile = Turnstile(adopts_new=True)
        self._domain = domain

    def __enter__(self) -> Witness:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=self._domain)
        self.node = Node("witness", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.node.create_subscription(m.Step, "step", self._on_step, qos.RECORD)
        self.node.create_subscription(m.SessionState, "session_state", self.sessions.append, qos.LATCHED)
        self.node.create_subscription(m.LearnerState, "learner_state", self.learned.append, qos.LATCHED)
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    @property
    def n_transitions(self) -> int:
        return sum(not step.is_last for step in self.steps)

    def until(self, condition: Callable[[], Any], timeout_s: float, what: str) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"{what}: not within {timeout_s} s"
            self._executor.spin_once(timeout_sec=0.05)

    def to_the_end(self, supervisor: Supervisor, timeout_s: float = 240.0) -> None:
        """Listen until the supervisor's session has ended, restarting what may be restarted."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            for _ in range(20):
                self._executor.spin_once(timeout_sec=0.005)
            if supervisor.has_ended():
                return
        raise AssertionError(f"the run has not ended within {timeout_s} s")

    def call(self, service: Any, name: str) -> Any:
        client = self.node.create_client(service, name)
        self.until(client.service_is_ready, 60.0, f"service {name}")
        future = client.call_async(service.Request())
        self.until(future.done, 60.0, f"answer of {name}")
        self.node.destroy_client(client)
        return future.result()

    def _on_step(self, step: m.Step) -> None:
        if self.turnstile.take(step.run, step.number) is Entry.ACCEPTED:
            self.steps.append(step)


def running(supervisor: Supervisor, name: str) -> Running:
    return next(one for one in supervisor.running if one.process.name == name)


def tell(supervisor: Supervisor, name: str, number: int) -> None:
    os.kill(running(supervisor, name).popen.pid, number)


def kill_all(supervisor: Supervisor) -> None:
    """Everybody at once, without a goodbye."""
    for one in supervisor.running:
        one.popen.send_signal(signal.SIGSTOP)  # nobody outlives another and writes something down meanwhile
    for one in supervisor.running:
        one.popen.kill()
    for one in supervisor.running:
        one.popen.wait()


def learned_by_one(pretrained: Path, steps: list[m.Step], out: Path, *, utd: int, warmup_steps: int) -> Path:
    """The checkpoint of a learner that took these steps in one after the other and was never interrupted."""
    import torch

    from o2o_robot import presets
    from o2o_robot.algorithms import checkpoint
    from o2o_robot.algorithms.config import ARCHITECTURE
    from o2o_robot.data.replay import ReplayBuffer
    from o2o_robot.learner import Learner

    torch.set_num_threads(1)
    facts = checkpoint.read_facts(pretrained)
    config = replace(presets.preset("wsrl"), utd=float(utd))
    config = replace(config, **{name: getattr(facts.config, name) for name in ARCHITECTURE})
    plan = replace(presets.plan("wsrl"), warmup_steps=warmup_steps)
    replay = ReplayBuffer(50_000, facts.spec, facts.n_action, facts.transform)
    learner = Learner(checkpoint.load(pretrained), replay, config=config, plan=plan, seed=0)
    for message in steps:
        learner.add_step(convert.step(message), mode=message.mode)
        while learner.updates_owed():
            learner.update()
    return learner.save(out, provenance={})


def differences(one: Path, other: Path) -> list[str]:
    """Every array of two checkpoints that is not the same bit for bit, and every counter that differs."""
    from o2o_robot.algorithms import checkpoint

    wrong = []
    for file in sorted(path.name for path in one.glob("*.safetensors")):
        left, right = (safetensors.numpy.load_file(folder / file) for folder in (one, other))
        wrong += [f"{file}: {name}" for name in left.keys() ^ right.keys()]
        wrong += [f"{file}: {name}" for name in left.keys() & right.keys() if not _same(left[name], right[name])]
    counts = [checkpoint.read_facts(folder).counters for folder in (one, other)]
    return wrong + [name for name, value in counts[1].items() if counts[0][name] != value]


def _same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.dtype == right.dtype and left.tobytes() == right.tobytes()
