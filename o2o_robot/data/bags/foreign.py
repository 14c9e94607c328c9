"""A recording brings its own message definitions: what calls itself an Image need not have a width."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from o2o_robot.errors import DataError


@contextmanager
def as_ros_defines(what: str) -> Iterator[None]:
    """Whatever breaks inside, on a message that could be decoded, becomes one DataError that names it."""
    try:
        yield
    except DataError:
        raise
    except Exception as problem:  # foreign definitions over foreign bytes: any kind of error means the same
        raise DataError(f"{what} is not what ROS defines by that name ({one_line(problem)})") from None


def one_line(problem: Exception) -> str:
    """What a foreign error says, on one line that is not too long; it may quote what it choked on."""
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:200]
