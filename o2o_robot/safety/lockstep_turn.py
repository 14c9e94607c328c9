"""Whose turn it is in lockstep: an action is judged when everything is here that the answer depends on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from o2o_robot.safety.reason import Reason
from o2o_robot.types import Action

MOST_EARLY = 10  # words of a device ahead of the arm's state; one at a time is usual


class LockstepTurn:
    """Keeps the newest proposal until the state it answers is here and, where a person's device is awaited, what that
    says of the same observation. So the same run goes the same way, whichever message was faster.

    turn.propose(action); turn.tell(word, unfit)             # as they come
    for word, unfit in turn.words(state_ns): ...             # then, at each of these and at each state
    if (action := turn.proposal(state_ns)) is not None: ...
    """

    def __init__(self, *, awaits_device: bool = False) -> None:
        self.awaits_device = awaits_device
        self._proposed: Action | None = None
        self._words: deque[tuple[Action, Reason]] = deque(maxlen=MOST_EARLY)
        self._device_ns = -1

    def propose(self, action: Action) -> None:
        self._proposed = action

    def tell(self, word: Action, unfit: Reason) -> None:
        """What the device says of the observation of that stamp: values, or none (released)."""
        self._words.append((word, unfit))

    def words(self, state_ns: int) -> Iterator[tuple[Action, Reason]]:
        """The device's words on states up to this one, in the order they came, each once."""
        while self._words and self._words[0][0].stamp_ns <= state_ns:
            word, unfit = self._words.popleft()
            self._device_ns = max(self._device_ns, word.stamp_ns)
            yield word, unfit

    def proposal(self, state_ns: int) -> Action | None:
        """The proposal that is to be judged now, once; None while there is none or something is awaited."""
        asked = self._proposed
        if asked is None or asked.stamp_ns > state_ns or (self.awaits_device and asked.stamp_ns > self._device_ns):
            return None
        self._proposed = None
        return asked
