"""Reads off a running graph what each node says, hears, serves and asks for: what an SROS 2 policy must allow."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node

from o2o_robot.sros2 import Profile, profile, relative

_ACTION = "/_action/"
_GOAL = f"{_ACTION}send_goal"
Names = list[tuple[str, list[str]]]


def profile_of(asking: Node, node: str) -> Profile:
    """Of a node in the root namespace, as `asking` has discovered it so far."""

    def names(by_node: Callable[[str, str], Names]) -> list[str]:
        return [relative(name, node) for name, _ in by_node(node, "/")]

    served = names(asking.get_service_names_and_types_by_node)
    asked = names(asking.get_client_names_and_types_by_node)
    return profile(
        publish=_plain(names(lambda name, ns: asking.get_publisher_names_and_types_by_node(name, ns))),
        subscribe=_plain(names(lambda name, ns: asking.get_subscriber_names_and_types_by_node(name, ns))),
        reply=_plain(served),
        request=_plain(asked),
        execute=[name.removesuffix(_GOAL) for name in served if name.endswith(_GOAL)],
        call=[name.removesuffix(_GOAL) for name in asked if name.endswith(_GOAL)],
    )


def _plain(names: list[str]) -> list[str]:
    """Without the topics and services of which actions are made: `execute` and `call` stand for them."""
    return [name for name in names if _ACTION not in name]
