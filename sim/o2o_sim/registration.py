"""Gymnasium ids of the twin's tasks; called on `import o2o_sim`, or by Gymnasium's plug-in entry point."""

from __future__ import annotations

from typing import Any

IDS: dict[str, dict[str, Any]] = {
    "o2o/Peg-v0": {"task": "peg"},
    "o2o/LoosePeg-v0": {"task": "peg", "clearance_m": 0.010},
    "o2o/Reach-v0": {"task": "reach"},
    "o2o/Lift-v0": {"task": "lift"},
    "o2o/PegUR5e-v0": {"task": "peg", "robot": "ur5e"},
    "o2o/LoosePegUR5e-v0": {"task": "peg", "robot": "ur5e", "clearance_m": 0.010},
    "o2o/ReachUR5e-v0": {"task": "reach", "robot": "ur5e"},
    "o2o/LiftUR5e-v0": {"task": "lift", "robot": "ur5e"},
}


def register() -> None:
    """Make `gymnasium.make("o2o/Peg-v0")` work. Calling it again changes nothing."""
    import gymnasium

    for env_id, settings in IDS.items():
        if env_id not in gymnasium.registry:
            # the time limit is RobotEnv's own, so that it also holds without Gymnasium's wrappers
            gymnasium.register(env_id, entry_point="o2o_sim.envs:make_env", kwargs=settings)
