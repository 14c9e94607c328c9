"""The whole preflight: every check over the facts, in the order a person would look."""

from __future__ import annotations

from collections.abc import Iterator

from o2o_robot.preflight import cameras, clocks, commands, limits, machine, nodes, streams
from o2o_robot.preflight.facts import Facts, GraphFacts, MachineFacts, Stream
from o2o_robot.preflight.finding import Finding, Level
from o2o_robot.preflight.wanted import COMMAND_OWNER, Wanted, WantedStream, image_topic

Section = tuple[str, tuple[Finding, ...]]


def examine(facts: Facts, wanted: Wanted) -> tuple[Section, ...]:
    """(heading, findings) by section. Without a graph, what the machine and the settings tell remains."""
    graph = facts.graph or GraphFacts()
    asked: tuple[Section, ...] = (("graph", (_no_graph(),)),)
    if facts.graph is not None:
        asked = (
            ("arm", tuple(_arm(graph, wanted))),
            ("commands", tuple(_commands(graph, wanted))),
            ("nodes", tuple(nodes.told(graph))),
            ("cameras", tuple(_cameras(graph, wanted))),
            ("clocks", (clocks.clock_of_the_robot(graph, wanted.robot), clocks.same_clock(graph))),
        )
    return (
        *asked,
        ("limits", tuple(_limits(graph, wanted))),
        ("machine", tuple(_machine(facts.machine, graph, wanted))),
    )


def _arm(graph: GraphFacts, wanted: Wanted) -> Iterator[Finding]:
    for one in wanted.streams:
        if "/" in one.name:
            continue
        stream = graph.stream(one.name)
        yield streams.offered(stream, one)
        if stream.publishers and one.hz:
            yield from _state(stream, one, graph, wanted)
    yield limits.joint_names(graph.joint_names, wanted.joints)
    yield limits.repeated_names(graph.joint_names)


def _state(stream: Stream, one: WantedStream, graph: GraphFacts, wanted: Wanted) -> Iterator[Finding]:
    guard = wanted.guard
    if not _is_lockstep(graph):
        yield streams.rate(stream, one, clock_rate=graph.clock_rate)
        yield streams.silence(stream, stop_s=guard.state_stop_s)
    yield streams.age(stream, limit_s=guard.state_latch_s)
    yield streams.future(stream, limit_s=guard.max_future_s)
    yield streams.order(stream)


def _commands(graph: GraphFacts, wanted: Wanted) -> Iterator[Finding]:
    yield commands.one_commander(graph.command)
    yield commands.command_is_heard(graph.command)
    yield commands.same_names(graph, wanted.arm)
    yield commands.arms_itself(graph, wanted.robot)
    yield from commands.commands_expire(graph)
    yield from commands.limits_are_enforced(graph)


def _cameras(graph: GraphFacts, wanted: Wanted) -> Iterator[Finding]:
    for camera in wanted.cameras:
        one = wanted.stream(image_topic(camera))
        stream = graph.stream(one.name)
        yield streams.offered(stream, one)
        if not stream.publishers:
            continue
        if not _is_lockstep(graph):
            yield streams.rate(stream, one, clock_rate=graph.clock_rate)
            yield streams.delivery(stream, one)
            yield streams.gaps(stream, one)
        yield streams.age(stream, limit_s=wanted.guard.max_observation_age_s)
        yield streams.future(stream, limit_s=wanted.guard.max_future_s)
        yield streams.order(stream)
        yield from _one_camera(graph, wanted, camera, stream)


def _one_camera(graph: GraphFacts, wanted: Wanted, camera: str, stream: Stream) -> Iterator[Finding]:
    found = next((p for p in graph.pictures if p.camera == camera), None)
    yield cameras.picture(found, camera)
    yield cameras.frame(stream, camera)
    yield cameras.intrinsics(graph, camera)
    yield cameras.resemblance(found, wanted.references, camera)


def _limits(graph: GraphFacts, wanted: Wanted) -> Iterator[Finding]:
    yield limits.inside_datasheet(wanted.guard)
    yield limits.inside_urdf(wanted.guard, wanted.urdf or graph.urdf, wanted.joints)
    yield limits.workspace(wanted.guard)


def _machine(found: MachineFacts, graph: GraphFacts, wanted: Wanted) -> Iterator[Finding]:
    needed, largest = machine.needed_bytes_s(graph, wanted), machine.largest_image(graph)
    yield machine.disk(found, needed)
    yield machine.write_speed(found, needed)
    yield machine.load(found)
    yield machine.governor(found)
    yield machine.shared_memory(found, largest)
    yield machine.room_in_shm(found)
    yield machine.socket_buffer(found, largest)
    yield machine.time_sync(found)
    yield from machine.versions(found, graph)


def _is_lockstep(graph: GraphFacts) -> bool:
    """In lockstep time passes when the graph is ready: rates and silences say nothing."""
    return bool((graph.parameters_of(COMMAND_OWNER) or {}).get("lockstep"))


def _no_graph() -> Finding:
    told = "no ROS 2 here"
    return Finding(Level.RED, "ROS graph", told, "a running graph", "Run make setup, then . scripts/env.sh.")
