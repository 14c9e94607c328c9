"""Resident memory of every node over the hours, and when trouble was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from soaking.verdict import Moment, Sample


def draw(path: Path, samples: Sequence[Sample], kills: Sequence[Moment]) -> None:
    """One line a process: a new one begins where a node was started again."""
    figure, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    nodes = sorted({sample.node for sample in samples})
    colours = dict(zip(nodes, plt.get_cmap("tab10").colors, strict=False))
    for node, pid in sorted({(sample.node, sample.pid) for sample in samples}):
        own = [sample for sample in samples if (sample.node, sample.pid) == (node, pid)]
        axes.plot([s.t_s / 60 for s in own], [s.rss / 2**20 for s in own], color=colours[node])
    for kill in kills:
        axes.axvline(kill.t_s / 60, color="0.8", linewidth=0.8, zorder=0)
    for node in nodes:
        axes.plot([], [], color=colours[node], label=node)
    axes.set(xlabel="minutes", ylabel="resident memory (MB)", ylim=(0, None))
    axes.set_title("Resident memory of each node; grey: a node was killed", loc="left")
    axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    figure.savefig(path, dpi=120)
    plt.close(figure)
