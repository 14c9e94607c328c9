"""Which episode a block runs next, told by the lines that its episodes left: so a run taken up again goes on there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from o2o_robot.errors import ConfigError
from o2o_robot.journal import was_cut_short
from o2o_robot.loop import Block
from o2o_robot.types import Mode, Outcome

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Evaluations:
    """Rounds of `episodes` episodes by the policy's mean action, between the online ones, always on the same scenes.

    The first round comes before the first online episode, and one after every `every` of them; 0: none at all.
    first_seed: of the scenes, which nothing is learned on.
    """

    every: int = 0
    episodes: int = 10
    first_seed: int = 900_000

    def __post_init__(self) -> None:
        if self.every < 0 or self.episodes < 1:
            raise ConfigError(
                f"eval_every is {self.every}, eval_episodes {self.episodes}; they must be at least 0 and 1 "
                "(eval_every 0: no evaluation between)"
            )

    def due(self, n_trained: int) -> int:
        """How many evaluation episodes a block shall have had once n_trained of its own are done."""
        return (n_trained // self.every + 1) * self.episodes if self.every else 0


NONE = Evaluations()


class Due(NamedTuple):
    """An episode that is to be run."""

    mode: Mode
    seed: int


class Done(NamedTuple):
    """How far a block is. Steps count those of discarded episodes too; evaluations between are told apart."""

    episodes: int = 0
    steps: int = 0
    successes: int = 0
    evaluated: int = 0


def done(block: Block, lines: Sequence[Line]) -> Done:
    """lines: of this block. An episode that was cut short, or that a person discarded, is run again."""
    own = [line for line in lines if _mode(line, block) == block.mode.value]
    counted = [line for line in own if counts(line)]
    successes = sum(line["outcome"] == Outcome.SUCCESS.value for line in counted)
    evaluated = [line for line in lines if _mode(line, block) != block.mode.value and counts(line)]
    return Done(len(counted), sum(line["n_steps"] for line in own), successes, len(evaluated))


def due(block: Block, lines: Sequence[Line], evaluations: Evaluations = NONE) -> Due | None:
    """The next episode of a block, None where it is done. lines: of this block."""
    stands = done(block, lines)
    if block.done(stands.episodes, stands.steps):
        return None
    if block.mode is Mode.ONLINE and stands.evaluated < evaluations.due(stands.episodes):
        return Due(Mode.EVAL, _held_out(lines, evaluations))
    return Due(block.mode, _unseen(block, lines))


def counts(line: Line) -> bool:
    """Whether an episode is one of its block's."""
    return not was_cut_short(line) and not line.get("discarded")


def _mode(line: Line, block: Block) -> str:
    return str(line.get("mode", block.mode.value))  # older runs did not say, and had one mode a block


def _unseen(block: Block, lines: Sequence[Line]) -> int:
    """The first seed of the block that no episode which counts was run with."""
    own = [line for line in lines if _mode(line, block) == block.mode.value and counts(line)]
    seen = {line.get("seed", block.first_seed + i) for i, line in enumerate(own)}
    return next(seed for seed in range(block.first_seed, block.first_seed + len(own) + 1) if seed not in seen)


def _held_out(lines: Sequence[Line], evaluations: Evaluations) -> int:
    """The scene that was evaluated least often, the first of equals."""
    seeds = range(evaluations.first_seed, evaluations.first_seed + evaluations.episodes)
    seen = Counter(line.get("seed") for line in lines if line.get("mode") == Mode.EVAL.value and counts(line))
    return min(seeds, key=lambda seed: (seen[seed], seed))
