"""Carries a person's words on episodes to everybody who holds them: learner, recorder, reward source.

Between two episodes, when the learner has done what it owes and the recorder has the episode on disk: in lockstep a
run with the same words is then the same run.
"""

from __future__ import annotations

from dataclasses import dataclass

from o2o_msgs.srv import LabelEpisode
from rclpy.client import Client

from o2o_nodes.node import HouseNode

HOLDERS = ("learner_node", "recorder_node", "reward_node")  # whoever of them there is
LISTENERS = ("reward_node",)  # is told of every word, to hold it against its own; the others, of what changes anything
MOST_TRIES = 5  # of a word that a holder refuses: it may not have the episode yet
ANSWER_S = 10.0


@dataclass
class _Word:
    to: str
    request: LabelEpisode.Request
    tries: int = 0


class WordDelivery:
    """words = WordDelivery(node); words.add("online-000003", "success", by="kim", to_all=True)

    await words.deliver()           # between two episodes
    """

    def __init__(self, node: HouseNode) -> None:
        self._node = node
        self._clients: dict[str, Client] = {
            name: node.create_client(LabelEpisode, f"{name}/label") for name in HOLDERS if name != node.get_name()
        }
        self._waiting: list[_Word] = []

    def add(self, episode: str, word: str, *, by: str, note: str = "", to_all: bool) -> None:
        """Later words on an episode come after earlier ones."""
        for name in self._clients if to_all else LISTENERS:
            request = LabelEpisode.Request(episode=episode, outcome=word, by=by, note=note)
            self._waiting.append(_Word(name, request))

    async def deliver(self, *, patience_s: float = 0.0) -> None:
        """One round; with patience_s, rounds until none waits or that is over. A word nobody takes is told."""
        await self._round()
        if self._waiting and patience_s:
            await self._node.wait_until(lambda: any(c.service_is_ready() for c in self._of_waiting()), patience_s)
            await self._round()

    def _of_waiting(self) -> list[Client]:
        return [self._clients[word.to] for word in self._waiting]

    async def _round(self) -> None:
        waiting, self._waiting = self._waiting, []
        for word in waiting:
            if not await self._is_taken(word):
                self._waiting.append(word)

    async def _is_taken(self, word: _Word) -> bool:
        """Whether nothing more is to be done for this word."""
        client = self._clients[word.to]
        word.tries += 1
        if not client.service_is_ready():
            return word.tries >= MOST_TRIES  # not in this graph
        answer = await self._node.wait(client.call_async(word.request), ANSWER_S)
        if answer is not None and answer.success:
            return True
        why = f"no answer within {ANSWER_S:g} s" if answer is None else answer.message
        if word.tries >= MOST_TRIES:
            told = f"{word.to} did not take '{word.request.outcome}' for {word.request.episode}: {why}"
            self._node.get_logger().error(f"{told}; label its store with o2o label")
        return word.tries >= MOST_TRIES
