"""Weights as a learner would send them, whole or spoiled, and a policy that is asked to act on them."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch
from learners import SPEC, learner, small

from o2o_robot.algorithms.networks import Networks
from o2o_robot.policy import Policy, weights_bytes
from o2o_robot.weights_door import Probes
from o2o_robot.weights_form import Offer

PRETRAINED = 7


def policy() -> Policy:
    """Acting on the weights of a new learner, revision 7."""
    made = Policy(small(), SPEC, 3)
    made.set_weights(weights_bytes(learner().networks), revision=PRETRAINED)
    return made


def probes(n: int = 16) -> Probes:
    rng = np.random.default_rng(5)
    images = {name: rng.integers(0, 256, (n, 16, 16, 3), np.uint8) for name in SPEC.cameras}
    return Probes(images, rng.normal(size=(n, 3)).astype(np.float32))


def networks(*, bias: float = 0.0) -> Networks:
    """Of a new learner, the mean action moved by `bias` before its squashing."""
    made = learner().networks
    with torch.no_grad():
        made.actor.head.mean.bias.add_(bias)
    return made


def sealed(data: bytes, revision: int, learner_step: int = 0) -> Offer:
    return Offer(revision, learner_step, hashlib.sha256(data).hexdigest(), data)


def offer(revision: int, learner_step: int = 0, *, bias: float = 0.0, rollbacks: int = 0) -> Offer:
    data = weights_bytes(networks(bias=bias), {"rollbacks": str(rollbacks)})
    return sealed(data, revision, learner_step)


def with_header(data: bytes, header: object) -> bytes:
    """The same tensors' bytes under another header."""
    old = 8 + int.from_bytes(data[:8], "little")
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[old:]


def header_of(data: bytes) -> dict:
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
