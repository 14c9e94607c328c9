"""A few frames of one episode, as the policy saw them, and which episodes are worth showing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from o2o_robot.report.gather import EpisodeLine
from o2o_robot.types import Array, Episode

N_FRAMES, GAP_PX, PAPER = 10, 2, 255


class Strip(NamedTuple):
    """sheet RGB uint8 (H, W, 3): a row a camera, a column a frame; times_s since the first observation."""

    sheet: Array
    times_s: tuple[float, ...]
    cameras: tuple[str, ...]
    side_px: int


class Pick(NamedTuple):
    """An episode to show, by its id; outcome is "success" or "failure", words say what it shows."""

    id: str
    outcome: str
    words: str


def filmstrip(episode: Episode, *, n_frames: int = N_FRAMES) -> Strip:
    """Frames evenly from the first to the last observation of an episode of square images, every camera.

    The sheet is always n_frames wide, so that all strips have one scale; a shorter episode leaves the rest blank.
    """
    rows = np.unique(np.linspace(0, len(episode), n_frames).round().astype(int))
    side = max(image.shape[1] for image in episode.images.values())
    sheet = np.full((len(episode.images) * (side + GAP_PX), n_frames * (side + GAP_PX), 3), PAPER, np.uint8)
    for r, image in enumerate(episode.images.values()):
        for c, row in enumerate(rows):
            top, left = r * (side + GAP_PX), c * (side + GAP_PX)
            sheet[top : top + image.shape[1], left : left + image.shape[2]] = image[row]
    times_s = (episode.stamp_ns[rows] - episode.stamp_ns[0]) / 1e9
    return Strip(sheet[:-GAP_PX, :-GAP_PX], tuple(times_s.tolist()), tuple(episode.images), side)


def choose(before: Sequence[EpisodeLine], after: Sequence[EpisodeLine]) -> tuple[tuple[Pick, ...], tuple[Pick, ...]]:
    """One success and one failure of each policy; where a scene was first failed and then solved, that scene twice.

    The other two are the success of median length and the first failure: neither the best nor the worst.
    """
    solved = {e.seed for e in after if e.is_success}
    gained = next((e.seed for e in before if not e.is_success and e.seed in solved), None)
    return (
        _picks(before, scene=gained, wanted=False, note="a scene that fine-tuning solved"),
        _picks(after, scene=gained, wanted=True, note="the scene that failed before"),
    )


def _picks(episodes: Sequence[EpisodeLine], *, scene: int | None, wanted: bool, note: str) -> tuple[Pick, ...]:
    """A success, then a failure; the `wanted` one of them in `scene`."""
    picks = []
    for is_success in (True, False):
        those = [e for e in episodes if e.is_success == is_success]
        if not those:
            continue
        shared = [e for e in those if e.seed == scene] if is_success == wanted else []
        typical = sorted(those, key=lambda e: e.n_steps)[len(those) // 2] if is_success else those[0]
        chosen = shared[0] if shared else typical
        outcome = "success" if is_success else "failure"
        words = f"{outcome}, scene {chosen.seed}, {chosen.n_steps} steps"
        picks.append(Pick(chosen.id, outcome, f"{words}: {note}" if shared else words))
    return tuple(picks)
