"""A ROS domain that nobody speaks in: trials must not hear each other, nor a robot."""

from __future__ import annotations

import itertools
import os
import socket

_COUNT = itertools.count()


def free_domain() -> int:
    """One of 1 to 100 whose discovery ports are free on this machine (DDSI-RTPS 9.6.1)."""
    first = os.getpid() * 17 + next(_COUNT)
    return next(n for n in (1 + (first + k) % 100 for k in range(100)) if _nobody_speaks_in(n))


def _nobody_speaks_in(domain: int) -> bool:
    first = 7400 + 250 * domain
    return all(_is_free(port) for port in (first, *range(first + 10, first + 30, 2)))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.bind(("", port))
        except OSError:
            return False
        return True
