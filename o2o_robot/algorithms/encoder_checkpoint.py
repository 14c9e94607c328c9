"""An encoder on its own as a folder, written like a checkpoint: safetensors and JSON, sha256 of each in a manifest.

weights.safetensors      what turns pixels into latents (proprioception is each learner's own)
config.json              what it was built from and learned by
provenance.json          data set fingerprint, code version, whatever the caller adds
manifest.json            sha256 of each of these; written last
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import safetensors.torch

from o2o_robot import config as settings
from o2o_robot.algorithms import checkpoint, sealed
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.algorithms.representation import OBJECTIVE, ContrastConfig, image_part
from o2o_robot.errors import CheckpointError, DataError
from o2o_robot.jsonfile import read_json, write_json
from o2o_robot.nets.encoder import ObservationEncoder
from o2o_robot.types import ObservationSpec

FORMAT = 1


@dataclass(frozen=True)
class EncoderShape:
    """What an encoder's image branches are built from: settings of AlgoConfig, cameras (in this order), image side."""

    encoder: str
    convs: tuple[tuple[int, int, int], ...]
    image_latent: int
    n_spatial: int
    frame_stack: int
    cameras: tuple[str, ...]
    image_size: int


@dataclass(frozen=True)
class EncoderFacts:
    """config.json of an encoder's folder."""

    shape: EncoderShape
    learned_by: ContrastConfig
    steps: int
    objective: str = OBJECTIVE
    format: int = FORMAT


def shape_of(config: AlgoConfig, spec: ObservationSpec) -> EncoderShape:
    """The shape that a learner of this config and spec has; what its kind of encoder does not read is left out."""
    is_conv = config.encoder == "conv"
    return EncoderShape(
        config.encoder,
        config.convs if is_conv else (),
        config.image_latent,
        0 if is_conv else config.n_spatial,
        config.frame_stack,
        spec.cameras,
        spec.image_size,
    )


def config_of(shape: EncoderShape) -> AlgoConfig:
    """Settings of which `shape_of` is this shape; what does not shape the image branches is as it always is."""
    given = {"encoder": shape.encoder, "image_latent": shape.image_latent, "frame_stack": shape.frame_stack}
    special = {"convs": shape.convs} if shape.encoder == "conv" else {"n_spatial": shape.n_spatial}
    return replace(AlgoConfig(), **given, **special)  # type: ignore[arg-type]


def save_encoder(
    folder: str | Path, encoder: ObservationEncoder, facts: EncoderFacts, *, provenance: Mapping[str, Any]
) -> Path:
    """Write the encoder's image branches to a new folder; CheckpointError where there is one already."""
    folder = Path(folder)
    if folder.exists():
        raise CheckpointError(f"{folder} exists; give a new folder")
    with sealed.writing(folder) as aside:
        weights = sealed.whole(image_part(encoder).state_dict())
        safetensors.torch.save_file(weights, aside / "weights.safetensors")
        write_json(aside / "config.json", settings.as_mapping(facts))
        write_json(aside / "provenance.json", dict(provenance))
    return folder


def read_encoder_facts(folder: str | Path) -> EncoderFacts:
    """config.json; CheckpointError where the folder holds no encoder that this version reads."""
    path = Path(folder) / "config.json"
    try:
        mapping = read_json(path)
    except DataError as problem:
        raise CheckpointError(f"{problem}; `o2o pretrain-encoder STORE --out RUN` makes RUN/encoder") from None
    if "learned_by" not in mapping or mapping.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not of an encoder of format {FORMAT}; make it by `o2o pretrain-encoder`")
    return settings.build(EncoderFacts, mapping, where=str(path))


def fill_encoder(
    encoder: ObservationEncoder, config: AlgoConfig, spec: ObservationSpec, folder: str | Path
) -> EncoderFacts:
    """Put a pretrained encoder's image branches into a learner's; proprioception stays as it is.

    folder: RUN of `o2o pretrain-encoder`, or RUN/encoder. CheckpointError naming each setting that differs, or each
    tensor; then nothing has changed.
    """
    folder = Path(folder) / "encoder" if (Path(folder) / "encoder").is_dir() else Path(folder)
    facts = read_encoder_facts(folder)
    refuse_other_shape(facts.shape, shape_of(config, spec), where=str(folder))
    checkpoint.fill(image_part(encoder), checkpoint.read_weights(folder), where=str(folder))
    return facts


def refuse_other_shape(there: EncoderShape, here: EncoderShape, *, where: str) -> None:
    """CheckpointError naming each setting in which the encoder at `where` and the learner's differ."""
    pairs = [(field.name, getattr(there, field.name), getattr(here, field.name)) for field in fields(EncoderShape)]
    different = [f"{name} is {old} there, {new} here" for name, old, new in pairs if old != new]
    if different:
        raise CheckpointError(f"{where} does not fit: {'; '.join(different)}; learn it with the same settings")
