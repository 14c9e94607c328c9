"""A running session in Rerun: pictures, the tool's way, actions, reward and the critic's Q, as steps come in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_robot.safety import reason
from o2o_robot.types import Array, Observation, Source, Step

TOOL = "tool_position_m"
MOST_POINTS = 2000  # of the tool's way that is drawn anew at each step: an endless episode must not slow it down
_COLOURS: dict[int, tuple[int, int, int]] = {
    Source.POLICY: (31, 119, 164),
    Source.TELEOP: (217, 130, 43),
    Source.SCRIPTED: (138, 111, 174),
}


class LiveRerun:
    """Takes the Steps of a run, in their order.

    with LiveRerun("rerun+http://127.0.0.1:9876/proxy", name="peg", cameras=("wrist",), q=q) as live:  # or a .rrd
        live.step(step)
    A viewer that is not there, or goes, costs nothing: Rerun drops what it cannot send.
    """

    def __init__(
        self,
        where: str,
        *,
        name: str,
        cameras: Sequence[str],
        q: Callable[[Observation, Array], float] | None = None,
    ) -> None:
        """where: a viewer's address (`rerun` prints its own), or a file that ends in .rrd. q: value of an action.

        Raises ConfigError for any other word, and where Rerun is not installed.
        """
        if not (where.startswith("rerun+http") or where.endswith(".rrd")):
            raise ConfigError(
                f"rerun is '{where}'; give a viewer's address (rerun+http://127.0.0.1:9876/proxy) or a file (.rrd)"
            )
        try:
            import rerun
        except ImportError:
            raise ConfigError("Rerun is not installed; pip install rerun-sdk, or leave --rerun out") from None
        self._rr, self._where, self._name, self._q = rerun, where, name, q
        self._cameras = tuple(cameras)
        self._n, self._episode = 0, ""
        self._way: list[Array] = []
        self._recording: Any = None

    def __enter__(self) -> LiveRerun:
        self._recording = self._rr.RecordingStream("o2o_robot", recording_id=self._name)
        if self._where.endswith(".rrd"):
            Path(self._where).parent.mkdir(parents=True, exist_ok=True)
            self._recording.save(self._where, default_blueprint=self._layout())
        else:
            self._recording.connect_grpc(self._where, default_blueprint=self._layout())
        return self

    def __exit__(self, *error: object) -> None:
        self._recording.disconnect()

    def step(self, step: Step) -> None:
        """What was seen and, but at the last step of an episode, what was done and what it is worth."""
        if step.episode != self._episode:
            self._episode = step.episode
            self._way.clear()
        self._at(step)
        for camera, image in step.observation.images.items():
            self._recording.log(f"cameras/{camera}", self._rr.Image(image).compress(jpeg_quality=80))
        self._tool(step)
        if step.executed is not None:
            self._done(step)
        self._n += 1

    def _at(self, step: Step) -> None:
        self._recording.set_time("step", sequence=self._n)
        self._recording.set_time("stamp", timestamp=np.datetime64(int(step.observation.stamp_ns), "ns"))

    def _tool(self, step: Step) -> None:
        position = step.observation.state.get(TOOL)
        if position is None or len(position) != 3:
            return
        self._way.append(np.asarray(position, np.float32))
        source = step.executed.source if step.executed is not None else Source.HOLD
        colour = _COLOURS.get(int(source), (138, 145, 156))
        self._recording.log("space/tool", self._rr.Points3D([position], radii=0.006, colors=[colour]))
        if len(self._way) > 1:
            self._recording.log("space/way", self._rr.LineStrips3D([np.array(self._way[-MOST_POINTS:])]))

    def _done(self, step: Step) -> None:
        executed = step.executed
        assert executed is not None
        curves = {"action": executed.values, "proposed": executed.proposed, "reward": [step.reward]}
        if self._q is not None:
            curves["q"] = [self._q(step.observation, executed.values)]
        for name, values in curves.items():
            self._recording.log(name, self._rr.Scalars(np.asarray(values, np.float64)))
        if executed.reasons:
            told = f"{step.episode}: guard: {', '.join(reason.names(int(executed.reasons)))}"
            self._recording.log("events", self._rr.TextLog(told, level="WARN"))
        if step.terminated or step.truncated:
            ended = f"{step.episode}: {'terminated' if step.terminated else 'truncated'}, reward {step.reward:g}"
            self._recording.log("events", self._rr.TextLog(ended, level="INFO"))

    def _layout(self) -> Any:
        import rerun.blueprint as rrb

        space = rrb.Spatial3DView(origin="space", name="tool")
        left = rrb.Vertical(
            rrb.Grid(*(rrb.Spatial2DView(origin=f"cameras/{name}", name=name) for name in self._cameras), space),
            rrb.TextLogView(origin="events", name="events"),
            row_shares=[3, 1],
        )
        right = rrb.Vertical(*(rrb.TimeSeriesView(origin=n, name=n) for n in ("action", "proposed", "reward", "q")))
        return rrb.Blueprint(rrb.Horizontal(left, right), rrb.TimePanel(timeline="step"))
