"""Train 200 is train 100, save, be killed, load, train 100: bit for bit, offline and online, in real processes."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from killed import kill_after, online_learner, online_steps

from o2o_robot.algorithms import checkpoint
from o2o_robot.apps.pretrain import main
from o2o_robot.errors import CheckpointError, ConfigError
from o2o_robot.jsonfile import read_json, read_lines
from o2o_robot.learner import Learner

SETTINGS = "batch_size: 16\nconvs: [[8, 4, 4]]\ncritic_widths: [32, 32]\nactor_widths: [32, 32]\nprecision: f32\n"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(SETTINGS)
    return path


def _run(store: Path, out: Path, settings: Path, **changes: object) -> int:
    words = {"steps": 200, "save_every": 100, "seed": 1, "settings_file": settings, "threads": 1}
    return main(store, out=out, **(words | changes))  # type: ignore[arg-type]


def _same_files(one: Path, two: Path) -> None:
    for name in ("weights.safetensors", "optimizer.safetensors"):
        left, right = (safetensors.torch.load_file(folder / "checkpoint" / name) for folder in (one, two))
        assert set(left) == set(right)
        assert [key for key, tensor in left.items() if not torch.equal(tensor, right[key])] == []


def test_a_pretraining_that_was_killed_goes_on_to_the_result_of_one_that_was_not(
    dots_store: Path, tmp_path: Path, settings: Path
) -> None:
    """Killed at update 160, after the checkpoint of 100 and the log of 150, which must not be there twice."""
    words = [str(dots_store), "--out", str(tmp_path / "killed"), "--steps", "200", "--save-every", "100"]
    words += ["--seed", "1", "--settings-file", str(settings), "--threads", "1"]
    assert kill_after(160, "pretrain", words) == -9
    assert checkpoint.read_facts(tmp_path / "killed" / "checkpoint").n_updates == 100
    assert [line["step"] for line in read_lines(tmp_path / "killed" / "metrics.jsonl")] == [50, 100, 150]
    _run(dots_store, tmp_path / "killed", settings, resume=True)
    _run(dots_store, tmp_path / "whole", settings)
    _same_files(tmp_path / "killed", tmp_path / "whole")
    logs = [list(read_lines(tmp_path / run / "metrics.jsonl")) for run in ("killed", "whole")]
    assert logs[0] == logs[1]
    calibrations = [read_json(tmp_path / run / "summary.json")["calibration"] for run in ("killed", "whole")]
    assert calibrations[0] == calibrations[1]


def test_batches_drawn_ahead_of_time_are_the_ones_that_are_drawn_when_due(
    dots_store: Path, tmp_path: Path, settings: Path
) -> None:
    for ahead in (0, 3):
        _run(dots_store, tmp_path / str(ahead), settings, steps=20, ahead=ahead)
    _same_files(tmp_path / "0", tmp_path / "3")


def test_a_run_folder_is_not_written_over_unless_told_to_go_on(
    dots_store: Path, tmp_path: Path, settings: Path
) -> None:
    _run(dots_store, tmp_path / "run", settings, steps=2)
    with pytest.raises(ConfigError, match=r"holds a run already \(checkpoint\); add --resume"):
        _run(dots_store, tmp_path / "run", settings, steps=2)


def test_going_on_with_a_run_that_is_done_changes_nothing_and_more_steps_make_it_longer(
    dots_store: Path, tmp_path: Path, settings: Path
) -> None:
    _run(dots_store, tmp_path / "run", settings, steps=3, resume=True)  # there is nothing yet: it starts
    files = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.json*")}
    _run(dots_store, tmp_path / "run", settings, steps=3, resume=True)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.json*")} == files
    _run(dots_store, tmp_path / "run", settings, steps=5, resume=True)
    _run(dots_store, tmp_path / "whole", settings, steps=5)
    _same_files(tmp_path / "run", tmp_path / "whole")
    with pytest.raises(ConfigError, match="has made 5 updates"):
        _run(dots_store, tmp_path / "run", settings, steps=4, resume=True)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seed": 2}, "seed was 1, is 2 now"),
        ({"tail": "zero"}, "tail was stationary, is zero now"),
        ({"discount": 0.9}, r"discount was 0\.97, is 0\.9 now"),
        ({"cameras": ("wrist",)}, "cameras was"),
        ({"preset": "cql"}, "calibrate was True, is False now"),
    ],
)
def test_a_run_does_not_go_on_with_other_settings_and_says_which(
    dots_store: Path, tmp_path: Path, settings: Path, changes: dict[str, object], complaint: str
) -> None:
    _run(dots_store, tmp_path / "run", settings, steps=2)
    with pytest.raises(CheckpointError, match=complaint):
        _run(dots_store, tmp_path / "run", settings, steps=4, resume=True, **changes)


def test_a_run_from_a_cache_is_the_run_from_memory(dots_store: Path, tmp_path: Path, settings: Path) -> None:
    for run in ("made", "used"):
        _run(dots_store, tmp_path / run, settings, steps=3, cache=tmp_path / "cache")
    _run(dots_store, tmp_path / "memory", settings, steps=3)
    _same_files(tmp_path / "made", tmp_path / "memory")
    _same_files(tmp_path / "used", tmp_path / "memory")


def test_an_online_learner_that_was_killed_goes_on_to_the_result_of_one_that_was_not(tmp_path: Path) -> None:
    """Saved in the middle of an episode, some way into fine-tuning; killed twelve steps later."""
    assert kill_after(12, "online", [str(tmp_path / "c")]) == -9
    whole = online_learner()
    steps = online_steps()
    for step in steps:
        whole.add_step(step)
        while whole.updates_owed():
            whole.update()
    resumed = Learner.resume(tmp_path / "c", config=whole.config, plan=whole.plan)
    assert 0 < resumed.n_steps < whole.n_steps
    assert 0 < resumed.n_updates < whole.n_updates
    for step in steps[json.loads((tmp_path / "at.json").read_text())["added"] :]:
        resumed.add_step(step)
        while resumed.updates_owed():
            resumed.update()
    for name, tensor in whole.actor_critic.networks.state_dict().items():
        assert torch.equal(tensor, resumed.actor_critic.networks.state_dict()[name]), name
    assert (resumed.n_updates, resumed.n_steps, resumed.phase) == (whole.n_updates, whole.n_steps, whole.phase)
    assert resumed.replay.counts() == whole.replay.counts()
