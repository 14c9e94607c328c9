"""What every node of the house shares: a lifecycle that starts itself, typed parameters, waiting, an orderly end."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.subscription import Subscription
from rclpy.task import Future
from rclpy.timer import Timer

from o2o_nodes.diagnostics import PERIOD_S, Diagnostics, counted, timed
from o2o_robot.errors import O2OError
from o2o_robot.jsonfile import write_json
from o2o_robot.vitals import Value, Vitals

QUIET_S = 0.3
READ_OUT_S = 5.0  # less than the supervisor's patience (supervise.GRACE_S)
STEADY = Clock(clock_type=ClockType.STEADY_TIME)
N = TypeVar("N", bound="HouseNode")


class HouseNode(LifecycleNode):
    """A managed node: `open` builds what it needs, `start` lets it act, `stop` makes it safe, `close` lets go.

    The four are what a child writes; a raised O2OError in `open` or `start` fails the transition with its one line.
    With the parameter `autostart` (default) the node configures and activates itself. Every node tells /diagnostics
    once a second how it is; `readings` and `trouble` are what a child adds to that.
    """

    def __init__(self, name: str) -> None:
        self.vitals = Vitals(time.monotonic)  # first: rclpy's own subscriptions are counted too
        super().__init__(name)
        self.exit_code = 0
        self.finished = False
        self.reads_out = (
            False  # told to end, it first takes in what had arrived; `n_taken` counts what must not be lost
        )
        self.n_taken = 0
        self._is_open = self._is_started = False
        self._waits: set[Timer] = set()
        self._had: dict[str, set[Any]] = {}  # stage of the life -> what there was before it
        self.setting("autostart", True, "configure and activate without a lifecycle manager")
        self.setting("lockstep", False, "physics waits for each command; sensors are read reliably")
        self.setting("run_dir", "", "folder of this run; empty: nothing is written")
        self.setting("hardware_id", "", "robot that this node works for, as /diagnostics names it")
        self._diagnostics = Diagnostics(self, self.vitals)
        super().create_timer(PERIOD_S, self._diagnostics.tell, clock=STEADY)

    # --- what a child writes -------------------------------------------------------------------------------------
    def open(self) -> None:
        """Read settings, load, subscribe."""

    def start(self) -> None:
        """Begin to act."""

    def stop(self) -> None:
        """Make safe, then be still."""

    def close(self) -> None:
        """Let go of everything `open` took."""

    def summary(self) -> dict[str, Any]:
        """Facts for `<run_dir>/<name>.json`, written after `close`."""
        return {}

    def readings(self) -> dict[str, Value]:
        """Numbers and words of this moment for /diagnostics: cheap, no longer than a line each."""
        return {}

    def trouble(self) -> list[str]:
        """What is not as it should be, a line each with what to try; a vitals.Grave line means ERROR, others WARN."""
        return []

    # --- parameters, waiting, ending -----------------------------------------------------------------------------
    def setting(self, name: str, default: Any, description: str, *, read_only: bool = False) -> Any:
        """Declare a parameter (once) and return its value."""
        if not self.has_parameter(name):
            untyped = isinstance(default, (list, tuple)) and not default  # an empty list has no type to infer
            descriptor = ParameterDescriptor(description=description, read_only=read_only, dynamic_typing=untyped)
            self.declare_parameter(name, default, descriptor)
        value = self.get_parameter(name).value
        return list(value) if isinstance(default, (list, tuple)) and value is not None else value

    @property
    def lockstep(self) -> bool:
        return bool(self.get_parameter("lockstep").value)

    @property
    def run_dir(self) -> Path | None:
        text = str(self.get_parameter("run_dir").value)
        return Path(text) if text else None

    @property
    def is_started(self) -> bool:
        """Whether this node may act: between activation and deactivation."""
        return self._is_started

    def now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    async def wait(self, future: Future, timeout_s: float) -> Any:
        """The future's result, or None once `timeout_s` of wall time are over."""
        timer = super().create_timer(timeout_s, lambda: future.done() or future.set_result(None), clock=STEADY)
        self._waits.add(timer)
        try:
            return await future
        finally:
            self._waits.discard(timer)
            self.destroy_timer(timer)

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float, every_s: float = 0.02) -> bool:
        """Whether `condition` became true within `timeout_s` of wall time."""
        deadline = STEADY.now().nanoseconds + int(timeout_s * 1e9)
        while not condition():
            if STEADY.now().nanoseconds > deadline:
                return False
            await self.wait(Future(executor=self.executor), every_s)
        return True

    def finish(self, exit_code: int = 0) -> None:
        """End this process after the present callback."""
        self.exit_code = exit_code
        self.finished = True

    # --- what is counted for /diagnostics ------------------------------------------------------------------------
    def create_subscription(self, msg_type: Any, topic: str, callback: Any, *words: Any, **more: Any) -> Subscription:
        heard = self.vitals.stream(topic)
        count = self.vitals.refusals(topic)

        def refused(problem: O2OError) -> None:
            count()
            self.get_logger().error(f"{topic}: refused: {problem}", throttle_duration_sec=2.0)

        hear = counted(self.vitals, callback, heard, refused)
        return super().create_subscription(msg_type, topic, hear, *words, **more)

    def destroy_subscription(self, subscription: Subscription) -> bool:
        was_ours = bool(super().destroy_subscription(subscription))
        if was_ours:
            self.vitals.forget(subscription.topic)
        return was_ours

    def create_timer(self, timer_period_sec: float, callback: Any, *words: Any, **more: Any) -> Timer:
        return super().create_timer(timer_period_sec, timed(self.vitals, callback), *words, **more)

    def create_beat(self, name: str, period_s: float, act: Callable[[], None]) -> Timer:
        """A steady timer whose evenness is told: `name` is how /diagnostics calls it."""
        beat = self.vitals.beat(name, period_s)

        def round_of_work() -> None:
            beat()
            act()

        return self.create_timer(period_s, round_of_work, clock=STEADY)

    # --- lifecycle -----------------------------------------------------------------------------------------------
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._open)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._start, super().on_activate, state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.end_start, super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.end_open)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.end_open)

    def _open(self) -> None:
        self._had["open"] = self._entities()
        try:
            self.open()
        except Exception:
            self._let_go("open")
            raise
        self._is_open = True

    def _start(self) -> None:
        self._had["start"] = self._entities()
        self._is_started = True
        self.start()

    def _entities(self) -> set[Any]:
        """Everything that the executor serves, or the graph sees, of this node."""
        return {*self.timers, *self.subscriptions, *self.publishers, *self.services, *self.clients, *self.waitables}

    def _let_go(self, stage: str) -> None:
        """Destroy what a stage of the life made: a second activation must not tick twice."""
        ways = (self.destroy_timer, self.destroy_subscription, self.destroy_publisher)
        ways += (self.destroy_service, self.destroy_client)
        for one in self._entities() - self._had.pop(stage, set()) - self._waits:
            if not any(destroy(one) for destroy in ways):
                one.destroy()  # an action's server or client

    def end_start(self) -> None:
        """`stop`, if it was started and not stopped yet."""
        if self._is_started:
            self._is_started = False
            self.stop()
            self._let_go("start")

    def end_open(self) -> None:
        """Write the summary, then `close`, if it was opened and not closed yet."""
        self.end_start()
        if self._is_open:
            self._is_open = False
            self.close()
            if self.run_dir is not None:
                write_json(
                    self.run_dir / f"{self.get_name()}.json",
                    {
                        "pid": os.getpid(),
                        "finished": self.finished,
                        "messages_refused": self.vitals.refused,
                        **self.summary(),
                    },
                )
            self._let_go("open")

    def say_end(self) -> None:
        """The last word: whoever watches /diagnostics then knows that this node did not die."""
        if self.context.ok():
            self._diagnostics.end()

    def _attempt(self, act: Callable[[], None], then: Callable | None = None, *args: Any) -> TransitionCallbackReturn:
        try:
            act()
        except O2OError as problem:
            self.get_logger().error(str(problem))
            return TransitionCallbackReturn.FAILURE
        return then(*args) if then else TransitionCallbackReturn.SUCCESS


def run(make: Callable[[], N]) -> None:
    """A node's whole process: start, spin until it finishes or is told to stop, make safe, leave with its exit code."""
    rclpy.init(signal_handler_options=rclpy.SignalHandlerOptions.NO)
    told_to_stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _frame: told_to_stop.append(n))
    node = make()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value:
            _autostart(node)
        while not (told_to_stop or node.finished):
            executor.spin_once(timeout_sec=0.1)
        _read_out(node, executor)
    except O2OError as problem:
        node.get_logger().fatal(str(problem))
        node.exit_code = 1
    except ExternalShutdownException:
        pass
    except Exception:
        node.get_logger().fatal(traceback.format_exc())
        node.exit_code = 1
    _end(node)
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # Python's own end takes seconds on a busy machine: it is safe by now
        signal.signal(number, signal.SIG_IGN)
    sys.exit(node.exit_code)


def _read_out(node: HouseNode, executor: SingleThreadedExecutor) -> None:
    """Take in what had arrived before the end was told, until nothing came for a while: it is the data set."""
    deadline_s, quiet_since_s, taken = time.monotonic() + READ_OUT_S, time.monotonic(), node.n_taken
    while node.reads_out and node.exit_code == 0 and time.monotonic() < deadline_s:
        executor.spin_once(timeout_sec=0.02)
        if node.n_taken != taken:
            quiet_since_s, taken = time.monotonic(), node.n_taken
        elif time.monotonic() - quiet_since_s > QUIET_S:
            return


def _autostart(node: HouseNode) -> None:
    for transition in (node.trigger_configure, node.trigger_activate):
        if transition() != TransitionCallbackReturn.SUCCESS:
            node.finish(1)
            return


def _end(node: HouseNode) -> None:
    """Stop, close, leave; a failure here is shown and turns the exit code, but never keeps a process."""
    for act in (node.end_start, node.end_open):
        try:
            act()
        except Exception:
            node.get_logger().fatal(traceback.format_exc())
            node.exit_code = node.exit_code or 1
    node.say_end()
    node.destroy_node()
    if rclpy.ok():
        rclpy.shutdown()
