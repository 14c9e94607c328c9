"""The weights that a policy acts on: which it takes, which it keeps, and when it goes back to better ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from o2o_robot.errors import CheckpointError
from o2o_robot.never_worse import Comparison, NeverWorse, Standing
from o2o_robot.policy import Policy
from o2o_robot.stretches import Stretches
from o2o_robot.types import Mode, Outcome
from o2o_robot.weights_door import Present, WeightsDoor
from o2o_robot.weights_form import Offer
from o2o_robot.weights_kept import Kept, KeptWeights

LOG = "policy.jsonl"


class ActingWeights:
    """One policy's weights over a run.

        acting = ActingWeights(policy, door, kept, NeverWorse(Rule()), log=lambda event: append_line(path, event))
        acting.offer(offer)                                     # CheckpointError: refused, the old weights go on
        acting.episode_began()
        if acting.episode_ended(Mode.ONLINE, Outcome.FAILURE).standing is Standing.WORSE:
            ...                                                 # the best weights act again; `rollbacks` has grown

    Warm-up episodes are the pretrained policy's, online ones those of the policy that learns: both draw their actions
    at random, so they can be compared. Evaluations act by the mean action, and are compared with one another alone:
    those of the pretrained weights with all others. Incomplete episodes do not count.
    """

    def __init__(
        self,
        policy: Policy,
        door: WeightsDoor,
        kept: KeptWeights,
        watch: NeverWorse,
        *,
        log: Callable[[Mapping[str, Any]], None] = lambda event: None,
    ) -> None:
        """policy: as it was pretrained. log: takes what `recall` reads when the run is taken up again."""
        self._policy, self._door, self._kept, self._watch, self._log = policy, door, kept, watch, log
        self.accepted = self.refused = self.rollbacks = 0
        self.last_refusal = ""
        self._evaluated = NeverWorse(watch.rule)
        self.comparison = watch.comparison()
        self._sha256 = ""  # of the newest ever taken
        self._present = Present(policy.revision, 0, 0)
        self._stretches = Stretches(policy.revision)
        self._began_with = policy.revision
        self._from_afar = False
        kept.pin(Kept(policy.revision, 0, policy.weights_bytes()))

    @property
    def best_revision(self) -> int:
        """Of the weights to go back to."""
        return self._stretches.best

    def offer(self, offer: Offer) -> bool:
        """Whether the weights act from here on: not where they are those taken last. CheckpointError: refused."""
        if (offer.revision, offer.sha256) == (self._present.revision, self._sha256):
            return False  # a latched publication said again
        try:
            jump = self._door.require(offer, self._present, any_jump=self._from_afar)
            self._policy.set_weights(offer.data, revision=offer.revision)
        except CheckpointError as problem:
            self.refused += 1
            self.last_refusal = str(problem)
            raise
        self._from_afar = False
        self._kept.add(Kept(offer.revision, offer.learner_step, offer.data), needed=self._stretches.needed)
        self._take(offer.revision, offer.learner_step, offer.sha256)
        facts = {"revision": offer.revision, "learner_step": offer.learner_step, "sha256": offer.sha256}
        self._log({"event": "accepted", **facts, "action_jump": _number(jump)})
        return True

    def began(self) -> None:
        """A new run: what its folder's log holds from before is no longer recalled."""
        self._log({"event": "began", "revision": self._policy.revision})

    def episode_began(self) -> None:
        self._began_with = self._policy.revision

    def episode_ended(self, mode: Mode, outcome: Outcome, *, episode: str = "") -> Comparison:
        """What is known now; where that is WORSE, the best weights act already. episode: its id, to be corrected by."""
        if outcome is Outcome.INCOMPLETE or mode is Mode.DEMO:
            return self.comparison
        found = self._count(mode, self._began_with, outcome is Outcome.SUCCESS, episode)
        event = {"event": "evaluation" if mode is Mode.EVAL else "episode", "episode": episode}
        self._log({**event, "mode": mode.value, "outcome": outcome.value, **self._facts(found)})
        if found.standing is Standing.WORSE:
            self._go_back()
        return found

    def relabelled(self, episode: str, is_success: bool | None) -> None:
        """A person's late word on an episode; None: it counts nowhere. Which weights were best stays as it was seen."""
        self._log({"event": "relabelled", "episode": episode, "is_success": is_success})
        self._correct(episode, is_success)

    def recall(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Be as the run left it. Where its weights are gone, the first that come may differ from these by any jump."""
        acting = self._policy.revision
        for event in _since_it_began(events):
            if event.get("event") == "accepted":
                acting = int(event["revision"])
                self._take(acting, int(event["learner_step"]), str(event["sha256"]))
            elif event.get("event") in ("episode", "evaluation"):
                success, name = event["outcome"] == Outcome.SUCCESS.value, str(event.get("episode", ""))
                self._count(Mode(event["mode"]), int(event["revision"]), success, name)
            elif event.get("event") == "relabelled":
                self._correct(str(event["episode"]), event["is_success"])
            elif event.get("event") == "went_back":
                self._give_up()
                acting = int(event["to"])
        self._from_afar = not self._act_on(acting) or self._present.learner_step == 0

    # --- what `recall` does again --------------------------------------------------------------------------------
    def _take(self, revision: int, learner_step: int, sha256: str) -> None:
        self._present = self._present._replace(revision=revision, learner_step=learner_step)
        self._sha256 = sha256
        self.accepted += 1

    def _count(self, mode: Mode, revision: int, is_success: bool, episode: str) -> Comparison:
        if mode is Mode.EVAL:
            return self._evaluation(revision, is_success, episode)
        if mode is Mode.ONLINE:
            self._stretches.add(revision, is_success)
            self.comparison = self._watch.add(is_success, episode)
        elif revision == self._stretches.pretrained:
            self._stretches.add_before(is_success)
            self._watch.add_before(is_success, episode)
            self.comparison = self._watch.comparison()
        return self.comparison

    def _evaluation(self, revision: int, is_success: bool, episode: str) -> Comparison:
        """What is told is what the drawn actions say, until the mean ones are surely worse."""
        if revision == self._stretches.pretrained:
            self._evaluated.add_before(is_success, episode)
            return self.comparison
        found = self._evaluated.add(is_success, episode)
        self.comparison = found if found.standing is Standing.WORSE else self.comparison
        return self.comparison

    def _correct(self, episode: str, is_success: bool | None) -> None:
        for watch in (self._watch, self._evaluated):
            watch.correct(episode, is_success)
        self.comparison = self._watch.comparison()

    def _give_up(self) -> int:
        """The weights to go back to; counts begin anew."""
        self._watch.restart()
        self._evaluated.restart()
        self.rollbacks += 1
        self._present = self._present._replace(rollbacks=self.rollbacks)
        return self._stretches.spoiled()

    # -------------------------------------------------------------------------------------------------------------
    def _go_back(self) -> None:
        before, wanted = self._policy.revision, self._give_up()
        if not self._act_on(wanted):
            self._act_on(self._stretches.pretrained)
        self._log({"event": "went_back", "from": before, "to": self._policy.revision, "rollbacks": self.rollbacks})

    def _act_on(self, revision: int) -> bool:
        """Whether kept weights act now."""
        try:
            self._policy.set_weights(self._kept.read(revision).data, revision=revision)
        except CheckpointError:
            return False
        return True

    def _facts(self, found: Comparison) -> dict[str, Any]:
        return {
            "revision": self._began_with,
            "before": list(found.before),
            "now": list(found.now),
            "p_worse": _number(found.p_worse),
            "verdict": found.standing.name.lower(),
            "best_revision": self.best_revision,
        }


def _since_it_began(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    every = list(events)
    begins = [i for i, event in enumerate(every) if event.get("event") == "began"]
    return every[begins[-1] :] if begins else every


def _number(value: float) -> float | None:
    """For JSON, which has no NaN."""
    return round(value, 6) if math.isfinite(value) else None
