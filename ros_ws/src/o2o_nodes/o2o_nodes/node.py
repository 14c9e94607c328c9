"""What every node of the house shares: a lifecycle that starts itself, typed parameters, waiting, an orderly end."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.task import Future
from rclpy.timer import Timer

from o2o_robot.errors import O2OError
from o2o_robot.jsonfile import write_json

STEADY = Clock(clock_type=ClockType.STEADY_TIME)
N = TypeVar("N", bound="HouseNode")


class HouseNode(LifecycleNode):
    """A managed node: `open` builds what it needs, `start` lets it act, `stop` makes it safe, `close` lets go.

    The four are what a child writes; a raised O2OError in `open` or `start` fails the transition with its one line.
    With the parameter `autostart` (default) the node configures and activates itself.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.exit_code = 0
        self.finished = False
        self._is_open = self._is_started = False
        self._waits: set[Timer] = set()
        self._had: dict[str, set[Any]] = {}  # stage of the life -> what there was before it
        self.setting("autostart", True, "configure and activate without a lifecycle manager")
        self.setting("lockstep", False, "physics waits for each command; sensors are read reliably")
        self.setting("run_dir", "", "folder of this run; empty: nothing is written")

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
        timer = self.create_timer(timeout_s, lambda: future.done() or future.set_result(None), clock=STEADY)
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
                write_json(self.run_dir / f"{self.get_name()}.json", {"pid": os.getpid(), **self.summary()})
            self._let_go("open")

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
    except O2OError as problem:
        node.get_logger().fatal(str(problem))
        node.exit_code = 1
    except ExternalShutdownException:
        pass
    except Exception:
        node.get_logger().fatal(traceback.format_exc())
        node.exit_code = 1
    _end(node)
    sys.exit(node.exit_code)


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
    node.destroy_node()
    if rclpy.ok():
        rclpy.shutdown()
