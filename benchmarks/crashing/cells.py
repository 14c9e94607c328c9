"""The matrix as data: phases, nodes, faults, and which outcome is right for each cell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from o2o_robot.errors import ConfigError

ASKED_FOR = {
    "camera_node": {},
    "reward_node": {"reward": "keys"},
    "reset_node": {"reset": "path"},
    "console_node": {"console": True, "console-port": 0},
}
"""Node -> the options by which a graph has it; the others are in every graph of theirs."""

PHASES = {
    "collect": ("twin_node", "arm_node", "recorder_node", "teleop_node", *ASKED_FOR),
    "evaluate": ("twin_node", "arm_node", "recorder_node", "policy_node", *ASKED_FOR),
    "warmup": ("twin_node", "arm_node", "recorder_node", "policy_node", "learner_node", *ASKED_FOR),
    "online": ("twin_node", "arm_node", "recorder_node", "policy_node", "learner_node", *ASKED_FOR),
}
STORY_OF = {"collect": "collect", "evaluate": "evaluate", "warmup": "finetune", "online": "finetune"}
FAULTS = {
    "kill": "SIGKILL",
    "freeze": "SIGSTOP for 3 s, then SIGCONT",
    "term": "SIGTERM",
    "raise": "an exception in a callback",
    "memory": "no memory from here on: RLIMIT_AS, then allocations until MemoryError, never given back",
    "disk": "no space from here on: RLIMIT_FSIZE 0, every write to a file fails",
}
FREEZE_S = 3.0
NODES = tuple(dict.fromkeys(node for nodes in PHASES.values() for node in nodes))

MOVES_THE_ARM = ("twin_node", "arm_node", "policy_node", "teleop_node", "camera_node")
"""Without one of these no command comes to be, or none arrives: the arm must be held, whatever else happens."""

WRITES = ("recorder_node", "policy_node", "teleop_node", "learner_node")
"""These write while they work, and see a full disk at once; the others write one summary when they end."""


@dataclass(frozen=True)
class Cell:
    """One fault in one node in one phase. lockstep: physics waits for each command, else it runs in real time."""

    phase: str
    node: str
    fault: str
    lockstep: bool = False

    def __post_init__(self) -> None:
        if self.lockstep and self.node == "camera_node":
            raise ConfigError("camera_node has no lockstep: a camera waits for nobody; try it in real time")
        for what, value, allowed in (
            ("phase", self.phase, PHASES),
            ("node", self.node, NODES),
            ("fault", self.fault, FAULTS),
        ):
            if value not in allowed:
                raise ConfigError(f"no {what} '{value}' (there are {', '.join(allowed)})")

    def __str__(self) -> str:
        return f"{self.phase}/{self.node}/{self.fault}" + ("/lockstep" if self.lockstep else "")

    @property
    def kills(self) -> bool:
        """Whether the process should be dead afterwards: the others outlive the fault."""
        return self.fault in ("kill", "term", "raise", "memory") or (self.fault == "disk" and self.node in WRITES)


@dataclass(frozen=True)
class Right:
    """What is right for a cell.

    ends: the graph stops in order and says which node it was; else it goes on, and whole episodes follow.
    holds: the arm is held within two command periods of the fault. latches: it goes on only once a person has reset
    the guard (the trial calls arm_node/reset): an arm whose state was lost for longer than a second.
    """

    ends: bool
    holds: bool
    latches: bool = False


def right(cell: Cell, *, restarts: bool) -> Right:
    """What is right for a cell. restarts: whether the graph is configured to start that node again when it dies.

    A graph that ends because a node died that no command passes through is brought to rest by its supervisor, in order:
    that takes longer than a watchdog, and nothing is wrong with the motion meanwhile.
    """
    ends = cell.kills and not restarts
    stalls = cell.kills or cell.fault == "freeze"
    latches = cell.node == "twin_node" and cell.fault == "freeze" and not cell.lockstep
    return Right(ends=ends, holds=stalls and cell.node in MOVES_THE_ARM, latches=latches)


def matrix(
    phases: Iterable[str] = (), nodes: Iterable[str] = (), faults: Iterable[str] = (), *, lockstep: bool = False
) -> list[Cell]:
    """Every cell of the phases, nodes and faults named; all of a kind where none is.

    A node that a phase has not, or that has no lockstep, is left out. Raises ConfigError at a wrong name.
    """
    chosen_nodes, chosen_faults = tuple(nodes) or NODES, tuple(faults) or tuple(FAULTS)
    for node in chosen_nodes:
        Cell("collect", node, "kill")  # raises at a node that there is nowhere
    return [
        Cell(phase, node, fault, lockstep)
        for phase in (tuple(phases) or tuple(PHASES))
        for node in chosen_nodes
        for fault in chosen_faults
        if (phase not in PHASES or node in PHASES[phase]) and not (lockstep and node == "camera_node")
    ]
