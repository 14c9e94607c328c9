"""A checkpoint is a folder: safetensors and JSON, written aside and renamed, every file's sha256 in its manifest.

weights.safetensors      encoder, actor, critic, target, log_temperature
optimizer.safetensors    Adam's moments and step counts, and the state of the generator
config.json              settings, observation spec, reward transform, phase, counters
provenance.json          data set fingerprint, code version, whatever the caller adds
*.safetensors            what a caller adds (the learner its replay)
manifest.json            sha256 of each of these; written last
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from torch import Tensor, nn

from o2o_robot import config as settings
from o2o_robot.algorithms.actor_critic import ActorCritic
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.algorithms.phases import Phase
from o2o_robot.data.returns import RewardTransform
from o2o_robot.errors import CheckpointError
from o2o_robot.jsonfile import write_json
from o2o_robot.types import Array, ObservationSpec

FORMAT = 1
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


@dataclass(frozen=True)
class Facts:
    """config.json: all that is needed to build what the weights go into, and where the learner stood."""

    config: AlgoConfig
    spec: ObservationSpec
    n_action: int
    transform: RewardTransform
    phase: Phase = Phase.PRETRAIN
    n_updates: int = 0
    counters: dict[str, int] = field(default_factory=dict)
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
    folder = Path(folder)
    facts = Facts(
        learner.config,
        learner.spec,
        learner.n_action,
        learner.transform,
        phase,
        learner.n_updates,
        dict(counters or {}),
    )
    aside = folder.with_name(f".{folder.name}.writing.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    safetensors.torch.save_file(_whole(learner.networks.state_dict()), aside / "weights.safetensors")
    safetensors.torch.save_file(_whole(_optimiser_state(learner)), aside / "optimizer.safetensors")
    for stem, arrays in (extra or {}).items():
        safetensors.numpy.save_file(
            {k: np.ascontiguousarray(v) for k, v in arrays.items()}, aside / f"{stem}.safetensors"
        )
    write_json(aside / "config.json", settings.as_mapping(facts))
    write_json(aside / "provenance.json", dict(provenance))
    write_json(aside / "manifest.json", {path.name: _sha256(path) for path in sorted(aside.iterdir())})
    _swap(aside, folder)
    return folder


def load(folder: str | Path, *, device: str = "cpu") -> ActorCritic:
    """The learner exactly as it was saved: its next update is bit for bit the one it would have made (on one CPU)."""
    verify(folder)
    facts = read_facts(folder)
    learner = ActorCritic(facts.config, facts.spec, facts.n_action, facts.transform, device=device)
    fill(learner.networks, read_weights(folder), where=str(folder))
    _restore_optimisers(learner, safetensors.torch.load_file(Path(folder) / "optimizer.safetensors"), str(folder))
    learner.n_updates = facts.n_updates
    return learner


def verify(folder: str | Path) -> None:
    """Raises CheckpointError naming each file that is missing or whose sha256 differs from the manifest."""
    folder = Path(folder)
    bad = []
    for name, sha256 in _read_json(folder / "manifest.json").items():
        path = folder / name
        if not path.is_file():
            bad.append(f"{name} is missing")
        elif _sha256(path) != sha256:
            bad.append(f"{name} has changed since it was written")
    if bad:
        raise CheckpointError(f"checkpoint {folder} is damaged: {'; '.join(bad)}; use an earlier one")


def read_facts(folder: str | Path) -> Facts:
    """config.json of a checkpoint; CheckpointError where it is not one that this version reads."""
    path = Path(folder) / "config.json"
    mapping = _read_json(path)
    if mapping.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {mapping.get('format')}, this version reads {FORMAT}")
    return settings.build(Facts, mapping, where=str(path))


def read_provenance(folder: str | Path) -> dict[str, Any]:
    """What the writer recorded about data, code and run."""
    return _read_json(Path(folder) / "provenance.json")


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """weights.safetensors, after checking it against the manifest."""
    verify(folder)
    return safetensors.torch.load_file(Path(folder) / "weights.safetensors")


def read_extra(folder: str | Path, stem: str) -> dict[str, Array]:
    """Arrays that `save` was given as extra[stem]."""
    path = Path(folder) / f"{stem}.safetensors"
    if not path.is_file():
        raise CheckpointError(f"checkpoint {folder} holds no {path.name}; it was not written by a learner")
    return dict(safetensors.numpy.load_file(path))


def fill(module: nn.Module, weights: Mapping[str, Tensor], *, where: str) -> None:
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


def _optimiser_state(learner: ActorCritic) -> dict[str, Tensor]:
    state = {"generator": learner.generator.get_state()}
    for name, optimiser in learner.optimisers.items():
        for index, moments in optimiser.state_dict()["state"].items():
            for key, value in moments.items():
                state[f"{name}.{index}.{key}"] = torch.as_tensor(value)
    return state


def _restore_optimisers(learner: ActorCritic, saved: dict[str, Tensor], where: str) -> None:
    if "generator" not in saved:
        raise CheckpointError(f"{where}: optimizer.safetensors lacks the generator's state; it is not from `save`")
    learner.generator.set_state(saved.pop("generator"))
    for name, optimiser in learner.optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        parameters = optimiser.param_groups[0]["params"]
        for path, value in saved.items():
            owner, index, key = path.split(".")
            if owner == name:
                state.setdefault(int(index), {})[key] = _laid_out_as(parameters[int(index)], value)
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """The moment in the memory layout of its weights (channels_last for convolutions).

    Fused Adam walks both in memory order: a moment in another layout would be applied to the wrong weights.
    """
    if moment.shape != parameter.shape:
        return moment  # the step count
    return torch.empty_like(parameter, requires_grad=False).copy_(moment)


def _whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Dense copies on the CPU: safetensors takes neither shared storage nor odd strides."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


def _swap(aside: Path, folder: Path) -> None:
    """Put `aside` in folder's place in one step, so that there is a whole checkpoint at every instant."""
    if not folder.exists():
        os.rename(aside, folder)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(aside), _AT_FDCWD, os.fsencode(folder), _RENAME_EXCHANGE) != 0:
        raise CheckpointError(f"{folder} cannot be replaced: {os.strerror(ctypes.get_errno())}; give a new folder name")
    shutil.rmtree(aside, ignore_errors=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        mapping: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; is {path.parent} a checkpoint folder?") from None
    except (OSError, ValueError) as problem:
        raise CheckpointError(f"{path} cannot be read: {problem}") from None
    return mapping
