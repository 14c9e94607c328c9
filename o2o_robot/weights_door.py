"""What a learner's weights must be before a policy acts on them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from o2o_robot.errors import CheckpointError, ConfigError
from o2o_robot.policy import Policy, weights_form
from o2o_robot.types import Array
from o2o_robot.weights_form import Offer, require_form

REVISION_MAX = 1 << 53  # beyond it JSON readers lose count, and nothing newer could ever come


class Present(NamedTuple):
    """What an offer is held against: the newest revision and learner step that were ever taken, and how often the
    policy has gone back."""

    revision: int
    learner_step: int
    rollbacks: int


class Probes(NamedTuple):
    """Observations as a Batch holds them: images by camera (B, H, W, 3 k) uint8, state (B, n_state) float32."""

    images: Mapping[str, Array]
    state: Array


class WeightsDoor:
    """Tries weights on a policy of its own, so that the acting one never sees what is refused.

    max_action_jump: mean absolute difference of the actions on the probes, over probes and dimensions of the action,
    that two acting weights may have; 0: any. Actions lie in [-1, 1], so that 2 is the most there is.
    """

    def __init__(self, acting: Policy, *, max_action_jump: float) -> None:
        self._acting, self._tried = acting, Policy(acting.config, acting.spec, acting.n_action)
        self._probes: Probes | None = None
        self._before: tuple[int, Array] | None = None  # revision and actions of the acting weights
        self.max_action_jump = max_action_jump

    @property
    def max_action_jump(self) -> float:
        return self._max_action_jump

    @max_action_jump.setter
    def max_action_jump(self, value: float) -> None:
        if not 0 <= value <= 2:
            raise ConfigError(f"max_action_jump must lie in [0, 2], got {value}; 0 lets any jump pass")
        self._max_action_jump = value

    @property
    def has_probes(self) -> bool:
        return self._probes is not None

    def watch(self, probes: Probes) -> None:
        """Judge actions on these from here on. CheckpointError where the policy cannot act on them."""
        try:
            self._acting.decisions(probes.images, probes.state)
        except (KeyError, RuntimeError, ValueError) as problem:
            said = str(problem).splitlines()[0]
            raise CheckpointError(f"the policy cannot act on the probes ({said}); use those of its own run") from None
        self._probes, self._before = probes, None

    def require(self, offer: Offer, present: Present, *, any_jump: bool = False) -> float:
        """The jump of the actions, NaN without probes; CheckpointError says why the weights must not act.

        In the order of what each check costs and presupposes: nothing is hashed that is too long, nothing is parsed
        that does not match its hash, and nothing is acted on that is not finite.
        """
        where = f"weights of revision {offer.revision}"
        if not present.revision < offer.revision < REVISION_MAX:
            raise CheckpointError(f"{where} are not newer than {present.revision}")
        if offer.learner_step < present.learner_step:
            raise CheckpointError(
                f"{where} are of update {offer.learner_step}, before {present.learner_step}; "
                "is it another run's learner?"
            )
        metadata = self._require_whole(offer, where)
        told = metadata.get("rollbacks", "0")
        if not (told.isdecimal() and len(told) < 10 and int(told) >= present.rollbacks):
            raise CheckpointError(f"{where} go on from what was given up; the learner has not gone back yet")
        self._tried.set_weights(offer.data, revision=offer.revision)
        return self._require_near(where, any_jump)

    def _require_whole(self, offer: Offer, where: str) -> dict[str, str]:
        """The metadata of what came as it was sent, in the acting policy's form."""
        wanted = weights_form(self._acting)
        if len(offer.data) > 2 * sum(form.n_bytes for form in wanted.values()) + (1 << 20):
            raise CheckpointError(f"{where} have {len(offer.data)} bytes, far more than the network takes")
        if hashlib.sha256(offer.data).hexdigest() != offer.sha256:
            raise CheckpointError(f"{where} do not match their sha256")
        return require_form(offer.data, wanted, where=where)

    def _require_near(self, where: str, any_jump: bool) -> float:
        if self._probes is None:
            return float("nan")
        if self._before is None or self._before[0] != self._acting.revision:
            self._before = self._acting.revision, self._acting.decisions(*self._probes)
        actions = self._tried.decisions(*self._probes)
        if not np.isfinite(actions).all():
            raise CheckpointError(f"{where} give actions that are not finite; lower the learning rates")
        jump = float(np.abs(actions - self._before[1]).mean())
        if not any_jump and 0 < self._max_action_jump < jump:
            raise CheckpointError(
                f"{where}: actions jump by {jump:.2f} of full scale, allowed {self._max_action_jump:g}; "
                "lower the learning rates, publish more often, or raise max_action_jump"
            )
        return jump
