"""The scripted expert as a device: the very numbers of the expert, through whatever makes an action of a device."""

import numpy as np
import pytest

from o2o_robot.teleop.device import Moment
from o2o_robot.teleop.hand import HandRules, Operator
from o2o_robot.types import ArmState, Pose, Source, TaskState
from o2o_sim.tasks.expert import ExpertConfig, make_expert
from o2o_sim.teleop.scripted import Scripted, ScriptedConfig

N_ACTION = {"peg": 3, "reach": 3, "lift": 4}


@pytest.mark.parametrize("task", N_ACTION)
def test_it_asks_for_what_the_expert_asks_for_bit_for_bit(task):
    device = Scripted(ScriptedConfig(task, noise=0.3, bias_m=0.008, distracted=0.5), lambda: 0.0)
    who = Operator(device.rules, device.buttons, HandRules(), n_action=N_ACTION[task])
    expert, states = make_expert(task, ExpertConfig(0.3, 0.008, 0.5)), np.random.default_rng(7)
    for seed in range(5):
        device.begin(seed)
        expert.reset(rng := np.random.default_rng([seed, 1]))
        for step in range(20):
            pose = Pose(states.normal(size=3), np.array([1.0, 0.0, 0.0, 0.0]))
            arm = ArmState(step, np.zeros(7), np.zeros(7), pose, 0.05)
            judged = TaskState(step, 0.0, False, privileged=states.normal(0.0, 0.05, 9))
            now = Moment(0.0, step, arm, judged)
            assert np.array_equal(who.see(device.read(now), now).values, expert.act(judged, arm, rng))
    assert device.source is Source.SCRIPTED
