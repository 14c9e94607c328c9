"""What a strategy is, and the words of a chain: several of them, tried one after the other."""

from __future__ import annotations

import difflib
from typing import Protocol

from o2o_robot.errors import ConfigError
from o2o_robot.reset.orders import Felt, Talk

MOVING = ("path", "unstick", "replay", "learned")
WORDS = (*MOVING, "ask")


class Strategy(Protocol):
    """One way to get the arm home.

    name: its word in a chain. run(felt) talks (see orders.py) until the arm should be at home, or why it is not.
    """

    @property
    def name(self) -> str: ...

    def run(self, felt: Felt) -> Talk: ...


def words_of(chain: str) -> tuple[str, ...]:
    """The strategies of "path,unstick,ask". Raises ConfigError for a word that is none, or an empty chain."""
    words = tuple(word.strip() for word in chain.split(",") if word.strip())
    for word in words:
        if word not in WORDS:
            near = difflib.get_close_matches(word, WORDS, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ConfigError(f"no reset '{word}'{hint} (there are {', '.join(WORDS)})")
    if not words:
        raise ConfigError(f"the chain of resets is empty; give some of {', '.join(WORDS)}, such as path,unstick,ask")
    return words


def moves(words: tuple[str, ...]) -> bool:
    """Whether any of them moves the arm."""
    return any(word in MOVING for word in words)
