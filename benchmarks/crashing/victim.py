"""A node that breaks when it is told to: its own main, with a fault under its callbacks, waiting for SIGUSR1.

`python victim.py NODE FAULT --ros-args ...` stands in the node's place in a graph. Nothing of this is in the node.
"""

from __future__ import annotations

import functools
import importlib
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MIB = 1 << 20
HELD: list[bytearray] = []  # what a leak holds is not given back when the exception passes


def raise_error() -> None:
    raise RuntimeError("an exception, on purpose")


def use_all_memory() -> None:
    """As a leak does when the machine has no more: MemoryError now, and at everything large from here on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * resource.getpagesize() + 8 * MIB
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    while True:
        HELD.append(bytearray(MIB))


def fill_the_disk() -> None:
    """Every write that would make a file longer fails from here on (Python ignores SIGXFSZ, so with an OSError)."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


FAULTS: dict[str, Callable[[], None]] = {"raise": raise_error, "memory": use_all_memory, "disk": fill_the_disk}


class Trap:
    """trap = Trap(fault); trap.set(); ... SIGUSR1: the next callback of the node begins with the fault."""

    def __init__(self, fault: Callable[[], None]) -> None:
        self._fault, self._is_due = fault, False

    def set(self) -> None:
        from rclpy.node import Node

        signal.signal(signal.SIGUSR1, self._on_signal)
        for name, where in (("create_subscription", 2), ("create_timer", 1)):
            setattr(Node, name, self._trapping(getattr(Node, name), where))

    def _on_signal(self, _number: int, _frame: Any) -> None:
        self._is_due = True

    def _trapping(self, create: Callable[..., Any], where: int) -> Callable[..., Any]:
        """The method with the callback at position `where` wrapped."""

        @functools.wraps(create)
        def trapping(node: Any, *words: Any, **named: Any) -> Any:
            return create(node, *words[:where], self._trapped(words[where]), *words[where + 1 :], **named)

        return trapping

    def _trapped(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(callback)
        def trapped(*heard: Any) -> Any:
            if self._is_due:
                self._is_due = False
                self._fault()
            return callback(*heard)

        return trapped


def main() -> None:
    node, fault = sys.argv[1:3]
    del sys.argv[1:3]
    trap = Trap(FAULTS[fault])
    trap.set()
    importlib.import_module(f"o2o_nodes.{node}").main()


if __name__ == "__main__":
    main()
