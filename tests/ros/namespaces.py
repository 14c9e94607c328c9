"""Two hosts on one machine: network namespaces joined by a cable (veth) that can be pulled out."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000  # linux/sched.h

UDP_ONLY = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com">
  <profiles>
    <transport_descriptors>
      <transport_descriptor><transport_id>udp</transport_id><type>UDPv4</type></transport_descriptor>
    </transport_descriptors>
    <participant profile_name="udp_only" is_default_profile="true">
      <rtps>
        <userTransports><transport_id>udp</transport_id></userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>
        <builtin><discovery_config>
          <leaseDuration><sec>6</sec></leaseDuration><leaseAnnouncement><sec>1</sec></leaseAnnouncement>
        </discovery_config></builtin>
      </rtps>
    </participant>
  </profiles>
</dds>
"""
"""Shared memory would go through the wall between two namespaces of one machine.

Who is silent for 6 s (20 s unless told) is forgotten, with all that it had not acknowledged: a longer cut in less time.
"""


def why_not() -> str:
    """Why no namespaces can be made here, or nothing."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    if shutil.which("ip") is None:
        return "there is no `ip` (iproute2)"
    made = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return "" if made.returncode == 0 else f"this kernel makes no network namespace: {made.stderr.decode().strip()}"


class Hosts:
    """with Hosts() as hosts: with hosts.inside("robot"): start(...); hosts.unplug(); hosts.plug_in()"""

    def __init__(self) -> None:
        self._names = {"robot": f"o2o-r{os.getpid()}", "desk": f"o2o-d{os.getpid()}"}

    def __enter__(self) -> Hosts:
        robot, desk = self._names.values()
        try:
            for name in (robot, desk):
                _ip("netns", "add", name)
            _ip("link", "add", "cable", "netns", robot, "type", "veth", "peer", "name", "cable", "netns", desk)
            for number, name in enumerate((robot, desk), start=1):
                _ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "cable")
                _ip("-n", name, "link", "set", "lo", "up")
                _ip("-n", name, "link", "set", "cable", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names.values():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def unplug(self) -> None:
        _ip("-n", self._names["desk"], "link", "set", "cable", "down")

    def plug_in(self) -> None:
        _ip("-n", self._names["desk"], "link", "set", "cable", "up")

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """What this thread starts meanwhile runs on that host."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(Path("/var/run/netns") / self._names[host], os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(home)
            os.close(home)
            os.close(there)


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
