"""Another arm, a gripper, drawn scenes and late sensors through the nodes, from demonstrations to an evaluation."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graphs import IMAGE_SIZE, arrays_of, episodes_in, facts_of, graph, run_to_end, transitions_digest

from o2o_robot.apps import ingest
from o2o_robot.graph import Process
from o2o_robot.jsonfile import read_lines
from o2o_robot.supervise import Supervisor
from o2o_robot.types import Episode

pytestmark = pytest.mark.ros
PERFECT = {"noise": 0.0, "bias_m": 0.0}
OPEN_M, CUBE_M = 0.08, 0.04


def collect(run_dir: Path, **settings: object) -> Path:
    """One run that records both ways."""
    recorder = {"store": str(run_dir / "episodes.zarr"), "bags": str(run_dir / "bags")}
    settings = {"episodes": 2, "first_seed": 5, "max_steps": 60, **settings}
    return run_to_end(graph("collect", run_dir, {"recorder_node": recorder}, **settings))


def by_id(store: Path) -> dict[str, Episode]:
    return {episode.meta["id"]: episode for episode in episodes_in(store)}


@pytest.fixture(scope="module")
def lift(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collect(tmp_path_factory.mktemp("lift"), task="lift", **PERFECT)


@pytest.fixture(scope="module")
def ur5e(module_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The peg task, its scenes drawn."""
    return collect(tmp_path_factory.mktemp("ur5e"), arm="ur5e", clearance_m=0.01, randomization="mild", **PERFECT)


def untrained(folder: Path, *, n_action: int, proprio: tuple[tuple[str, int], ...]) -> Path:
    pytest.importorskip("torch")
    from o2o_robot.algorithms import checkpoint
    from o2o_robot.algorithms.actor_critic import ActorCritic
    from o2o_robot.algorithms.phases import Phase
    from o2o_robot.data.returns import RewardTransform
    from o2o_robot.presets import calql
    from o2o_robot.types import ObservationSpec

    small = {"critic_widths": (32, 32), "actor_widths": (32, 32), "convs": ((8, 4, 4),), "batch_size": 16}
    config = replace(calql(), **small, precision="f32", image_latent=8, state_latent=8)
    spec = ObservationSpec(("wrist", "front"), IMAGE_SIZE, proprio)
    learner = ActorCritic(config, spec, n_action, RewardTransform(1.0, -1.0, 0.97), seed=0)
    return checkpoint.save(folder / "checkpoint", learner, phase=Phase.PRETRAIN, provenance={})


def test_the_perfect_expert_lifts_the_cube_through_the_nodes(lift):
    assert [line["outcome"] for line in read_lines(lift / "episodes.jsonl")] == ["success", "success"]
    published = facts_of(lift, "teleop_node")["steps_published"]
    assert facts_of(lift, "recorder_node")["steps_stored"] == facts_of(lift, "twin_node")["control_steps"] == published


def test_the_stored_gripper_value_is_what_the_fingers_then_did(lift):
    for episode in episodes_in(lift / "episodes.zarr"):
        opening_m, asked = episode.state["gripper_m"][:, 0], episode.action[:, 3]
        assert set(asked.tolist()) == {-1.0, 1.0}
        closing = np.flatnonzero(asked < 0)
        assert (opening_m[: closing[0] + 1] > OPEN_M - 0.001).all()  # open until it is told to close
        assert (np.diff(opening_m)[closing[:3]] < -0.005).all()  # and from that very step on it closes
        assert abs(opening_m[-1] - CUBE_M) < 0.003


def test_demonstrations_with_a_gripper_can_be_repeated_step_for_step(lift, domain, tmp_path):
    again = collect(tmp_path / "again", task="lift", **PERFECT)
    assert transitions_digest(again / "episodes.zarr") == transitions_digest(lift / "episodes.zarr")


@pytest.mark.parametrize("run", ["lift", "ur5e"])
def test_a_store_made_of_the_bags_holds_the_same_as_the_live_one_and_knows_what_was_drawn(run, request, tmp_path):
    folder = request.getfixturevalue(run)
    assert ingest.main([folder / "bags"], out=tmp_path / "ingested.zarr", image_side=IMAGE_SIZE) == 0
    live, ingested = by_id(folder / "episodes.zarr"), by_id(tmp_path / "ingested.zarr")
    assert live.keys() == ingested.keys()
    assert len(live) == 2
    for name, episode in live.items():
        there = arrays_of(ingested[name])
        for field, array in arrays_of(episode).items():
            np.testing.assert_array_equal(array, there[field], err_msg=f"{name} {field}")
        assert episode.meta.get("drawn") == ingested[name].meta.get("drawn")
        assert ("drawn" in episode.meta) is (run == "ur5e")


def test_every_episode_says_what_its_own_seed_drew(ur5e):
    from o2o_sim.config import TwinConfig
    from o2o_sim.randomize_config import randomization
    from o2o_sim.twin import Twin

    with Twin(TwinConfig(robot="ur5e", image_size=IMAGE_SIZE, randomization=randomization("mild"))) as twin:
        for episode in episodes_in(ur5e / "episodes.zarr"):
            twin.reset(episode.meta["seed"])
            assert episode.meta["drawn"] == twin.drawn
            assert episode.state["q_rad"].shape[1] == 6


def test_the_perfect_expert_inserts_the_peg_with_another_arm(ur5e):
    assert [line["outcome"] for line in read_lines(ur5e / "episodes.jsonl")] == ["success", "success"]


@pytest.mark.parametrize(
    ("task", "arm", "n_action", "proprio"),
    [("reach", "ur5e", 3, (("q_rad", 6),)), ("lift", "fr3", 4, (("tool_position_m", 3), ("gripper_m", 1)))],
)
def test_a_policy_of_that_arm_and_action_is_evaluated(domain, tmp_path, task, arm, n_action, proprio):
    policy = untrained(tmp_path, n_action=n_action, proprio=proprio)
    settings = {"task": task, "arm": arm, "episodes": 1, "max_steps": 6, "checkpoint": str(policy)}
    run = run_to_end(graph("evaluate", tmp_path / "run", **settings))
    (episode,) = episodes_in(run / "episodes.zarr")
    assert episode.action.shape[1] == n_action


LATE = "joints: {link: {latency_s: 0.05}}\n"
WRONG = {
    "late sensors in lockstep": ("twin_node", {"sensors": "{tmp}/late.yaml", "lockstep": True}, "need real time"),
    "a misspelt sensor": ("twin_node", {"sensors": "{tmp}/wrong.yaml"}, "did you mean 'camera'"),
    "scenes there are not": ("twin_node", {"randomization": "wild"}, "no settings 'wild'"),
    "a calibration there is not": ("twin_node", {"placements": ["no/hand-eye.yaml"]}, "no/hand-eye.yaml"),
    "a gripper where a peg is held": ("twin_node", {"action_space": "delta_position_gripper"}, "set action_space to"),
    "a space there is not": ("arm_node", {"action_space": "delta_pose"}, "there are delta_position"),
    "a gripper nobody can be told of": (
        "arm_node",
        {"action_space": "delta_position_gripper", "arm.gripper_command": ""},
        "name its command topic",
    ),
    "an expert of more values": ("teleop_node", {"task": "lift"}, "proposes 4 values"),
    "a gripper that nobody sees": (
        "teleop_node",
        {"task": "lift", "action_space": "delta_position_gripper"},
        "set gripper_states",
    ),
}


def test_a_node_whose_arm_action_or_files_do_not_fit_ends_at_once_with_one_line_that_says_so(domain, tmp_path):
    (tmp_path / "late.yaml").write_text(LATE)
    (tmp_path / "wrong.yaml").write_text("camra: {fps: 30}\n")
    with ExitStack() as running:
        started = []
        for number, (node, parameters, hint) in enumerate(WRONG.values()):
            given = {
                name: value.replace("{tmp}", str(tmp_path)) if isinstance(value, str) else value
                for name, value in parameters.items()
            }
            nodes = Supervisor([Process(node, {"cameras": ["wrist"], **given})], tmp_path / str(number))
            started.append((running.enter_context(nodes).running[0], hint))
        for one, hint in started:
            assert one.popen.wait(120.0) == 1, hint
            said = one.log.read_text().strip().splitlines()
            assert len(said) == 1, said
            assert hint in said[0]
