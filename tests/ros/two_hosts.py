"""Two hosts on one machine, and the cable between them: network namespaces without names, and a lossy relay.

What `tc netem loss 50% delay 200ms` does at a device, the relay does between two TAP devices: each Ethernet frame is
lost by chance or held back. (netem is a kernel module that many virtual machines do not have.) Needs root. Nothing is
left behind, even by kill -9: namespaces and devices end with the file descriptors that hold them.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000  # linux/if_tun.h
_FRAME_BYTES = 65536
_libc = ctypes.CDLL(None, use_errno=True)


class Host(NamedTuple):
    """A network of its own; `tap` is the end of the cable in it."""

    address: str
    namespace: int
    tap: int

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets of this thread, threads and processes started meanwhile, are this host's."""
        with _own_namespace() as before:
            _enter(self.namespace)
            try:
                yield
            finally:
                _enter(before)


class Cable:
    """Carries frames between two TAP devices; `worsen` and `heal` at any time."""

    def __init__(self, ends: tuple[int, int], seed: int) -> None:
        self._ends, self._rng = ends, random.Random(seed)
        self._loss, self._delay_s = 0.0, 0.0
        self._late: list[tuple[float, int, int, bytes]] = []
        self._stop = threading.Event()
        self.carried = self.lost = 0
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def worsen(self, *, loss: float, delay_s: float) -> None:
        self._loss, self._delay_s = loss, delay_s

    def heal(self) -> None:
        self._loss, self._delay_s = 0.0, 0.0

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5.0)

    def _carry(self) -> None:
        other = dict(zip(self._ends, reversed(self._ends), strict=True))
        while not self._stop.is_set():
            wait_s = min(0.05, max(0.0, self._late[0][0] - time.monotonic())) if self._late else 0.05
            for end in select.select(self._ends, (), (), wait_s)[0]:
                self._take(other[end], os.read(end, _FRAME_BYTES))
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, end, frame = heapq.heappop(self._late)
                self._put(end, frame)

    def _take(self, end: int, frame: bytes) -> None:
        if self._rng.random() < self._loss:
            self.lost += 1
            return
        self.carried += 1
        heapq.heappush(self._late, (time.monotonic() + self._delay_s, self.carried, end, frame))

    def _put(self, end: int, frame: bytes) -> None:
        try:
            os.write(end, frame)
        except OSError as problem:  # a device that is not up yet, or whose queue is full, loses it as real ones do
            if problem.errno not in (errno.EIO, errno.EAGAIN, errno.ENOBUFS):
                raise


class Hosts(NamedTuple):
    robot: Host
    policy: Host
    cable: Cable


def why_not() -> str:
    """What stands against two hosts on this machine; nothing where they can be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None or not Path("/dev/net/tun").exists():
        return "needs root, iproute2 and /dev/net/tun for two hosts on one machine"
    try:
        with two_hosts():
            return ""
    except (OSError, subprocess.CalledProcessError) as problem:
        return f"no two hosts can be made on this machine ({problem})"


def apart(act: Callable[..., None], *given: Any) -> None:
    """Do it in a process of its own. Fast DDS remembers the network that a process had first, for all later tests."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(act, *given).result()


@contextmanager
def two_hosts(seed: int = 0) -> Iterator[Hosts]:
    """with two_hosts() as (robot, policy, cable): ...    # in a process `apart`; OSError where it may not"""
    opened: list[int] = []
    try:
        robot, policy = (_make_host(f"10.77.0.{number}", opened) for number in (1, 2))
        cable = Cable((robot.tap, policy.tap), seed)
        try:
            yield Hosts(robot, policy, cable)
        finally:
            cable.close()
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _make_host(address: str, opened: list[int]) -> Host:
    with _own_namespace() as before:
        if _libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"no network namespace ({os.strerror(ctypes.get_errno())})")
        try:
            opened.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
            opened.append(os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
            fcntl.ioctl(opened[-1], _TUNSETIFF, struct.pack("16sH", b"cable", _IFF_TAP | _IFF_NO_PI))
            for words in (
                ("link", "set", "lo", "up"),
                ("address", "add", f"{address}/24", "dev", "cable"),
                ("link", "set", "cable", "up"),
                ("route", "add", "224.0.0.0/4", "dev", "cable"),  # discovery is by multicast
            ):
                subprocess.run(["ip", *words], check=True)
            return Host(address, *opened[-2:])
        finally:
            _enter(before)


@contextmanager
def _own_namespace() -> Iterator[int]:
    descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
