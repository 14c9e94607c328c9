"""Live in Rerun: what was seen and done comes out of the file again, and a wrong address is refused at the start."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.trackers.live_rerun import LiveRerun
from o2o_robot.types import Executed, Observation, Step


def a_step(index: int, n: int) -> Step:
    state = {"tool_position_m": np.array([0.1 * index, 0.0, 0.2], np.float32)}
    seen = Observation(index * 100_000_000, {"wrist": np.full((16, 16, 3), index, np.uint8)}, state)
    values = np.full(3, 0.1, np.float32)
    done = Executed(seen.stamp_ns, index, values, values, reasons=2) if index < n else None
    return Step("online-000001", index, seen, done, reward=float(index == n - 1), terminated=index == n - 1)


def test_a_word_that_is_no_address_and_no_file_is_refused():
    with pytest.raises(ConfigError, match=r"\.rrd"):
        LiveRerun("somewhere", name="peg", cameras=())


def test_steps_come_out_of_the_file_with_pictures_actions_and_values(tmp_path):
    pytest.importorskip("rerun")
    asked = []

    def q(observation, action):
        asked.append(observation.stamp_ns)
        return -1.5

    path = tmp_path / "live.rrd"
    with LiveRerun(str(path), name="peg", cameras=("wrist",), q=q) as live:
        for index in range(4):
            live.step(a_step(index, 3))
    data = path.read_bytes()
    assert asked == [0, 100_000_000, 200_000_000]  # not the last look: nothing was done there
    for entity in (b"cameras/wrist", b"space/tool", b"action", b"proposed", b"reward", b"/q", b"events"):
        assert entity in data, entity
