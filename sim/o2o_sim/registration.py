"""Gymnasium ids of the twin's tasks; called on `import o2o_sim`, or by Gymnasium's plug-in entry point."""

from __future__ import annotations

IDS = {"o2o/Peg-v0": "peg", "o2o/Reach-v0": "reach"}


def register() -> None:
    """Make `gymnasium.make("o2o/Peg-v0")` work. Calling it again changes nothing."""
    import gymnasium

    for env_id, task in IDS.items():
        if env_id not in gymnasium.registry:
            # the time limit is RobotEnv's own, so that it also holds without Gymnasium's wrappers
            gymnasium.register(env_id, entry_point="o2o_sim.envs:make_env", kwargs={"task": task})
