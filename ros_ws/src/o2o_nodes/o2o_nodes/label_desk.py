"""A person's word on an episode: service ~/label of the session's node, and the question after an episode's end.

On the running episode a word ends it with the next step; after the END the session may ask (ask_outcome), and any
episode of the run can be named later. What was said after the END reaches the others between two episodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from o2o_msgs import msg as m
from o2o_msgs.srv import LabelEpisode

from o2o_nodes import qos
from o2o_nodes.desk import Desk
from o2o_nodes.node import HouseNode
from o2o_nodes.word_delivery import WordDelivery
from o2o_robot.data.relabel import Word, require_word
from o2o_robot.errors import ConfigError, DataError, O2OError
from o2o_robot.journal import Journal
from o2o_robot.loop import EpisodeLog
from o2o_robot.types import Outcome

ASKS = ("never", "doubtful", "always")
JUDGED = "judged"


class Said(NamedTuple):
    """A word on the episode at hand, and whose it is."""

    word: Word
    by: str
    note: str


class LabelDesk:
    """desk = LabelDesk(node, session_desk, journal); desk.open(log); said = desk.take(); await desk.close(log)

    relabelled: told of an episode whose outcome changed after it was counted: its line before and after.
    """

    def __init__(
        self,
        node: HouseNode,
        desk: Desk,
        journal: Journal,
        *,
        relabelled: Callable[[Mapping[str, Any], Mapping[str, Any]], None] = lambda before, after: None,
    ) -> None:
        self._node, self._desk, self._journal, self._relabelled = node, desk, journal, relabelled
        self._ask = node.setting("ask_outcome", "never", f"{', '.join(ASKS)}: whether a person says how it ended")
        self._default = node.setting("ask_default", JUDGED, "the word where nobody answers; judged: as it was judged")
        self._patience_s = node.setting("ask_patience_s", 60.0, "wall time to wait for the answer")
        self._doubt = node.setting("ask_between", [0.2, 0.9], "probabilities of success between which it is doubtful")
        self._check()
        self.n_words = 0
        self._at_hand = self._last = ""
        self._said: Said | None = None
        self._taken: Word | None = None  # in the episode's steps already
        self._judgement: m.RewardState | None = None
        self.delivery = WordDelivery(node)
        if self._ask == "doubtful":
            node.create_subscription(m.RewardState, "reward_state", self._on_reward, qos.SENSOR_IN)
        node.create_service(LabelEpisode, "~/label", self._label)

    def open(self, log: EpisodeLog) -> None:
        """An episode runs from here on: a word that names none is on this one."""
        self._at_hand, self._said, self._judgement = log.episode, None, None

    def take(self, log: EpisodeLog) -> Word | None:
        """The word that ends the running episode now."""
        if self._said is None:
            return None
        log.labelled_by, self._taken = self._said.by, self._said.word
        return self._taken

    async def close(self, log: EpisodeLog) -> None:
        """The episode has ended: ask where that is wanted, and have the outcome that counts in its log."""
        if log.is_whole and self._said is None and self._is_to_ask(log):
            await self._answer(log)
        if log.is_whole and self._said is not None:
            self._settle(log, self._said)
        self._at_hand, self._last, self._said, self._taken = "", log.episode, None, None

    async def _answer(self, log: EpisodeLog) -> None:
        """Wait for a word; where none comes, the default is one."""
        then = "it stays as judged" if self._default == JUDGED else f"it is {self._default}"
        self._desk.tell(
            "asking",
            f"how {log.episode} ended (judged {log.outcome.value}): success, failure or discard; "
            f"after {self._patience_s:g} s {then}",
        )
        await self._node.wait_until(self._is_answered, self._patience_s)
        if self._said is None and self._default != JUDGED:
            self._said = Said(cast(Word, self._default), "nobody", "ask_default")

    def _is_answered(self) -> bool:
        return self._said is not None or not self._node.is_started

    def _settle(self, log: EpisodeLog, said: Said) -> None:
        """Steps of a word that ended the episode say it themselves; of a later one the others must be told."""
        judged = (log.outcome, log.is_discarded)
        if said.word != self._taken:
            log.relabel(said.word, by=said.by)
        is_changed = judged != (log.outcome, log.is_discarded)
        self.delivery.add(log.episode, said.word, by=said.by, note=said.note, to_all=is_changed or log.is_discarded)

    def _is_to_ask(self, log: EpisodeLog) -> bool:
        if self._ask != "doubtful":
            return bool(self._ask == "always")
        seen = self._judgement
        if log.outcome is Outcome.INCOMPLETE or (seen is not None and seen.trouble):
            return True
        low, high = self._doubt
        return seen is not None and math.isfinite(seen.probability) and bool(low <= seen.probability < high)

    def _check(self) -> None:
        if self._ask not in ASKS:
            raise ConfigError(f"ask_outcome is '{self._ask}', it must be one of {', '.join(ASKS)}")
        if self._default != JUDGED:
            require_word(self._default)

    def _on_reward(self, state: m.RewardState) -> None:
        self._judgement = state

    # --- the service ---------------------------------------------------------------------------------------------
    def _label(self, request: LabelEpisode.Request, answer: LabelEpisode.Response) -> LabelEpisode.Response:
        try:
            require_word(request.outcome)
            answer.message = self._take_in(request)
            answer.success = True
            self.n_words += 1
            self._node.get_logger().info(f"{answer.message}, by {request.by or 'somebody'}")
        except O2OError as problem:
            answer.message = str(problem)
        return answer

    def _take_in(self, request: LabelEpisode.Request) -> str:
        word, by = cast(Word, request.outcome), request.by or "somebody"
        episode = request.episode or self._at_hand or self._last
        if not episode:
            raise DataError("no episode has begun yet; label one once it runs")
        if episode == self._at_hand:
            self._said = Said(word, by, request.note)
            return f"{episode} ends: {word}"
        before, after = self._journal.relabel(episode, word, by=by, note=request.note)
        self.delivery.add(episode, word, by=by, note=request.note, to_all=True)
        self._relabelled(before, after)
        return f"{episode}: {word}, it was {before['outcome']}"
