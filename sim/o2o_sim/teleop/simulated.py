"""A person at the twin, played: sees what the simulator knows, takes over where the policy goes wrong, and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.teleop.axes import IDENTITY, AxisRules
from o2o_robot.teleop.device import N_AXES, Clock, Moment, Reading
from o2o_robot.teleop.hand import Buttons
from o2o_robot.teleop.settings import described
from o2o_robot.teleop.simulated_operator import Does, Manner, SimulatedOperator, word_on
from o2o_robot.types import Array, Source
from o2o_sim.tasks.expert import ExpertConfig, make_expert
from o2o_sim.tasks.remaining import remaining_m

# one stream of chance for each thing that is drawn of an episode: none moves another
_AIM, _HAND, _HEAD, _WORD = 11, 12, 13, 14


@dataclass(frozen=True)
class SimulatedConfig:
    """Settings of the played person; those of Manner say more."""

    task: str = described("peg", "task of the twin")
    leads: bool = described(False, "drive from the first step to the last: demonstrations")
    noise: float = described(0.15, "standard deviation of the hand's noise, of full scale")
    bias_m: float = described(0.004, "standard deviation of an episode's wrong aim, metres")
    distracted: float = described(0.0, "share of episodes aimed at the distractor")
    speed: float = described(0.6, "largest action value it aims for")
    patience_steps: int = described(6, "looks without progress before it takes over")
    progress_m: float = described(0.006, "what counts as progress, metres nearer than ever")
    off_course_m: float = described(0.04, "metres farther than it was, before it takes over")
    delay_steps: float = described(2.0, "mean looks that it is late by")
    hand_back: float = described(0.4, "share of the way that is left when it hands back")
    max_steps: int = described(15, "looks after which it hands back anyway")
    wrong_way: float = described(0.1, "share of takeovers that begin in the wrong direction")
    wrong_steps: int = described(3, "looks for which they do")
    wrong_labels: float = described(0.0, "share of the episodes that it labels wrong")

    def __post_init__(self) -> None:
        if not 0 <= self.wrong_labels <= 1:
            raise ConfigError(f"wrong_labels must be in [0, 1], got {self.wrong_labels}; 0.05 is a tired person")
        self.manner()  # these two refuse what is out of their range
        self.expert()

    def manner(self) -> Manner:
        return Manner(
            self.patience_steps,
            self.progress_m,
            self.off_course_m,
            self.delay_steps,
            self.hand_back,
            self.max_steps,
            self.wrong_way,
            self.wrong_steps,
        )

    def expert(self) -> ExpertConfig:
        return ExpertConfig(self.noise, self.bias_m, self.distracted, self.speed)


class Simulated:
    """A Device. Its motion is the task's scripted expert's, noisy and sometimes the wrong way round.

    It needs the twin's own judgement in `Moment.task`. An observation that it has seen already it answers as before.
    """

    Config = SimulatedConfig
    rules: ClassVar[AxisRules] = IDENTITY
    buttons: ClassVar[Buttons] = Buttons()
    source: ClassVar[Source] = Source.TELEOP

    def __init__(self, config: SimulatedConfig, clock: Clock) -> None:
        self._config = config
        self._expert = make_expert(config.task, config.expert())
        self._operator = SimulatedOperator(config.manner())
        self.attends = True  # whether it looks at this episode at all
        self.trouble = ""
        self.begin(0)

    def __enter__(self) -> Simulated:
        return self

    def __exit__(self, *_problem: Any) -> None: ...

    @property
    def takeovers(self) -> int:
        """Of this episode."""
        return self._operator.takeovers

    def begin(self, seed: int) -> None:
        """A new episode: aim, hand and head draw from its seed."""
        self._hand = np.random.default_rng([seed, _HAND])
        self._expert.reset(np.random.default_rng([seed, _AIM]))
        self._operator.begin(np.random.default_rng([seed, _HEAD]))
        self._answered: tuple[int, Array | None] | None = None

    def read(self, moment: Moment) -> Reading | None:
        """What the hand does at this observation; None while nothing is known of it."""
        if moment.arm is None or moment.task is None:
            return None
        if not self.attends:
            return Reading(moment.now_s, is_held=False)
        if self._answered is None or self._answered[0] != moment.stamp_ns:
            self._answered = (moment.stamp_ns, self._values(moment))
        values = self._answered[1]
        if values is None:
            return Reading(moment.now_s, is_held=False)
        axes = np.append(values[:3], np.zeros(N_AXES - 3))
        return Reading(moment.now_s, axes, gripper=float(values[3]) if len(values) > 3 else 0.0, is_held=True)

    def word(self, is_success: bool, seed: int) -> str:
        """What it says of the episode of that seed, when it is over: see `word_on`."""
        return word_on(is_success, wrong=self._config.wrong_labels, rng=np.random.default_rng([seed, _WORD]))

    def _values(self, moment: Moment) -> Array | None:
        assert moment.arm is not None
        assert moment.task is not None
        does = Does.STEER
        if not self._config.leads and moment.task.success:
            self._operator.let_go()  # it is in: there is nothing to mend, whatever the judge is waiting for
            return None
        if not self._config.leads:
            does = self._operator.see(remaining_m(self._config.task, moment.task.privileged))
        if does is Does.WATCH:
            return None
        values = self._expert.act(moment.task, moment.arm, self._hand)
        return -values if does is Does.ERR else values
