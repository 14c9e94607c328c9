"""A checkpoint or encoder from elsewhere: one line for whatever is wrong in it, and no file but its own is read."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.actor_critic import ActorCritic
from o2o_robot.algorithms.phases import Phase
from o2o_robot.data.returns import RewardTransform
from o2o_robot.errors import O2OError
from o2o_robot.policy import Policy
from o2o_robot.presets import calql
from o2o_robot.types import ObservationSpec


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = {"critic_widths": (8, 8), "actor_widths": (8, 8), "convs": ((4, 4, 4),), "batch_size": 4}
    config = replace(calql(), **small, precision="f32", image_latent=4, state_latent=4)
    spec = ObservationSpec(("wrist",), 16, (("tool_position_m", 3),))
    learner = ActorCritic(config, spec, 3, RewardTransform(1.0, -1.0, 0.97), seed=0)
    return checkpoint.save(tmp_path_factory.mktemp("sound") / "it", learner, phase=Phase.PRETRAIN, provenance={})


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "it"))


def forged(folder: Path, name: str, data: bytes) -> None:
    """A file changed, and its sha256 in the manifest with it: what whoever wrote the checkpoint could do."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[name] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def refusal(act: Callable[[], object]) -> str:
    """What is said; '' where nothing is wrong. Any other exception is the test's failure."""
    try:
        act()
    except O2OError as problem:
        return str(problem)
    return ""


def tensors(header: dict | bytes, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


WEIGHTS = {
    "nothing": b"",
    "a header without end": struct.pack("<Q", 2**63) + b"{}",
    "a header of a gigabyte": struct.pack("<Q", 2**30) + b"{}",
    "a header that is no JSON": tensors(b"{{{{"),
    "a header of lists": tensors(b"[[[[" * 1000),
    "a nested header": tensors(b'{"a":' * 50_000),
    "offsets past the end": tensors({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 2**40]}}),
    "offsets that go back": tensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
    "a shape that overflows": tensors(
        {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, b"1234"
    ),
    "a type that is none": tensors({"a": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
    "other tensors": tensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
    "a pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_none_are_refused_in_one_line_by_policy_and_learner(folder, name):
    forged(folder, "weights.safetensors", WEIGHTS[name])
    for told in (refusal(lambda: Policy.load(folder)), refusal(lambda: checkpoint.load(folder))):
        assert told
        assert "\n" not in told


CONFIGS = {
    "a list": b"[]",
    "a word": b'"config"',
    "nested": b"[" * 100_000,
    "not text": b"\xff\xfe\x00",
    "nothing": b"",
    "a huge number": b'{"format": ' + b"9" * 10_000 + b"}",
    "no number": b'{"format": NaN}',
    "another format": b'{"format": 99}',
    "half": b'{"format": 1, "config": {}}',
}


@pytest.mark.parametrize("file", ["config.json", "manifest.json"])
@pytest.mark.parametrize("name", CONFIGS)
def test_facts_that_are_none_are_refused_in_one_line(folder, name, file):
    if file == "manifest.json":
        (folder / file).write_bytes(CONFIGS[name])
    else:
        forged(folder, file, CONFIGS[name])
    told = refusal(lambda: checkpoint.load(folder))
    assert told
    assert "\n" not in told


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret", "nested/file", "..", "."])
def test_a_manifest_names_files_of_its_own_folder_only(folder, name):
    (folder.parent / "secret").write_text("of somebody else")
    forged_manifest = {name: hashlib.sha256(b"of somebody else").hexdigest()}
    (folder / "manifest.json").write_text(
        json.dumps(json.loads((folder / "manifest.json").read_text()) | forged_manifest)
    )
    assert "no file of this folder" in refusal(lambda: checkpoint.load(folder))


def test_a_file_that_the_manifest_leaves_out_is_not_trusted(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["weights.safetensors"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "weights.safetensors" in refusal(lambda: Policy.load(folder))


def test_settings_beyond_reason_are_refused_before_their_memory_is_taken(folder):
    facts = json.loads((folder / "config.json").read_text())
    for changed in (
        {"critic_widths": [10**6, 10**6]},
        {"n_critics": 10**7},
        {"image_latent": 10**9},
        {"convs": [[10**8, 9, 1]]},
    ):
        facts["config_hash"] = ""
        forged(folder, "config.json", json.dumps(facts | {"config": facts["config"] | changed}).encode())
        told = refusal(lambda: Policy.load(folder))
        assert told, changed
        assert "\n" not in told


def test_a_damaged_checkpoint_is_loaded_or_refused_in_one_line(sound, tmp_path):
    rng = np.random.default_rng(0)
    names = ("config.json", "weights.safetensors", "optimizer.safetensors", "manifest.json")
    for turn in range(80):
        folder = Path(shutil.copytree(sound, tmp_path / str(turn)))
        data = bytearray((folder / names[turn % 4]).read_bytes())
        for _ in range(3):
            data[int(rng.integers(min(len(data), 600)))] = int(rng.integers(256))
        if names[turn % 4] == "manifest.json":
            (folder / "manifest.json").write_bytes(bytes(data))
        else:
            forged(folder, names[turn % 4], bytes(data))
        assert "\n" not in refusal(lambda folder=folder: checkpoint.load(folder))
