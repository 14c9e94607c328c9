import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from learners import batch, learner, observation, small

from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.phases import Phase, switch
from o2o_robot.errors import CheckpointError, ConfigError
from o2o_robot.policy import Policy


def _save(folder: Path, n_updates: int = 3):  # type: ignore[no-untyped-def]
    subject = learner()
    for k in range(n_updates):
        subject.update(batch(seed=k))
    checkpoint.save(folder, subject, phase=Phase.PRETRAIN, provenance={"fingerprint": "abc"})
    return subject


def test_a_restored_learner_makes_bit_for_bit_the_next_updates(tmp_path: Path) -> None:
    original = _save(tmp_path / "c")
    restored = checkpoint.load(tmp_path / "c")
    for subject in (original, restored):
        for k in range(3):
            subject.update(batch(seed=50 + k))
    for name, tensor in original.networks.state_dict().items():
        assert torch.equal(tensor, restored.networks.state_dict()[name]), name
    assert torch.equal(original.generator.get_state(), restored.generator.get_state())
    assert restored.n_updates == 6


def test_facts_and_provenance_come_back(tmp_path: Path) -> None:
    original = _save(tmp_path / "c")
    facts = checkpoint.read_facts(tmp_path / "c")
    assert (facts.config, facts.spec, facts.transform) == (original.config, original.spec, original.transform)
    assert (facts.phase, facts.n_updates) == (Phase.PRETRAIN, 3)
    assert checkpoint.read_provenance(tmp_path / "c") == {"fingerprint": "abc"}


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "config.json"])
def test_a_changed_byte_is_noticed_and_named(tmp_path: Path, name: str) -> None:
    _save(tmp_path / "c")
    path = tmp_path / "c" / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=name):
        checkpoint.load(tmp_path / "c")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    _save(tmp_path / "c")
    (tmp_path / "c" / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is missing"):
        Policy.load(tmp_path / "c")
    with pytest.raises(CheckpointError, match="is missing"):
        Policy.load(tmp_path / "nothing")


def test_every_key_that_does_not_fit_is_named_and_nothing_is_restored() -> None:
    subject = learner().networks
    before = {name: tensor.clone() for name, tensor in subject.state_dict().items()}
    weights = {name: torch.ones_like(tensor) for name, tensor in before.items()}
    del weights["critic.bias"]
    weights["critic.weight_a"] = torch.ones(1)
    weights["critic.extra"] = torch.ones(1)
    weights["log_temperature"] = torch.tensor(float("nan"))
    with pytest.raises(CheckpointError) as error:
        checkpoint.fill(subject, weights, where="here")
    for part in ("lacks critic.bias", "critic.extra", "critic.weight_a has shape (1,)", "log_temperature holds a non"):
        assert part in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in subject.state_dict().items())


def test_saving_over_a_checkpoint_replaces_it_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    _save(tmp_path / "c", 1)
    _save(tmp_path / "c", 2)
    assert checkpoint.load(tmp_path / "c").n_updates == 2
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_failed_save_leaves_the_old_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = _save(tmp_path / "c", 1)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "write_json", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(tmp_path / "c", subject, phase=Phase.PRETRAIN, provenance={})
    assert checkpoint.load(tmp_path / "c").n_updates == 1


def test_a_checkpoint_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    _save(tmp_path / "c")
    path = tmp_path / "c" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        checkpoint.read_facts(tmp_path / "c")


def test_no_file_of_a_checkpoint_is_a_pickle(tmp_path: Path) -> None:
    _save(tmp_path / "c")
    for path in (tmp_path / "c").iterdir():
        if path.suffix == ".json":
            json.loads(path.read_text())
        else:
            safetensors.torch.load_file(path)


def test_a_policy_acts_alike_each_time_and_samples_by_its_generator(tmp_path: Path) -> None:
    _save(tmp_path / "c")
    policy, seen = Policy.load(tmp_path / "c"), observation()
    assert np.array_equal(policy.act(seen), policy.act(seen))
    drawn = [policy.act(seen, deterministic=False, rng=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert drawn[0].dtype == np.float32
    assert np.abs(drawn[0]).max() <= 1


def test_phases_follow_one_another_and_a_switch_names_what_changed() -> None:
    subject = learner()
    change = switch(subject, Phase.PRETRAIN, Phase.FINETUNE, small(calibrate=False, cql_alpha=0.0))
    assert str(change) == "phase pretrain -> finetune: cql_alpha 5.0 -> 0.0, calibrate True -> False"
    with pytest.raises(ConfigError, match="warmup cannot follow warmup"):
        switch(subject, Phase.WARMUP, Phase.WARMUP, subject.config)
