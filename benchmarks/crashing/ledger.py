"""What a run committed, and whether it is all there: the session's log against the store and the bags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from o2o_robot.data.bag import Bag
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError, O2OError
from o2o_robot.jsonfile import read_lines

LOST = ("fault", "operator")  # an episode ended for these was not whole: there is nothing to keep


@dataclass(frozen=True)
class Ledger:
    """committed: episodes that the session's log calls whole. damaged: a line for whatever cannot be read, or is twice.

    missing: of the committed, id -> steps that are not in the store or its bag. Somebody may still have them: the
    session's spool, for a recorder that is being started again.
    """

    committed: tuple[str, ...]
    damaged: tuple[str, ...]
    missing: dict[str, int]


def audit(run_dir: Path) -> Ledger:
    lines = list(read_lines(run_dir / "episodes.jsonl"))
    lengths = {line["id"]: line["n_steps"] for line in lines if _was_whole(line)}
    ids = [line["id"] for line in lines]
    damaged = [f"{one} is logged twice" for one in sorted({one for one in ids if ids.count(one) > 1})]
    missing: dict[str, int] = {}
    for look, place in ((_in_store, run_dir / "episodes.zarr"), (_in_bags, run_dir / "bags")):
        if place.exists():
            there, problems = look(place)
            damaged += problems
            short = {name: n - there.get(name, 0) for name, n in lengths.items() if there.get(name, 0) != n}
            missing |= {name: max(n, missing.get(name, 0)) for name, n in short.items()}
    return Ledger(tuple(lengths), tuple(damaged), missing)


def _was_whole(line: dict[str, object]) -> bool:
    return line["termination"] not in LOST


def _in_store(path: Path) -> tuple[dict[str, int], list[str]]:
    """Episode -> its steps, each read against its digest; and what is wrong."""
    lengths: dict[str, int] = {}
    try:
        store = EpisodeStore.open(path)
    except O2OError as problem:
        return {}, [str(problem)]
    with store:
        problems = [f"{number} has no readable marker" for number in store.unreadable]
        for index in range(len(store)):
            try:
                episode = store.read(index)
            except DataError as problem:
                problems.append(str(problem))
                continue
            name = episode.meta["id"]
            problems += [f"{name} is stored twice"] if name in lengths else []
            lengths[name] = len(episode)
    return lengths, problems


def _in_bags(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Episode -> its verdicts, of every finished bag; and what cannot be read."""
    lengths, problems = {}, []
    for path in sorted(folder.glob("*.mcap")):
        try:
            topics = [message.topic for message in Bag.open(path).messages(())]
            lengths[path.stem] = sum(topic.strip("/") == "executed_action" for topic in topics)
        except DataError as problem:
            problems.append(str(problem))
    return lengths, problems
