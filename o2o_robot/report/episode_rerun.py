"""An episode in Rerun: pictures, state, action, reward and the guard's reasons, on two timelines. Rerun enters here."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from o2o_robot.data.bags import encode
from o2o_robot.data.bags.episode_mcap import source_name
from o2o_robot.errors import DataError, StoreError
from o2o_robot.safety import reason
from o2o_robot.types import Array, Episode, Source

_APPLICATION = "o2o_robot"
_SOURCES: dict[int, str] = {
    Source.POLICY: "#1f77a4",
    Source.TELEOP: "#e0a030",
    Source.SCRIPTED: "#8a6fae",
    Source.HOLD: "#8a919c",
}

_PALETTE = ("#1f77a4", "#e0a030", "#2e8b57", "#c0504d", "#8a6fae", "#3fb0b0", "#8a919c", "#7a5c3a")


def save(episode: Episode, name: str, path: Path) -> Path:
    """Write the episode as an .rrd file, which `rerun FILE` opens. Raises DataError: no Rerun; StoreError: no file."""
    rr = _rerun()
    recording = rr.RecordingStream(_APPLICATION, recording_id=name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        recording.save(path, default_blueprint=_layout(episode))
    except (OSError, RuntimeError) as problem:
        raise StoreError(f"{path} cannot be written ({problem}); choose another place with --save") from None
    _log(recording, episode, name)
    recording.disconnect()
    return path


def show(episode: Episode, name: str) -> None:
    """Open Rerun's viewer on the episode. Raises DataError where there is no Rerun, or no screen for it."""
    rr = _rerun()
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise DataError("there is no screen (DISPLAY is not set) for Rerun's viewer; write a file: --save FILE.rrd")
    recording = rr.RecordingStream(_APPLICATION, recording_id=name)
    try:
        recording.spawn(default_blueprint=_layout(episode))
    except (OSError, RuntimeError) as problem:
        raise DataError(f"Rerun's viewer does not start ({problem}); write a file instead: --save FILE.rrd") from None
    _log(recording, episode, name)
    recording.flush()


def _rerun() -> Any:
    try:
        import rerun
    except ModuleNotFoundError:
        raise DataError("Rerun is not installed; pip install rerun-sdk, or write a file for Foxglove: --mcap") from None
    return rerun


def _log(recording: Any, episode: Episode, name: str) -> None:
    """Send all of the episode: timelines `step` (row) and `stamp` (the sensor's clock)."""
    rr = _rerun()
    recording.send_recording_name(name)
    facts = "\n".join(f"- **{key}**: {value}" for key, value in sorted(episode.meta.items()))
    recording.log("facts", rr.TextDocument(facts, media_type=rr.MediaType.MARKDOWN), static=True)
    for camera, frames in episode.images.items():
        _pictures(recording, f"cameras/{camera}", frames, episode.stamp_ns)
    for field, values in episode.state.items():
        _curves(recording, f"state/{field}", values, episode.stamp_ns)
    for field in ("action", "proposed", "reward"):
        _curves(recording, field, getattr(episode, field).reshape(len(episode), -1), episode.stamp_ns[:-1])
    if "tool_position_m" in episode.state and episode.state["tool_position_m"].shape[1] == 3:
        _path(recording, episode)
    _events(recording, episode)


def _pictures(recording: Any, entity: str, frames: Array, stamp_ns: Array) -> None:
    """PNG loses nothing and is a fraction of the pixels."""
    rr = _rerun()
    blobs = [encode.png(frame) for frame in frames]
    columns = rr.EncodedImage.columns(blob=blobs, media_type=["image/png"] * len(blobs))
    recording.send_columns(entity, _times(stamp_ns), columns)


def _curves(recording: Any, entity: str, values: Array, stamp_ns: Array) -> None:
    """A curve a column of values (N, k)."""
    rr = _rerun()
    names = [f"{entity.rpartition('/')[2]}[{i}]" for i in range(values.shape[1])]
    colours = [_rgb(_PALETTE[i % len(_PALETTE)]) for i in range(len(names))]
    recording.log(entity, rr.SeriesLines(names=names, colors=colours), static=True)
    lengths = [values.shape[1]] * len(values)
    columns = rr.Scalars.columns(scalars=values.astype(np.float64).reshape(-1)).partition(lengths=lengths)
    recording.send_columns(entity, _times(stamp_ns), columns)


def _path(recording: Any, episode: Episode) -> None:
    """The way of the tool in space, coloured by who moved it, and a point that runs along it."""
    rr = _rerun()
    position = episode.state["tool_position_m"]
    runs = np.flatnonzero(np.diff(episode.source, prepend=-1, append=-1))
    parts = [position[a : b + 1] for a, b in itertools.pairwise(runs)]
    colours = [_SOURCES.get(int(episode.source[a]), "#8a919c") for a in runs[:-1]]
    recording.log("space/path", rr.LineStrips3D(parts, colors=[_rgb(colour) for colour in colours]), static=True)
    columns = rr.Points3D.columns(positions=position, radii=np.full(len(position), 0.006))
    recording.send_columns("space/tool", _times(episode.stamp_ns), columns)


def _events(recording: Any, episode: Episode) -> None:
    """Text where something changed: who moves, what the guard did, the end."""
    rr = _rerun()
    for row, words, level in _told(episode):
        recording.set_time("step", sequence=row)
        recording.set_time("stamp", timestamp=np.datetime64(int(episode.stamp_ns[row]), "ns"))
        recording.log("events", rr.TextLog(words, level=level))
    recording.reset_time()


def _told(episode: Episode) -> Iterable[tuple[int, str, str]]:
    for row in range(len(episode)):
        if row == 0 or episode.source[row] != episode.source[row - 1]:
            yield row, f"moved by {source_name(int(episode.source[row]))}", "INFO"
        if episode.reasons[row]:
            yield row, "guard: " + ", ".join(reason.names(int(episode.reasons[row]))), "WARN"
    ended = "terminated" if episode.terminated[-1] else "truncated" if episode.truncated[-1] else "open"
    yield len(episode), f"{ended}, {episode.meta.get('outcome', 'no outcome')}", "INFO"


def _times(stamp_ns: Array) -> list[Any]:
    rr = _rerun()
    stamps = np.asarray(stamp_ns, np.int64).astype("datetime64[ns]")
    return [rr.TimeColumn("step", sequence=np.arange(len(stamps))), rr.TimeColumn("stamp", timestamp=stamps)]


def _layout(episode: Episode) -> Any:
    """Pictures and the tool's way on the left; action, state and reward as curves on the right; words below."""
    import rerun.blueprint as rrb

    seen: list[Any] = [rrb.Spatial2DView(origin=f"cameras/{camera}", name=camera) for camera in episode.images]
    if "tool_position_m" in episode.state:
        seen.append(rrb.Spatial3DView(origin="space", name="tool"))
    curves = [rrb.TimeSeriesView(origin=name, name=name) for name in ("action", "proposed", "reward")]
    fields = [rrb.TimeSeriesView(origin=f"state/{name}", name=name) for name in episode.state]
    words = rrb.Tabs(
        rrb.TextLogView(origin="events", name="events"), rrb.TextDocumentView(origin="facts", name="facts")
    )
    left = rrb.Vertical(rrb.Grid(*seen), words, row_shares=[3, 1]) if seen else words
    right = rrb.Vertical(*curves, rrb.Tabs(*fields, name="state"))
    return rrb.Blueprint(rrb.Horizontal(left, right), rrb.TimePanel(timeline="step"))


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue
