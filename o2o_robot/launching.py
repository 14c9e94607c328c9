"""Turns a graph into a `ros2 launch` description: arguments from its settings, a Node for each process, an order down.

Imports ROS's own `launch` inside functions alone, so that it loads where there is none. Needs nothing but the standard
library and what every ROS 2 brings (yaml, numpy): launch files are run by the system's Python.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from o2o_robot import overlay
from o2o_robot.errors import ConfigError, GraphError
from o2o_robot.graph import PARTS, STORIES, Process, Up
from o2o_robot.sros2 import enclave_arguments
from o2o_robot.supervise import BACK_OFF_S, GRACE_S, how_it_ended, in_order_down, parameter_files

U = TypeVar("U", bound=Up)
GRAPHS = STORIES | PARTS
WORDS = {"true": True, "1": True, "false": False, "0": False}


def arguments(settings: type[Up]) -> dict[str, tuple[str, str]]:
    """Launch argument name -> (default as a word, description), from the fields of a graph's settings."""
    return {f.name: (_word(f.default), f.metadata["help"]) for f in dataclasses.fields(settings)}


def from_words(settings: type[U], words: Mapping[str, str]) -> U:
    """Settings from launch arguments, which are words. Raises ConfigError naming the argument that is wrong."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        if field.name in words:
            values[field.name] = _value(field.name, words[field.name].strip(), type(field.default))
    return settings(**values)


def describe(story: str) -> Any:
    """The LaunchDescription of one of graph.STORIES or PARTS: what generate_launch_description of a file returns."""
    from launch.actions import DeclareLaunchArgument, OpaqueFunction
    from launch.launch_description import LaunchDescription

    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in arguments(GRAPHS[story][0]).items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=lambda context: _bring_up(story, context))])


class OrderDown:
    """Brings the others down one after the other once a node has ended, as `o2o up` does.

    `next_after(name, exit_code)` gives the name to end next, or None when all are down. Then, if a node died, it raises
    GraphError with its name instead, which gives `ros2 launch` its exit code 1.
    """

    def __init__(self, processes: list[Process]) -> None:
        self._alive = [process.name for process in in_order_down(processes)]
        self._restarts = {process.name: process.restarts for process in processes}
        self._sessions = {process.name for process in processes if process.is_session}
        self._first = ""
        self._died = ""

    def starts_again(self, name: str) -> bool:
        """Whether a node that has ended is to be started again: one that may be, so often, while nobody goes down."""
        if self._first or not self._restarts[name]:
            return False
        self._restarts[name] -= 1
        return True

    def next_after(self, name: str, exit_code: int) -> str | None:
        self._alive.remove(name)
        self._first = self._first or name
        ended_well = exit_code == 0 and (name in self._sessions or name != self._first)
        if not ended_well and not self._died:
            self._died = f"{name} {how_it_ended(exit_code)}"
        if not self._alive and self._died:
            raise GraphError(f"{self._died}; the others were stopped, the arm holds")
        return self._alive[0] if self._alive else None

    @property
    def died(self) -> str:
        """Who died first and how, or nothing."""
        return self._died


def _bring_up(story: str, context: Any) -> list[Any]:
    """The nodes, and what happens when one of them ends."""
    from launch.actions import RegisterEventHandler
    from launch.event_handlers import OnProcessExit

    settings, describe_graph = GRAPHS[story]
    up = from_words(settings, {name: context.launch_configurations[name] for name in arguments(settings)})
    graph = _Graph(describe_graph(up, overlay.share()), Path(up.run_dir))
    return [RegisterEventHandler(OnProcessExit(on_exit=graph.on_exit)), *graph.nodes.values()]


class _Graph:
    """The nodes of a graph as launch actions, and what follows on the end of each."""

    def __init__(self, processes: list[Process], run_dir: Path) -> None:
        self._processes, self._run_dir = {process.name: process for process in processes}, run_dir
        self._order = OrderDown(processes)
        self.nodes = {process.name: _node(process, run_dir) for process in processes}
        self._timers: dict[str, Any] = {}  # of nodes that wait to be started again

    def on_exit(self, event: Any, context: Any) -> list[Any] | None:
        names = {id(node): name for name, node in self.nodes.items()}
        if context.is_shutdown or id(event.action) not in names:
            return None  # interrupted: everybody was told at once
        name = names[id(event.action)]
        if self._order.starts_again(name):
            return self._start_again(name, event.returncode)
        return self._bring_down(name, event.returncode)

    def _start_again(self, name: str, exit_code: int) -> list[Any]:
        from launch.actions import LogInfo, TimerAction

        process = self._processes[name]
        again = replace(process, parameters={**process.parameters, **process.on_restart})
        self.nodes[name] = _node(again, self._run_dir)
        self._timers[name] = TimerAction(period=BACK_OFF_S, actions=[self.nodes[name]])
        return [LogInfo(msg=f"{name} {how_it_ended(exit_code)}; is started again"), self._timers[name]]

    def _bring_down(self, name: str, exit_code: int) -> list[Any]:
        from launch.actions import EmitEvent, LogInfo
        from launch.events import Shutdown
        from launch.events.process import ShutdownProcess

        had_died = self._order.died
        following = self._order.next_after(name, exit_code)
        while following is not None and self.nodes[following].process_details is None:  # it waits to be started again
            self._timers[following].cancel()
            following = self._order.next_after(following, 0)
        if following is None:
            return [EmitEvent(event=Shutdown(reason="the session has ended"))]
        told = []
        if self._order.died and not had_died:
            told = [LogInfo(msg=f"{self._order.died}; stopping the others")]
        matcher = self.nodes[following]
        return [*told, EmitEvent(event=ShutdownProcess(process_matcher=lambda action: action is matcher))]


def _node(process: Process, run_dir: Path) -> Any:
    from launch_ros.actions import Node

    return Node(
        package=overlay.PACKAGE,
        executable=process.name,
        parameters=[str(path) for path in parameter_files(process, run_dir)],
        additional_env=overlay.DEFAULTS | overlay.discovery(os.environ) | overlay.fast_dds_profile(os.environ),
        ros_arguments=enclave_arguments(process.name, os.environ),
        output="both",
        emulate_tty=True,
        sigterm_timeout=str(GRACE_S[0]),
        sigkill_timeout=str(GRACE_S[1]),
    )


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(name: str, word: str, kind: type) -> Any:
    try:
        return WORDS[word.lower()] if kind is bool else kind(word)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise ConfigError(f"argument {name} is '{word}', it must be {wanted}; for example {name}:=1") from None
