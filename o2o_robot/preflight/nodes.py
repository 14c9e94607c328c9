"""What the nodes say of themselves on /diagnostics, and which of them say nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from o2o_robot.preflight.facts import GraphFacts, NodeStatus
from o2o_robot.preflight.finding import Finding, Level, unknown
from o2o_robot.vitals import Level as Told

SILENT_S = 3.0  # each node tells once a second
_LEVELS = {Told.OK: Level.GREEN, Told.WARN: Level.YELLOW, Told.ERROR: Level.RED}
_OURS = "lockstep"  # a parameter that every node of the house has


def told(graph: GraphFacts) -> Iterator[Finding]:
    """A line a node (and one for each part of it that has its own): its level and message, and its worst figures."""
    if not graph.statuses:
        yield unknown("/diagnostics", "nobody tells anything", "Start the graph (ros2 launch, or o2o up).")
    for status in sorted(graph.statuses, key=lambda status: status.name):
        yield _judged(status)
    yield from _silent(graph)


def _judged(status: NodeStatus) -> Finding:
    if status.age_s > SILENT_S:
        remedy = f"Look whether {status.name} hangs or has died: its log is in the run's folder."
        return Finding(Level.RED, status.name, f"silent for {status.age_s:.1f} s", f"< {SILENT_S:g} s", remedy)
    if status.level == Told.STALE:
        remedy = f"Activate it (ros2 lifecycle set /{status.name} activate), or stop it."
        return Finding(Level.YELLOW, status.name, status.message or "not active", "active", remedy)
    level = _LEVELS.get(Told(status.level), Level.RED)
    shown = "; ".join(part for part in (status.message, worst(status.values)) if part)
    return Finding(level, status.name, shown, "", "" if level is Level.GREEN else _sentence(status.message))


def worst(values: Mapping[str, str]) -> str:
    """The figures that tell most of a node's health, of those that it gives."""
    told = [
        f"{name.removesuffix(' p99_ms')} p99 {value} ms"
        for name, value in values.items()
        if name.endswith(" jitter p99_ms")
    ]
    wanted = {"callback max_ms": "longest callback {} ms", "memory_mb": "{} MB", "disk_free_mb": "{} MB of disk free"}
    told += [words.format(values[name]) for name, words in wanted.items() if name in values]
    return ", ".join(told)


def _silent(graph: GraphFacts) -> Iterator[Finding]:
    """Nodes of the house that answered for their parameters and were not heard."""
    heard = {status.name.partition(":")[0] for status in graph.statuses}
    for node in graph.nodes:
        if _OURS in node.parameters and node.node.lstrip("/") not in heard:
            remedy = f"Look into the log of {node.node}: its executor may be busy, or it is of an older version."
            yield Finding(Level.YELLOW, node.node, "nothing on /diagnostics", "a status a second", remedy)


def _sentence(message: str) -> str:
    text = message.strip()
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")
