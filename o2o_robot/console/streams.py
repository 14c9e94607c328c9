"""Every node's word on /diagnostics, as two tables: how the nodes are, and how fast and how old each stream is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from o2o_robot.black_box.stops import SILENT_S
from o2o_robot.vitals import Level

MAX_NODES, MAX_STREAMS, MAX_WORDS = 40, 60, 200
HIDDEN = ("diagnostics", "parameter_events", "clock")


class Nodes:
    """`hear` each status as it comes; `facts` for the board. Times of one steady clock, s."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._nodes: dict[str, dict[str, Any]] = {}
        self._streams: dict[str, dict[str, dict[str, Any]]] = {}  # stream -> node -> what it says

    def hear(self, name: str, level: int, message: str, values: Mapping[str, str]) -> None:
        if name not in self._nodes and len(self._nodes) >= MAX_NODES:
            return
        word = Level(level).name if level in list(Level) else "ERROR"
        self._nodes[name] = {"name": name[:60], "level": word, "message": message[:MAX_WORDS], "at": self._clock()}
        for key, value in values.items():
            stream, _, what = key.rpartition(" ")
            if what in ("hz", "age_s") and stream and stream.lstrip("/") not in HIDDEN:
                self._note(stream.lstrip("/"), name, what, value)

    def facts(self) -> dict[str, Any]:
        now_s = self._clock()
        nodes = sorted(self._nodes.values(), key=lambda one: one["name"])
        return {
            "nodes": [{**one, "silent": now_s - one["at"] > SILENT_S and one["level"] != "STALE"} for one in nodes],
            "streams": [row for row in self._rows() if row["hz"] is not None],  # an age alone is no stream's
        }

    def _note(self, stream: str, node: str, what: str, value: str) -> None:
        if stream not in self._streams and len(self._streams) >= MAX_STREAMS:
            return
        try:
            number = float(value)
        except ValueError:
            number = float("nan")  # "never heard"
        said = self._streams.setdefault(stream, {}).setdefault(node, {})
        said |= {what: number, "at": self._clock()}

    def _rows(self) -> list[dict[str, Any]]:
        return [self._row(stream, by) for stream, by in sorted(self._streams.items())]

    @staticmethod
    def _row(stream: str, by: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Of several readers the one who last heard it longest ago: the worst is what matters."""

        def silence(node: str) -> float:
            age_s = by[node].get("age_s", float("nan"))
            return age_s if age_s == age_s else float("inf")

        node = max(sorted(by), key=silence)
        said = by[node]
        return {"name": stream, "hz": said.get("hz"), "age_s": said.get("age_s"), "at": said["at"], "by": node}
