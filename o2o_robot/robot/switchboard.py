"""Which of an arm's controllers are loaded, configured and active, as ros2_control's controller_manager keeps them.

What may be switched to what, and what is said where it may not, follows switch_controller of ros2_control 6
(controller_manager.cpp, read at 53b9999): strict refuses everything for one fault, best effort leaves the faulty out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from o2o_robot.errors import ArmError

STRICT = 2  # of SwitchController's strictness; the others are best effort, as ros2_control takes AUTO and FORCE_AUTO


class Stage(Enum):
    """A controller's stage of life, by ros2_control's word for it."""

    UNCONFIGURED = "unconfigured"
    INACTIVE = "inactive"
    ACTIVE = "active"


class ControllerKind(NamedTuple):
    """A controller that can be loaded: its type, and the command interfaces that it claims, such as "joint1/effort"."""

    type: str
    claims: tuple[str, ...] = ()


class Switched(NamedTuple):
    """The controllers after a switch, those that it stopped or started, and what best effort left out."""

    board: Switchboard
    stopped: tuple[str, ...]
    started: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class Switchboard:
    """The controllers of one arm. Every change gives a new board, or raises ArmError and changes nothing.

    kinds: all that can be loaded. stages: those that are loaded. A joint obeys one active controller at most, whatever
    interface it claims: an arm is in one command mode at a time.
    """

    kinds: Mapping[str, ControllerKind]
    stages: Mapping[str, Stage] = field(default_factory=dict)

    @property
    def active(self) -> tuple[str, ...]:
        return tuple(name for name, stage in self.stages.items() if stage is Stage.ACTIVE)

    def loaded(self, name: str) -> Switchboard:
        if name not in self.kinds:
            raise ArmError(f"no controller '{name}' can be loaded; there are {', '.join(self.kinds)}")
        if name in self.stages:
            raise ArmError(f"controller '{name}' is loaded already; switch to it, or unload it first")
        return self._with(name, Stage.UNCONFIGURED)

    def configured(self, name: str) -> Switchboard:
        self._require(name, "configure", Stage.UNCONFIGURED, Stage.INACTIVE)
        return self._with(name, Stage.INACTIVE)

    def cleaned_up(self, name: str) -> Switchboard:
        self._require(name, "clean up", Stage.INACTIVE, Stage.UNCONFIGURED)
        return self._with(name, Stage.UNCONFIGURED)

    def unloaded(self, name: str) -> Switchboard:
        self._require(name, "unload", Stage.INACTIVE, Stage.UNCONFIGURED)
        return replace(self, stages={other: stage for other, stage in self.stages.items() if other != name})

    def switched(self, activate: Collection[str], deactivate: Collection[str], *, strict: bool) -> Switched:
        """Stop some and start others at once; a name in both is restarted."""
        faults: list[str] = []
        stop = self._existing(deactivate, "deactivate", faults, strict=strict)
        start = self._existing(activate, "activate", faults, strict=strict)
        stop = [name for name in stop if self._may(self._stop_fault(name), faults, strict=strict)]
        start = [name for name in start if self._may(self._start_fault(name, stop), faults, strict=strict)]
        stages = {**self.stages, **dict.fromkeys(stop, Stage.INACTIVE)}
        for name in start:
            self._refuse_conflict(name, [other for other, stage in stages.items() if stage is Stage.ACTIVE])
            stages[name] = Stage.ACTIVE
        return Switched(replace(self, stages=stages), tuple(stop), tuple(start), "; ".join(faults))

    def _existing(self, names: Collection[str], act: str, faults: list[str], *, strict: bool) -> list[str]:
        """Those that are loaded, once each. Raises where strict misses one, or where there is none of several."""
        found = [name for name in dict.fromkeys(names) if name in self.stages]
        missing = [f"'{name}'" for name in names if name not in self.stages]
        if missing:
            fault = f"cannot {act} {', '.join(missing)}: not loaded (loaded are {', '.join(self.stages) or 'none'})"
            if strict or not found:
                raise ArmError(f"{fault}; load it first")
            faults.append(fault)
        return found

    def _may(self, fault: str, faults: list[str], *, strict: bool) -> bool:
        if fault and strict:
            raise ArmError(f"{fault}; nothing was switched")
        faults.extend([fault] if fault else [])
        return not fault

    def _stop_fault(self, name: str) -> str:
        stage = self.stages[name]
        return "" if stage is Stage.ACTIVE else f"cannot deactivate '{name}': it is {stage.value}, not active"

    def _start_fault(self, name: str, stop: Collection[str]) -> str:
        stage = self.stages[name]
        if stage is Stage.UNCONFIGURED:
            return f"cannot activate '{name}': it is unconfigured; configure it first"
        return f"cannot activate '{name}': it is already active" if stage is Stage.ACTIVE and name not in stop else ""

    def _refuse_conflict(self, name: str, active: Collection[str]) -> None:
        wanted = _joints(self.kinds[name])
        for other in active:
            if shared := wanted & _joints(self.kinds[other]):
                raise ArmError(
                    f"cannot activate '{name}': '{other}' has {min(shared)}; deactivate that in the same switch"
                )

    def _require(self, name: str, act: str, *allowed: Stage) -> None:
        if name not in self.stages:
            raise ArmError(f"cannot {act} '{name}': not loaded (loaded are {', '.join(self.stages) or 'none'})")
        if self.stages[name] not in allowed:
            raise ArmError(f"cannot {act} '{name}': it is {self.stages[name].value}; deactivate it first")

    def _with(self, name: str, stage: Stage) -> Switchboard:
        return replace(self, stages={**self.stages, name: stage})


def _joints(kind: ControllerKind) -> set[str]:
    return {claim.split("/")[0] for claim in kind.claims}
