"""What was measured, with no judgement in it: of the ROS graph, of its streams, and of the machine. All JSON-able."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Endpoint:
    """A publisher or subscription: its node with namespace, and whether it is reliable (else best effort)."""

    node: str
    reliable: bool


@dataclass(frozen=True)
class Stream:
    """What one topic carried while it was listened to, as best-effort sensor readers hear it.

    topic: the full name; type: as the graph tells it, "" where nobody offers it.
    stamps_ns: of the headers; received_ns: by the middleware, on this machine's clock; receipts_ns: the same on the
    ROS clock (that of /clock, where there is one); sequence: the publisher's count, empty where the middleware tells
    none. All of the same length, in order of receipt. frame_id: of the latest header.
    """

    name: str
    topic: str = ""
    type: str = ""
    publishers: tuple[Endpoint, ...] = ()
    subscribers: tuple[Endpoint, ...] = ()
    stamps_ns: tuple[int, ...] = ()
    receipts_ns: tuple[int, ...] = ()
    received_ns: tuple[int, ...] = ()
    sequence: tuple[int, ...] = ()
    frame_id: str = ""
    listened_s: float = 0.0


@dataclass(frozen=True)
class Picture:
    """The first image of a camera. thumbnail: grey means of 16 x 16 blocks, row by row, 0 to 255; none where unread."""

    camera: str
    width: int
    height: int
    encoding: str
    n_bytes: int
    thumbnail: tuple[float, ...] = ()


@dataclass(frozen=True)
class NodeParameters:
    """A node that answered (with its namespace) and those of its parameters that were asked for."""

    node: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeStatus:
    """What a node last said of itself on /diagnostics, `age_s` before the end. level: diagnostic_msgs' 0 to 3."""

    name: str
    level: int
    message: str = ""
    hardware_id: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    age_s: float = 0.0


@dataclass(frozen=True)
class GraphFacts:
    """The graph as one listener saw it.

    focal_px: camera -> k[0] of its CameraInfo. clock_rate: seconds of /clock a second; 1 where there is no /clock.
    """

    streams: tuple[Stream, ...] = ()
    command: Stream = field(default_factory=lambda: Stream("target_pose"))
    pictures: tuple[Picture, ...] = ()
    focal_px: Mapping[str, float] = field(default_factory=dict)
    joint_names: tuple[str, ...] = ()
    nodes: tuple[NodeParameters, ...] = ()
    statuses: tuple[NodeStatus, ...] = ()
    urdf: str = ""
    has_clock: bool = False
    clock_rate: float = 1.0
    versions: Mapping[str, str] = field(default_factory=dict)

    def stream(self, name: str) -> Stream:
        """The stream of this name; one that carried nothing where it was not listened to."""
        return next((s for s in self.streams if s.name == name), Stream(name))

    def parameters_of(self, node: str) -> Mapping[str, Any] | None:
        """The parameters of the node with this base name; None where it did not answer."""
        return next((n.parameters for n in self.nodes if n.node.rpartition("/")[2] == node), None)


@dataclass(frozen=True)
class MachineFacts:
    """The computer that the doctor runs on. None, or an empty text, is what this machine does not tell."""

    free_bytes: int
    write_bytes_s: float | None
    cpus: int
    load_1min: float
    governors: tuple[str, ...] = ()
    rmem_max_bytes: int | None = None
    shm_free_bytes: int | None = None
    profile: str = ""
    profile_segment_bytes: int | None = None
    clock_synchronised: bool | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """All that is judged. graph is None where there is no ROS to ask."""

    graph: GraphFacts | None
    machine: MachineFacts
