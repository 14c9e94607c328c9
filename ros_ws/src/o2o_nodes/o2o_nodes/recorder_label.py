"""A person's late word on an episode that is on disk: service ~/label of recorder_node.

The store keeps what was recorded and lays the word over it (`EpisodeStore.correct`); a discard takes the episode out by
a tombstone, which any later word takes back. An episode that is not committed yet is refused: who labels comes again.
A bag is one file that cannot be written again: a discard removes it, and any other word goes into `labels.csv` beside
it, for `o2o label --from-file` once the bags are ingested.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from o2o_msgs.srv import LabelEpisode

from o2o_nodes.node import HouseNode
from o2o_robot.data.labels import Correction, OutcomeWord
from o2o_robot.data.relabel import require_word
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError, O2OError
from o2o_robot.labelling.from_file import COLUMNS

LABELS = "labels.csv"


class RecorderLabel:
    """label = RecorderLabel(node, store=store, bags=None): made once the store is open."""

    def __init__(self, node: HouseNode, *, store: EpisodeStore | None, bags: Path | None) -> None:
        self._node, self._store, self._bags = node, store, bags
        self._deleted: dict[str, str] = {}  # id -> number of what was discarded here
        node.create_service(LabelEpisode, "~/label", self._label)

    def _label(self, request: LabelEpisode.Request, answer: LabelEpisode.Response) -> LabelEpisode.Response:
        try:
            require_word(request.outcome)
            if self._store is not None:
                self._label_stored(request, self._store)
            if self._bags is not None:
                self._label_bag(request, self._bags)
            answer.success, answer.message = True, f"{request.episode}: {request.outcome}"
            self._node.get_logger().info(f"{answer.message}, by {request.by or 'somebody'}")
        except O2OError as problem:
            answer.message = str(problem)
        return answer

    def _label_stored(self, request: LabelEpisode.Request, store: EpisodeStore) -> None:
        at, episode = datetime.now(UTC).isoformat(timespec="seconds"), request.episode
        if episode in self._deleted:
            store.undelete(self._deleted.pop(episode), at=at)
        index = index_of(store, episode)
        if request.outcome == "discard":
            self._deleted[episode] = store.delete(index, f"discarded by {request.by or 'somebody'}", at=at)
            return
        store.correct(index, Correction(_word(request), by="hand", who=request.by, at=at, note=request.note))

    def _label_bag(self, request: LabelEpisode.Request, bags: Path) -> None:
        bag = bags / f"{request.episode}.mcap"
        if not bag.is_file():
            raise DataError(f"there is no {bag}; it is not written yet, or was discarded")
        rows = read_rows(bags / LABELS)
        rows.pop(request.episode, None)
        if request.outcome == "discard":
            bag.unlink()
        else:
            rows[request.episode] = {"episode": request.episode, "outcome": _word(request), "note": request.note}
        write_rows(bags / LABELS, rows)


def _word(request: LabelEpisode.Request) -> OutcomeWord:
    """As a store's labels have it."""
    return "unknown" if request.outcome == "incomplete" else cast(OutcomeWord, request.outcome)


def read_rows(path: Path) -> dict[str, dict[str, str]]:
    """The last word on each bag, by its episode's id; none where nobody said any."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {row["episode"]: row for row in csv.DictReader(file)}


def write_rows(path: Path, rows: Mapping[str, Mapping[str, str]]) -> None:
    aside = path.with_suffix(".part")
    with aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows.values())
    aside.replace(path)


def index_of(store: EpisodeStore, episode: str) -> int:
    """Where an episode lies in the store, the newest of that id. DataError where it does not."""
    for index in reversed(range(len(store))):
        if store.meta(index).get("id") == episode:
            return index
    raise DataError(f"episode '{episode}' is not in {store.path} (yet)")
