"""Who judges the task of a graph: the twin's own state, or reward_node in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from o2o_robot.errors import ConfigError

RULES = ("topic", "pose", "wrench", "keys")
"""Sources of reward_node that need no classifier; their settings come by params_file."""

TRUTH_TOPIC = "truth/task_state"
"""Where the twin says what it knows while somebody else judges: for scripted experts and played people, no policy."""


def require_judge(reward: str) -> None:
    """Raises ConfigError where that is neither a rule nor a classifier's folder."""
    if reward and reward not in RULES and not (Path(reward) / "reward.json").is_file():
        raise ConfigError(
            f"reward '{reward}' is neither a folder of `o2o reward train` nor one of {', '.join(RULES)}; "
            "leave it empty for the twin's own state"
        )


def judge_parameters(reward: str) -> dict[str, Any]:
    """What reward_node is told."""
    if reward in RULES:
        return {"publish_task_state": True, "source": reward}
    return {"publish_task_state": True, "source": "classifier", "classifier": str(Path(reward).resolve())}
