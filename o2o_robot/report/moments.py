"""What a visitor wants to see: the first success of the run, the last, and one of every mode of failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import O2OError
from o2o_robot.report import failures, figures
from o2o_robot.report.failures import Cluster, Ended
from o2o_robot.report.filmstrip import GAP_PX, filmstrip
from o2o_robot.report.gather import EpisodeLine, RunFacts
from o2o_robot.report.plots import Plot
from o2o_robot.types import Episode

MOST_READ = 300  # episodes of each outcome that are looked at, the latest: a report is written in a minute


class FailureRow(NamedTuple):
    """A mode of failure in the table: how many episodes, and how many of them in each half of the training."""

    name: str
    n: int
    first_half: int
    second_half: int
    typical: str


class Moments(NamedTuple):
    """strips: first and last success, then a typical failure of each cluster; note: how the clusters were found."""

    strips: tuple[Plot, ...]
    rows: tuple[FailureRow, ...]
    note: str

    @property
    def failure_names(self) -> tuple[str, ...]:
        """Names of the strips that show failures."""
        return tuple(f"failure_{k}" for k in range(len(self.rows)))


def moments(run: RunFacts) -> Moments:
    """Of the stage that has most to tell, fine-tuning or the only one; nothing where it has no store of pictures."""
    stage = run.only_stage or "finetune"
    lines = [line for line in run.stages[stage].episodes if not line.is_discarded]
    if not lines:
        return Moments((), (), "")
    try:
        with EpisodeStore.open(run.store(stage)) as store:
            return _of_store(_Reader(store), lines)
    except (O2OError, OSError) as problem:
        return Moments((Plot("moments", "", lacks=str(problem)),), (), "")


class _Reader:
    """Episodes of a store by their ids."""

    def __init__(self, store: EpisodeStore) -> None:
        self._store = store
        self._index = {str(store.meta(i).get("id", i)): i for i in range(len(store))}

    def __contains__(self, id_: str) -> bool:
        return id_ in self._index

    def read(self, id_: str) -> Episode:
        return self._store.read(self._index[id_])


def _of_store(reader: _Reader, lines: Sequence[EpisodeLine]) -> Moments:
    stored = [line for line in lines if line.id in reader]
    won = [line for line in stored if line.is_success]
    lost = [line for line in stored if line.outcome == "failure"]
    strips = list(_ends(reader, won, len(lines)))
    found = failures.cluster(_ended(reader, lost), _ended(reader, won[-60:]))
    place = {line.id: k for k, line in enumerate(lines)}
    rows = tuple(_row(each, place, len(lines)) for each in found.clusters)
    for k, row in enumerate(rows):
        name = row.name[0].upper() + row.name[1:]
        text = f"{name}. {row.n} of {len(lost)} failures; shown is the one in the middle, {row.typical}."
        strips += _strip(reader, f"failure_{k}", row.typical, text)
    return Moments(tuple(strips), rows, _note(len(lost), len(found.clusters), found.silhouette))


def _ends(reader: _Reader, won: Sequence[EpisodeLine], n: int) -> Iterator[Plot]:
    for name, words, line in (("first", "first", won[0]), ("last", "latest", won[-1])) if won else ():
        text = f"The {words} of {len(won)} successes in {n} episodes: {line.id}, {line.n_steps} steps."
        yield from _strip(reader, f"{name}_success", line.id, text)
        if len(won) == 1:
            return


def _strip(reader: _Reader, name: str, id_: str, text: str) -> list[Plot]:
    """The filmstrip of an episode; nothing where it has no pictures."""
    episode = reader.read(id_)
    if not episode.images:
        return []
    film = filmstrip(episode)
    figure = figures.strip(film.sheet, times_s=film.times_s, cameras=film.cameras, side_px=film.side_px, gap_px=GAP_PX)
    return [Plot(name, text, figures.png(figure), is_photo=True)]


def _ended(reader: _Reader, lines: Sequence[EpisodeLine]) -> list[Ended]:
    return [failures.ended(reader.read(line.id)) for line in lines[-MOST_READ:]]


def _row(found: Cluster, place: dict[str, int], n: int) -> FailureRow:
    early = sum(place[id_] < n / 2 for id_ in found.ids)
    return FailureRow(found.name, len(found.ids), early, len(found.ids) - early, found.typical)


def _note(n_lost: int, n_clusters: int, silhouette: float) -> str:
    if not n_lost:
        return "No episode failed."
    told = "Failures are parted by the tool's path and the last pictures"
    if n_clusters < 2:
        return f"{told}; these {n_lost} show no clear groups, so they are one."
    return f"{told} (Ward's clustering, mean silhouette {silhouette:.2f}; 1 is well apart, below 0.4 none is claimed)."
