"""A reset is a success only where everything was verified; what it tries is bounded, and in the order told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from point_arm import SCALE_M, PointArm

from o2o_robot.errors import ConfigError
from o2o_robot.reset.ask import AskPerson
from o2o_robot.reset.chain import DRAWN, Chain, Outcome
from o2o_robot.reset.follow import Motion
from o2o_robot.reset.orders import Ask, Look, Move, Place, Rest
from o2o_robot.reset.path import Path
from o2o_robot.reset.start import Start
from o2o_robot.reset.strategy import words_of
from o2o_robot.reset.unstick import Unstick
from o2o_robot.reset.views import Views
from o2o_robot.safety.reason import Reason

HOME_M = (0.5, 0.0, 0.25)
MOTION = Motion(scale_m=SCALE_M)
PICTURE = np.random.default_rng(1).integers(0, 255, (16, 16, 3), np.uint8)
OTHER = np.random.default_rng(2).integers(0, 255, (16, 16, 3), np.uint8)


def chain(words: str = "path,unstick,ask", views: Views | None = None, **settings: object) -> Chain:
    path = Path(np.array(HOME_M), MOTION)
    made = {"path": path, "unstick": Unstick(path, MOTION), "ask": AskPerson()}
    start = settings.pop("start", Start(HOME_M))
    strategies = [made[word] for word in words_of(words)]
    return Chain(strategies, start, views or Views(0), motion=MOTION, **settings)


def reset(arm: PointArm, told: Chain, seed: int = 0) -> Outcome:
    return arm.carried_out(told.reset(seed, arm.felt))


def test_the_first_strategy_that_is_verified_ends_it():
    arm = PointArm()
    outcome = reset(arm, chain())
    assert (outcome.is_verified, arm.stages) == (True, ["path"])
    assert arm.n(Ask) == 0


def test_the_scene_is_placed_once_at_home_before_it_is_looked_at():
    arm = PointArm()
    reset(arm, chain(), seed=7)
    kinds = [type(order) for order in arm.orders if isinstance(order, Place | Look | Rest)]
    assert kinds == [Rest, Place, Look]
    assert next(order.seed for order in arm.orders if isinstance(order, Place)) == 7


def test_strategies_come_in_their_order_each_as_often_as_told_and_then_it_is_over():
    arm = PointArm(holds=lambda at, to: at)
    outcome = reset(arm, chain(tries=2, asks=3))
    assert arm.stages == ["path", "path", "unstick", "unstick", *["ask", "path"] * 3]
    assert not outcome.is_verified
    assert len(outcome.tried) == 10
    assert arm.n(Look) == arm.n(Place) == 0
    assert "path: stuck" in outcome.message


WRONG = {
    "position": ({"holds": lambda at, to: np.minimum(to, [9.0, 9.0, 0.22])}, {}, "stuck|mm from its start"),
    "gripper": ({"gripper_m": 0.03}, {"gripper_m": 0.08}, "gripper is 30 mm open"),
    "joint": ({"q_rad": np.array([0, 0, 0.4, 0, 0, 0, 0])}, {"joints_rad": (0.0,) * 7}, "elbow is 0.40 rad"),
    "camera": ({"trouble": "camera wrist has shown nothing"}, {}, "camera wrist has shown nothing"),
    "scene": ({"trouble": "the scene was not placed", "fails": Place}, {}, "the scene was not placed"),
    "view": ({"images": {"front": OTHER}}, {}, "camera front sees another scene"),
    "not a number": ({"q_rad": np.array([np.nan] * 7)}, {"joints_rad": (0.0,) * 7}, "rad from its start"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_not_as_at_a_start_is_refused_by_name(wrong):
    arm, start, words = WRONG[wrong]
    told = chain("path", Views(2, {"front": [PICTURE] * 2}), start=Start(HOME_M, **start), joints=["a", "b", "elbow"])
    outcome = reset(PointArm(**arm), told)
    assert not outcome.is_verified
    assert all(np.any([part in tried.why for part in words.split("|")]) for tried in outcome.tried), outcome.tried


@pytest.mark.parametrize("right", [{}, {"images": {"front": PICTURE}}])
def test_the_same_is_accepted_where_it_is_right(right):
    told = chain("path", Views(2, {"front": [PICTURE] * 2}), start=Start(HOME_M, (0.0,) * 7, 0.0))
    assert reset(PointArm(**right), told).is_verified


def test_a_person_is_told_why_and_their_word_alone_is_not_enough():
    words: list[str] = []
    arm = PointArm(person=words.append, images={"front": OTHER})
    outcome = reset(arm, chain("ask", Views(2, {"front": [PICTURE] * 2}), start=Start(), asks=2))
    assert not outcome.is_verified
    assert len(words) == 2
    assert all("reset_node/reset_done" in told for told in words)
    assert "camera front" in words[1]


def test_a_person_who_puts_it_right_ends_it():
    arm = PointArm(images={"front": OTHER})
    arm.person = lambda _: arm.images.update(front=PICTURE)
    outcome = reset(arm, chain("path,ask", Views(2, {"front": [PICTURE] * 2}), tries=1))
    assert outcome.is_verified
    assert [tried.strategy for tried in outcome.tried] == ["path", "ask"]
    assert (arm.n(Place), arm.n(Look)) == (1, 2)  # looked at again, but the scene is not drawn a second time


def test_what_held_the_arm_is_put_right_by_a_person_and_the_arm_goes_home_by_itself():
    arm = PointArm(holds=lambda at, to: at)
    arm.person = lambda _: setattr(arm, "holds", lambda at, to: to)
    outcome = reset(arm, chain("path,unstick,ask", tries=1))
    assert outcome.is_verified
    assert [tried.strategy for tried in outcome.tried] == ["path", "unstick", "ask", "path"]


def test_a_guard_that_has_stopped_is_left_to_a_person():
    arm = PointArm(reasons=lambda n: Reason.LATCHED | Reason.HOLD)
    arm.person = lambda _: setattr(arm, "reasons", lambda n: Reason(0))
    outcome = reset(arm, chain("path,unstick,ask"))
    assert arm.stages == ["path", "ask", "path"]
    assert outcome.is_verified


def test_without_a_person_a_guard_that_has_stopped_ends_it():
    arm = PointArm(reasons=lambda n: Reason.LATCHED | Reason.HOLD)
    outcome = reset(arm, chain("path,unstick"))
    assert (outcome.is_verified, arm.stages, arm.n(Move)) == (False, ["path"], 1)


def test_every_motion_is_ended_even_where_the_guard_stops_it():
    arm = PointArm(reasons=lambda n: Reason.LATCHED | Reason.HOLD)
    reset(arm, chain("path,unstick,ask"))
    assert arm.n(Rest) == len(arm.stages)


def test_starts_are_drawn_by_seed_and_gone_to_after_the_views_were_compared_at_home():
    start = Start(HOME_M, spread_m=(0.05, 0.08, 0.03))
    ends = []
    for seed in (3, 3, 4):
        arm = PointArm()
        assert reset(arm, chain(start=start), seed).is_verified
        assert arm.stages == ["path", DRAWN]
        looked = next(i for i, order in enumerate(arm.orders) if isinstance(order, Look))
        moves_before = sum(isinstance(order, Move) for order in arm.orders[:looked])
        np.testing.assert_allclose(arm.path_m[moves_before - 1], HOME_M, atol=MOTION.near_m)
        ends.append(arm.at_m)
        assert (np.abs(arm.at_m - HOME_M) <= np.array(start.spread_m) + MOTION.near_m).all()
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.linalg.norm(ends[0] - ends[2]) > 0.01


def test_an_arm_that_does_not_reach_its_drawn_start_is_refused():
    start = Start(HOME_M, spread_m=(0.0, 0.08, 0.0))
    seed = next(seed for seed in range(20) if start.drawn_m(seed)[1] > 0.05)
    arm = PointArm(at_m=np.array([0.5, -0.1, 0.25]), holds=lambda at, to: np.minimum(to, [9.0, 0.02, 9.0]))
    assert not reset(arm, chain("path", start=start), seed).is_verified


def test_views_are_learned_from_whole_successes_alone():
    views = Views(3)
    told = chain("path", views, start=Start(HOME_M, gripper_m=0.08), tries=1)
    arm = PointArm(images={"front": PICTURE}, gripper_m=0.0)
    assert not reset(arm, told).is_verified
    assert views.n_good == 0
    arm.gripper_m = 0.08
    for n in range(1, 6):
        assert reset(arm, told).is_verified
        assert views.n_good == min(n, 3)


@pytest.mark.parametrize("words", ["", "pth", "path,,aks"])
def test_a_chain_of_unknown_words_is_refused(words):
    with pytest.raises(ConfigError, match="path"):
        words_of(words)


def test_what_moves_needs_a_home_and_a_drawn_start_something_that_moves():
    with pytest.raises(ConfigError, match="nowhere to go"):
        chain("path", start=Start())
    with pytest.raises(ConfigError, match="add path"):
        chain("ask", start=Start(HOME_M, spread_m=(0.1, 0.0, 0.0)))
    with pytest.raises(ConfigError, match="tries"):
        replace(chain(), tries=0)
