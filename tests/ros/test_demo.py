"""The demo's whole walk, tiny: what it writes is whole and adds up. Whether it learns is for the real one to show."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("torch", reason="needs torch")

from o2o_robot.apps import demo
from o2o_robot.errors import ConfigError
from o2o_robot.jsonfile import read_json

pytestmark = pytest.mark.ros

FACTS = [
    "seed",
    "task",
    "success_pretrained",
    "success_finetuned",
    "eval_episodes",
    "demo_episodes",
    "demo_success_rate",
    "offline_steps",
    "env_steps_warmup",
    "env_steps_online",
    "learner_updates",
    "robot_s",
    "wall_s",
    "guard_interventions",
    "steps_published",
    "steps_stored",
    "nodes",
    "versions",
    "git_revision",
]


def test_every_fact_of_a_demo_is_in_its_summary_and_adds_up(tmp_path: Path, domain: int) -> None:
    tiny = demo.Demo(seed=3, demo_episodes=4, offline_steps=10, eval_episodes=2, warmup_steps=20, online_steps=30)
    assert demo.main(tiny, run_dir=tmp_path / "demo") == 0
    summary = read_json(tmp_path / "demo" / "summary.json")
    assert [name for name in FACTS if name not in summary] == []
    assert summary["steps_published"] == summary["steps_stored"] > 0
    assert {node["exit_code"] for node in summary["nodes"]} == {0}
    assert len(summary["nodes"]) == 4 + 4 + 5 + 4
    assert summary["learner_updates"] == summary["env_steps_online"] + summary["env_steps_warmup"] - 20
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000


def test_scenes_of_demonstrations_training_and_evaluation_never_coincide() -> None:
    one = demo.Demo(seed=5)
    firsts = [one.first_seed + seeds for seeds in (demo.DEMO_SEEDS, demo.ONLINE_SEEDS, demo.EVALUATION_SEEDS)]
    ends = [*firsts[1:], demo.Demo(seed=6).first_seed]
    spans = [one.demo_episodes, 100_000 + one.online_steps, one.eval_episodes]  # at most an episode a step
    assert all(first + span <= end for first, span, end in zip(firsts, spans, ends, strict=True))


def test_a_folder_that_no_demo_wrote_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ConfigError, match="not empty"):
        demo.main(demo.Demo(), run_dir=tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"
