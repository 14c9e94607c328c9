"""A checkpoint is a folder: safetensors and JSON, written aside and renamed, every file's sha256 in its manifest.

weights.safetensors      every network by name: encoder, actor, critic, target, log_temperature, ...
optimizer.safetensors    Adam's moments and step counts (moments.py), and the state of the generator
bonus.safetensors        what an exploration bonus has learned, where the settings have one
config.json              settings, observation spec, reward transform, their hash, phase, counters
provenance.json          data set fingerprint, code version, whatever the caller adds
*.safetensors            what a caller adds (the learner its replay)
manifest.json            sha256 of each of these; written last
"""

from __future__ import annotations

import hashlib
import itertools
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from torch import Tensor

from o2o_robot import config as settings
from o2o_robot.algorithms import moments
from o2o_robot.algorithms.actor_critic import ActorCritic
from o2o_robot.algorithms.config import ARCHITECTURE, AlgoConfig
from o2o_robot.algorithms.phases import Phase
from o2o_robot.algorithms.sealed import read_json, read_tensors, verify, whole, writing
from o2o_robot.data.returns import RewardTransform
from o2o_robot.errors import CheckpointError
from o2o_robot.jsonfile import write_json
from o2o_robot.types import Array, ObservationSpec

FORMAT = 1
MAX_SIDE = 4096  # of a policy's pictures, pixels


class HasState(Protocol):
    """What weights go into: an nn.Module, or a bonus; its state_dict is made of its own tensors, not of copies."""

    def state_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Facts:
    """config.json: all that is needed to build what the weights go into, and where the learner stood.

    moments: how many parameters of each optimiser had been stepped. config_hash: of config, spec, n_action and
    transform as they were written; it is verified on reading.
    """

    config: AlgoConfig
    spec: ObservationSpec
    n_action: int
    transform: RewardTransform
    phase: Phase = Phase.PRETRAIN
    n_updates: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    moments: dict[str, int] | None = None
    config_hash: str = ""
    format: int = FORMAT


def save(
    folder: str | Path,
    learner: ActorCritic,
    *,
    phase: Phase,
    provenance: Mapping[str, Any],
    counters: Mapping[str, int] | None = None,
    extra: Mapping[str, Mapping[str, Array]] | None = None,
) -> Path:
    """Write the learner whole, replacing what `folder` held; a crash leaves the old one or the new one, never a mix.

    extra: file stem -> arrays by name, kept beside the weights (`read_extra`).
    """
    with writing(folder) as aside:
        safetensors.torch.save_file(whole(learner.networks.state_dict()), aside / "weights.safetensors")
        state = moments.as_tensors(learner.optimisers) | {"generator": learner.generator.get_state()}
        safetensors.torch.save_file(whole(state), aside / "optimizer.safetensors")
        if learner.bonus is not None:
            safetensors.torch.save_file(whole(learner.bonus.state_dict()), aside / "bonus.safetensors")
        for stem, arrays in (extra or {}).items():
            _save_arrays(aside / f"{stem}.safetensors", arrays)
        write_json(aside / "config.json", _facts_mapping(learner, phase, dict(counters or {})))
        write_json(aside / "provenance.json", dict(provenance))
    return Path(folder)


def load(folder: str | Path, *, device: str = "cpu") -> ActorCritic:
    """The learner exactly as it was saved: its next update is bit for bit the one it would have made (on one CPU)."""
    verify(folder)
    facts = read_facts(folder)
    learner = ActorCritic(facts.config, facts.spec, facts.n_action, facts.transform, device=device)
    fill(learner.networks, read_tensors(Path(folder) / "weights.safetensors"), where=str(folder))
    state = read_tensors(Path(folder) / "optimizer.safetensors")
    if "generator" not in state:
        raise CheckpointError(f"{folder}: optimizer.safetensors lacks the generator's state; it is not from `save`")
    try:
        learner.generator.set_state(state.pop("generator"))
    except (RuntimeError, TypeError) as problem:
        raise CheckpointError(f"{folder}: optimizer.safetensors holds no generator's state ({problem})") from None
    moments.restore(learner.optimisers, state, learner.networks, expected=facts.moments, where=str(folder))
    if learner.bonus is not None:
        fill(learner.bonus, _read_tensors(Path(folder) / "bonus.safetensors"), where=f"{folder}, bonus")
    learner.n_updates = facts.n_updates
    return learner


def read_facts(folder: str | Path) -> Facts:
    """config.json of a checkpoint; CheckpointError where it is not one that this version reads."""
    path = Path(folder) / "config.json"
    mapping = read_json(path)
    if mapping.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {mapping.get('format')}, this version reads {FORMAT}")
    if mapping.get("config_hash", "") not in ("", _config_hash(mapping)):
        raise CheckpointError(f"{path}: its settings are not those it was written with; use an untouched checkpoint")
    facts = settings.build(Facts, mapping, where=str(path))
    _refuse_beyond_reason(facts, Path(folder) / "weights.safetensors")
    return facts


def refuse_changes(then: Any, now: Any, *, where: str) -> None:
    """CheckpointError naming every setting that differs between two objects of one class: a run goes on as it began."""
    changed = settings.changed(then, now)
    if changed:
        differences = ", ".join(f"{name} was {old}, is {new} now" for name, (old, new) in changed.items())
        raise CheckpointError(f"{where}: cannot go on with other settings: {differences}; give those, or a new folder")


def read_provenance(folder: str | Path) -> dict[str, Any]:
    """What the writer recorded about data, code and run."""
    return read_json(Path(folder) / "provenance.json")


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """weights.safetensors, after checking it against the manifest."""
    verify(folder)
    return read_tensors(Path(folder) / "weights.safetensors")


def read_extra(folder: str | Path, stem: str) -> dict[str, Array]:
    """Arrays that `save` was given as extra[stem]."""
    path = Path(folder) / f"{stem}.safetensors"
    if not path.is_file():
        raise CheckpointError(f"checkpoint {folder} holds no {path.name}; it was not written by a learner")
    try:
        return dict(safetensors.numpy.load_file(path))
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as problem:
        raise CheckpointError(f"{path} cannot be read: {' '.join(str(problem).split())[:200]}") from None


def fill(module: HasState, weights: Mapping[str, Tensor], *, where: str) -> None:
    """Copy weights into module, all or none. CheckpointError names each key that does not fit.

    A partial restore would act with random weights and look like a bad policy.
    """
    own = module.state_dict()
    bad = [f"lacks {name}" for name in own if name not in weights]
    for name, tensor in weights.items():
        if name not in own:
            bad.append(f"has {name}, which the network does not")
        elif tensor.shape != own[name].shape:
            bad.append(f"{name} has shape {tuple(tensor.shape)}, the network {tuple(own[name].shape)}")
        elif not torch.isfinite(tensor).all():
            bad.append(f"{name} holds a non-finite number")
    if bad:
        raise CheckpointError(f"{where}: does not fit the network: {'; '.join(bad)}")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])


def _refuse_beyond_reason(facts: Facts, weights: Path) -> None:
    """CheckpointError where the networks would be larger than their own weights: a file must not name its memory."""
    if not weights.is_file():
        raise CheckpointError(f"{weights} is missing; is {weights.parent} a checkpoint folder?")
    n_numbers = weights.stat().st_size / 2  # of bfloat16 at the smallest
    asked = {name: _largest_layer(getattr(facts.config, name)) for name in ARCHITECTURE}
    asked |= {"n_action": facts.n_action, "image_size": facts.spec.image_size / MAX_SIDE * n_numbers}
    asked |= {f"state {name}": size for name, size in facts.spec.proprio}
    for name, numbers in asked.items():
        if numbers > n_numbers:
            raise CheckpointError(
                f"{weights.parent}: {name} makes networks larger than weights.safetensors; use another"
            )


def _largest_layer(value: Any) -> float:
    """How many numbers a layer has at least that a setting of the architecture makes: of widths, two that follow."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, tuple | list):
        return 0.0
    sizes = [each for each in value if isinstance(each, int | float)]
    pairs = [float(a) * float(b) for a, b in itertools.pairwise(sizes)]
    first = (_largest_layer(each[:1]) for each in value if isinstance(each, tuple | list))  # of a convolution: channels
    return max([0.0, *sizes, *pairs, *first])


def _facts_mapping(learner: ActorCritic, phase: Phase, counters: dict[str, int]) -> dict[str, Any]:
    facts = Facts(
        learner.config,
        learner.spec,
        learner.n_action,
        learner.transform,
        phase,
        learner.n_updates,
        counters,
        moments.counts(learner.optimisers),
    )
    mapping = settings.as_mapping(facts)
    return mapping | {"config_hash": _config_hash(mapping)}


def _config_hash(mapping: Mapping[str, Any]) -> str:
    """Of the settings as they are on disk: a later version's new settings, at their defaults, change nothing."""
    part = {name: mapping.get(name) for name in ("config", "spec", "n_action", "transform")}
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16]


def _save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Straight from where they lie: safetensors' own way with NumPy would hold a replay in memory twice more."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nothing is written to it
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    safetensors.torch.save_file(tensors, path)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: the settings have a bonus, the checkpoint does not; use another one")
    return read_tensors(path)
