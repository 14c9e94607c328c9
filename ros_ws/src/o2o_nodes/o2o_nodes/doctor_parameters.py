"""What the nodes of a graph say about themselves: the parameters that the doctor's checks look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient

from o2o_robot.preflight.ask import PARAMETERS, PREFIXES
from o2o_robot.preflight.facts import NodeParameters

Spin = Callable[[Callable[[], bool], float], bool]
"""Serve callbacks until the condition is true (gives True), or so many seconds are over (False)."""


def parameters_of(node: Node, spin: Spin, *, but: str) -> tuple[NodeParameters, ...]:
    """The parameters that the checks look at, of every node that answers in time; not of node `but`.

    Names are asked for first: some nodes answer nothing at all where one name is not theirs.
    """
    there = {f"{space.rstrip('/')}/{name}" for name, space in node.get_node_names_and_namespaces() if name != but}
    clients = {name: AsyncParameterClient(node, name) for name in sorted(there)}
    spin(lambda: all(c.services_are_ready() for c in clients.values()), 1.0)
    ready = {name: client for name, client in clients.items() if client.services_are_ready()}
    listed = {name: client.list_parameters([], 0) for name, client in ready.items()}
    spin(lambda: all(f.done() for f in listed.values()), 2.0)
    known = {name: _of_interest(f.result().result.names) for name, f in listed.items() if f.done()}
    asked = {name: ready[name].get_parameters(chosen) for name, chosen in known.items() if chosen}
    spin(lambda: all(f.done() for f in asked.values()), 2.0)
    answers = {name: f.result().values for name, f in asked.items() if f.done()}
    return tuple(
        NodeParameters(name, dict(zip(known[name], map(_plain, values), strict=False)))
        for name, values in answers.items()
    )


def _of_interest(names: Iterable[str]) -> list[str]:
    return [name for name in names if name in PARAMETERS or name.startswith(PREFIXES)]


def _plain(value: Any) -> Any:
    found = parameter_value_to_python(value)
    return list(found) if hasattr(found, "typecode") else found
