"""A success classifier as a folder: safetensors and JSON, sha256 of each in a manifest. No pickle.

weights.safetensors      the network
reward.json              cameras and their size, what is familiar, temperature, threshold, how it did held out
provenance.json          data set fingerprint, code version, whatever the caller adds
manifest.json            sha256 of each of these; written last
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch

from o2o_robot import config as settings
from o2o_robot.algorithms import checkpoint, sealed
from o2o_robot.algorithms.encoder_checkpoint import EncoderShape
from o2o_robot.errors import CheckpointError, ConfigError, DataError
from o2o_robot.jsonfile import read_json, write_json
from o2o_robot.reward.familiar import Range, trouble
from o2o_robot.reward.fit import Scaling, log_odds
from o2o_robot.reward.network import SuccessNet
from o2o_robot.types import Array

FORMAT = 1
NAME = "reward.json"


@dataclass(frozen=True)
class RewardFacts:
    """reward.json. off: below this a success that was said is taken back; held_out: the quality told at training."""

    shape: EncoderShape
    familiar: Mapping[str, Range]
    temperature: float
    bias: float
    threshold: float
    off: float
    precision: float
    held_out: Mapping[str, Any]
    format: int = FORMAT

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and math.isfinite(self.bias) and 0 < self.off <= self.threshold < 1):
            raise ConfigError(
                f"temperature={self.temperature} must be > 0 and 0 < off={self.off} <= threshold={self.threshold} < 1"
            )

    @property
    def cameras(self) -> tuple[str, ...]:
        return self.shape.cameras


class RewardClassifier:
    """Frames of one instant to the probability that the task is done.

    judge = load_classifier("reward/")
    if not (why := judge.trouble(images)): p = judge.probability_of(images)
    """

    def __init__(self, net: SuccessNet, facts: RewardFacts) -> None:
        self._net, self.facts = net.eval(), facts
        self._scaling = Scaling(facts.temperature, facts.bias)

    def trouble(self, images: Mapping[str, Array]) -> str:
        """Why frames (H, W, 3) by camera cannot be judged, in one line; "" where they can."""
        return trouble(self.facts.familiar, self.facts.shape.image_size, images)

    def probability_of(self, images: Mapping[str, Array]) -> float:
        """Of success, for one frame (H, W, 3) of each camera."""
        return float(self.probability({name: images[name][None] for name in self.facts.cameras})[0])

    def probability(self, frames: Mapping[str, Array]) -> Array:
        """Of success (N,), for frames (N, H, W, 3) by camera; a `labelling.features.Judge`.

        Raises DataError where a camera is missing or has another size.
        """
        side = self.facts.shape.image_size
        for name in self.facts.cameras:
            if name not in frames or frames[name].shape[1:] != (side, side, 3):
                got = "missing" if name not in frames else "x".join(map(str, frames[name].shape[1:3]))
                raise DataError(f"camera {name} is {got}, the classifier looks at {side}x{side}; train one for these")
        images = {name: np.ascontiguousarray(frames[name]) for name in self.facts.cameras}
        return self._scaling.probability(log_odds(self._net, images))


def save_classifier(folder: str | Path, classifier: RewardClassifier, *, provenance: Mapping[str, Any]) -> Path:
    """Write to a new folder; CheckpointError where there is one already."""
    folder = Path(folder)
    if folder.exists():
        raise CheckpointError(f"{folder} exists; give a new folder")
    with sealed.writing(folder) as aside:
        safetensors.torch.save_file(sealed.whole(classifier._net.state_dict()), aside / "weights.safetensors")
        write_json(aside / NAME, settings.as_mapping(classifier.facts))
        write_json(aside / "provenance.json", dict(provenance))
    return folder


def read_facts(folder: str | Path) -> RewardFacts:
    """reward.json; CheckpointError where the folder holds no classifier that this version reads."""
    path = Path(folder) / NAME
    try:
        mapping = read_json(path)
    except DataError as problem:
        raise CheckpointError(f"{problem}; `o2o reward train STORE --out REWARD` makes one") from None
    if mapping.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not of a classifier of format {FORMAT}; train it again")
    return settings.build(RewardFacts, mapping, where=str(path))


def load_classifier(folder: str | Path) -> RewardClassifier:
    """What `save_classifier` wrote, each file checked against its sha256. Raises CheckpointError."""
    facts = read_facts(folder)
    net = SuccessNet(facts.shape)
    checkpoint.fill(net, checkpoint.read_weights(folder), where=str(folder))
    return RewardClassifier(net, facts)
