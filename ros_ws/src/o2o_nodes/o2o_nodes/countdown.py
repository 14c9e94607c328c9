"""Counts down before a person's episode: time to put the hand on the device."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

from rclpy.task import Future

from o2o_nodes.node import HouseNode
from o2o_robot.errors import ConfigError
from o2o_robot.types import Mode


def countdown(
    node: HouseNode, tell: Callable[[str], None], stops: Callable[[], bool]
) -> Callable[..., Awaitable[bool]] | None:
    """What a Session awaits before each episode; None where there is nothing to wait for.

    tell: shows what is waited for. stops: whether nobody wants another episode any more.
    """
    seconds = node.setting("countdown_s", 0.0, "seconds to count down before each episode's reset")
    if seconds < 0:
        raise ConfigError(f"countdown_s must be >= 0, got {seconds}; 3 is enough to reach the device")

    async def count(_mode: Mode, *, at_the_end: bool = False) -> bool:
        left = 0 if at_the_end else math.ceil(seconds)
        while left and node.is_started and not stops():
            tell(f"the next episode begins in {left} s")
            node.get_logger().info(f"the next episode begins in {left} s")
            await node.wait(_nothing(node), 1.0)
            left -= 1
        return bool(node.is_started)

    return count if seconds else None


def _nothing(node: HouseNode) -> Any:
    return Future(executor=node.executor)
