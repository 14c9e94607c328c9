"""Home along a recorded way: a stored episode backward, or a recorded reset forward."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as File

import numpy as np

from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.reset.follow import Motion, follow
from o2o_robot.reset.orders import Ended, Felt, Talk
from o2o_robot.types import Array

FIELD = "tool_position_m"


@dataclass(frozen=True)
class Replay:
    """Along the tool's recorded places way_m (k, 3), from the one nearest to the tool to the last, then to home_m.

    Places and not actions are followed: an action backward is not where the arm came from. Further than reach_m from
    the whole way it gives up.
    """

    way_m: Array
    home_m: Array
    motion: Motion = field(default_factory=Motion)
    reach_m: float = 0.05
    name: str = "replay"

    def run(self, felt: Felt) -> Talk:
        here = felt.state.tool.position_m
        off_m = np.linalg.norm(self.way_m - here, axis=1)
        if off_m.min() > self.reach_m:
            return Ended(f"{off_m.min() * 1e3:.0f} mm from the recorded way, {self.reach_m * 1e3:.0f} at most", felt)
        rest = self.way_m[int(off_m.argmin()) :]
        reference = self.motion.pace.reference([here, *rest, self.home_m], stops=False)
        return (yield from follow(reference, felt, self.motion))


def recorded_way(store: str | File, episode: str = "", *, backward: bool = True) -> Array:
    """The tool's places (k, 3) m in a stored episode, by its id; without one, in the first that succeeded.

    Raises DataError where there is no such episode, or it does not hold the tool's place.
    """
    with EpisodeStore.open(store) as opened:
        found = [
            index
            for index in range(len(opened))
            if (opened.meta(index).get("id") == episode if episode else opened.meta(index).get("outcome") == "success")
        ]
        if not found:
            wanted = f"episode '{episode}'" if episode else "episode that succeeded"
            raise DataError(f"{store} holds no {wanted}; `o2o inspect {store}` lists what it has")
        read = opened.read(found[0])
    if np.shape(read.state.get(FIELD, ()))[1:] != (3,):
        raise DataError(f"{store}: episode {read.meta.get('id')} has no {FIELD}; record one with this software")
    way_m = np.asarray(read.state[FIELD], np.float64)
    return way_m[::-1].copy() if backward else way_m
