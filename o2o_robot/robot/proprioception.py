"""What the arm feels, as the named fields a policy picks from with `ObservationSpec.proprio`."""

from __future__ import annotations

import numpy as np

from o2o_robot.types import ArmState, Array


def proprioception(state: ArmState) -> dict[str, Array]:
    """Named 1-d float32 fields: q_rad (n,), dq_rad (n,), tool_position_m (3,), tool_quat_xyzw (4,), gripper_m (1,).

    The quaternion's largest entry is made positive, so that q and -q, one rotation, never look like two.
    """
    quat = np.asarray(state.tool.quat_xyzw, np.float32)
    return {
        "q_rad": np.asarray(state.q_rad, np.float32),
        "dq_rad": np.asarray(state.dq_rad, np.float32),
        "tool_position_m": np.asarray(state.tool.position_m, np.float32),
        "tool_quat_xyzw": quat * np.sign(quat[np.argmax(np.abs(quat))]),
        "gripper_m": np.array([state.gripper_m], np.float32),
    }
