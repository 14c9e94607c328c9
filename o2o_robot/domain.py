"""A ROS domain that nobody speaks in: what runs in it hears no other graph, and no robot hears it."""

from __future__ import annotations

import itertools
import os
import socket

_COUNT = itertools.count()


def free_domain() -> int:
    """One of 1 to 100 whose discovery ports are free on this machine, another at each call.

    DDSI-RTPS 9.6.1: 7400 + 250 a domain, for many; 10 above it, and on by twos, for each participant. Domains above
    101 are left alone: their ports may be taken by anybody.
    """
    first = os.getpid() * 13 + next(_COUNT)
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
