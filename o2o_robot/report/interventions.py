"""What people did while the policy learned: a figure, the counts, and the hint when to do less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from o2o_robot.diagnostics.interventions import LEARNING, WINDOW, Hands, facts, hint_of, rolling
from o2o_robot.report import figures
from o2o_robot.report.gather import EpisodeLine, RunFacts
from o2o_robot.report.plots import Plot
from o2o_robot.types import Mode

PERSON = "#d9822b"
CAPTION = (
    "Episodes of online learning in order. Top: how often the person took over; a dot an episode (green: it "
    f"succeeded), the line is the mean of the latest {WINDOW}. Middle: share of steps by hand. Bottom: success of all "
    "episodes, and of those that nobody touched. Look for help that falls while the untouched ones succeed more."
)


class Interventions(NamedTuple):
    """plot: the figure; rows: (what, value) for a table; hint: when to do less, or "". All empty: nobody took over."""

    plot: Plot | None = None
    rows: tuple[tuple[str, str], ...] = ()
    hint: str = ""

    @property
    def plots(self) -> tuple[Plot, ...]:
        return () if self.plot is None else (self.plot,)


def interventions(run: RunFacts) -> Interventions:
    """Of the fine-tuning; empty where nobody took over in it."""
    episodes = tuple(map(_hands, _counted(run.stages["finetune"].episodes)))
    if not any(e.interventions for e in episodes):
        return Interventions()
    online = [e for e in episodes if e.mode == Mode.ONLINE.value]
    hint = hint_of(episodes)
    plot = Plot("interventions", CAPTION, figures.png(_draw(online)))
    return Interventions(plot, _rows(facts(episodes)), hint.words if hint else "")


def _counted(lines: Sequence[EpisodeLine]) -> list[EpisodeLine]:
    return [e for e in lines if e.mode in LEARNING and not e.is_discarded and e.outcome in ("success", "failure")]


def _hands(line: EpisodeLine) -> Hands:
    return Hands(line.mode, line.n_steps, line.steps_human, line.interventions, line.is_success)


def _rows(found: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    first, last = found["interventions_per_episode_first"], found["interventions_per_episode_last"]
    return (
        ("interventions", f"{found['interventions']}, {found['interventions_per_episode']:.2f} an online episode"),
        (f"an episode, first {WINDOW} and latest {WINDOW}", f"{first:.2f} and {last:.2f}"),
        ("steps by hand", f"{found['steps_human']}, {100 * found['human_share']:.0f} % of the online steps"),
        (f"of the latest {WINDOW} episodes", f"{100 * found['human_share_last']:.0f} %"),
    )


def _draw(online: Sequence[Hands]) -> Figure:
    figure = Figure(figsize=(figures.WIDTH_IN, 5.2), layout="constrained")
    panels = list(figure.subplots(3, 1, sharex=True, height_ratios=(1.3, 1, 1.3)).flat)
    x, won = np.arange(1, len(online) + 1), np.array([e.is_success for e in online])
    times, share = np.array([e.interventions for e in online]), np.array([e.human_share for e in online])
    for mask, colour in ((won, figures.GOOD), (~won, figures.BAD)):
        panels[0].scatter(x[mask], times[mask], s=13, color=colour, alpha=0.65, linewidths=0)
    panels[0].plot(x, rolling(times), color=PERSON)
    panels[0].set(ylabel="interventions", ylim=(-0.25, max(1, times.max()) + 0.4))
    panels[0].yaxis.get_major_locator().set_params(integer=True)
    panels[1].bar(x, share, width=1.0, color=PERSON, alpha=0.45, linewidth=0)
    panels[1].plot(x, rolling(share), color=PERSON)
    panels[1].set(ylabel="steps by hand", ylim=(0, 1.05))
    _success(panels[2], x, won, times == 0)
    panels[2].set(xlabel="online episode", xlim=(0.2, len(online) + 0.8))
    for axes in panels[1:]:
        axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    figure.align_ylabels(panels)
    return figure


def _success(axes: Axes, x: np.ndarray, won: np.ndarray, alone: np.ndarray) -> None:
    axes.plot(x, rolling(won), color=figures.AFTER, label="all episodes")
    if alone.any():
        axes.plot(x[alone], rolling(won[alone]), color=figures.INK, linestyle=(0, (3, 1.5)), label="untouched ones")
    axes.set(ylabel="success", ylim=(-0.04, 1.04))
    axes.legend(loc="lower right")
