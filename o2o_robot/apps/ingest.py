"""Turn recordings into an episode store: `o2o ingest bags/ --out data/peg.zarr`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.progress import Progress

from o2o_robot.config import fingerprint
from o2o_robot.data.action_range import ActionRange, covering
from o2o_robot.data.assemble import Label, assemble, command_values
from o2o_robot.data.bag import Bag, find_bags
from o2o_robot.data.contract import Contract, choose_contract, load_contract, resolve
from o2o_robot.data.store import EpisodeStore
from o2o_robot.data.streams import Recording
from o2o_robot.errors import ConfigError, DataError, StoreError
from o2o_robot.types import Outcome

REPORT = "ingest_report.json"
_SAY_AFTER_S = 2.0
_SAY_EACH = 12  # bags; of more only those are named that have something to say
_EDGE_BYTES = 1 << 16


@dataclass
class BagReport:
    """What became of one bag; one of status `ingested`, `in part`, `in store` (it was there already), `left out`."""

    bag: str
    status: str = "left out"
    reason: str = ""
    contract: str = ""
    episodes: list[str] = field(default_factory=list)
    n_steps: int = 0
    notes: list[str] = field(default_factory=list)
    topics: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Settings:
    """What the command line said, the same for every bag."""

    contract: Contract | None
    outcome: Outcome | None
    hz: float | None
    image_side: int | None
    task: str


def main(
    bags: Annotated[list[Path], tyro.conf.Positional],
    *,
    out: Path,
    contract: str | None = None,
    outcome: Literal["success", "failure"] | None = None,
    hz: float | None = None,
    image_side: int | None = None,
    task: str = "",
) -> int:
    """Turn recordings (rosbag2 folders, .mcap and .db3 files, or folders of them) into an episode store.

    What cannot be read is left out with one line, the rest is ingested; STORE/ingest_report.json accounts for every
    message. A bag that is in the store already is passed over, so the same command can be given again.

    Args:
        bags: bags, or folders to search for them.
        out: the store to make or to append to, e.g. data/peg.zarr.
        contract: YAML file or name of a shipped contract (twin, g1, ats); without it the one that fits is taken.
        outcome: how recordings without rewards ended; success puts reward 1 on their last step and terminates there.
        hz: ticks a second, in place of the contract's.
        image_side: pixels, in place of the contract's.
        task: name stored with episodes that do not name their task.

    Returns 0, or 1 where something was left out.
    """
    console = Console(soft_wrap=True, highlight=False)
    chosen = load_contract(contract) if contract else None
    settings = _Settings(chosen, Outcome(outcome) if outcome else None, hz, image_side, task)
    reports: list[BagReport] = []
    with EpisodeStore.open_or_create(out) as store:
        try:
            paths = find_bags(bags)
            for report in _ingest_all(paths, store, settings, console):
                reports.append(report)
                if len(paths) <= _SAY_EACH or report.notes or report.status in ("left out", "in part"):
                    _say(report, console)
        finally:
            _write_report(store.path / REPORT, reports)
        n_episodes = sum(len(report.episodes) for report in reports)
        n_steps = sum(report.n_steps for report in reports)
    incomplete = [report for report in reports if report.status in ("left out", "in part")]
    console.print(
        f"{out}: {n_episodes} episodes, {n_steps} steps from {len(reports)} bags"
        + (f"; {len(incomplete)} bags left out or in part, see {out / REPORT}" if incomplete else ""),
        markup=False,
    )
    return 1 if incomplete or not reports else 0


def _ingest_all(paths: list[Path], store: EpisodeStore, settings: _Settings, console: Console) -> Iterator[BagReport]:
    ranges = _Ranges(paths, store, settings)
    stored = {meta["bag_fingerprint"] for meta in map(store.meta, range(len(store))) if "bag_fingerprint" in meta}
    started = time.monotonic()
    progress = Progress(console=console, transient=True)
    bar = progress.add_task("ingest", total=len(paths))
    try:
        for path in paths:
            yield _ingest_one(path, store, settings, ranges, stored)
            progress.advance(bar)
            if console.is_terminal and time.monotonic() - started > _SAY_AFTER_S:
                progress.start()
    finally:
        if progress.live.is_started:  # stopping what never started would print an empty line
            progress.stop()


def _ingest_one(path: Path, store: EpisodeStore, settings: _Settings, ranges: _Ranges, stored: set[str]) -> BagReport:
    report = BagReport(str(path))
    recording = None
    try:
        bag = Bag.open(path)
        mark = _bag_fingerprint(bag)
        contract, names = _contract_for(bag, settings)
        report.contract = contract.name
        if mark in stored:
            report.status = "in store"
            return report
        recording = Recording.load(bag, names.values())
        label = Label(path.stem, settings.outcome, settings.task)
        made = assemble(recording, contract, names, label, ranges.of(contract))
        report.notes = made.notes
        provenance = {"bag": path.name, "bag_fingerprint": mark, "contract": contract.name}
        provenance["contract_fingerprint"] = fingerprint(contract)
        for episode in made.episodes:
            store.append(dataclasses.replace(episode, meta={**episode.meta, **provenance}))
            report.episodes.append(episode.meta["id"])
            report.n_steps += len(episode)
        stored.add(mark)
        report.status = "in part" if made.left_out else "ingested"
        report.reason = "; ".join(made.left_out)
    except (StoreError, ConfigError):
        raise  # the store or the command is wrong: no later bag would fare better
    except DataError as problem:
        report.reason = str(problem)
    except Exception as problem:  # strangers' bytes: whatever they break, the other bags are still ingested
        report.reason = f"unexpected {type(problem).__name__}: {problem}"
    if recording is not None:
        report.topics = recording.counts() if report.episodes else _all_dropped(recording)
    return report


def _contract_for(bag: Bag, settings: _Settings) -> tuple[Contract, dict[str, str]]:
    """The contract of this bag with the command line's wishes, and contract topic -> topic of the bag."""
    topics = bag.topics()
    if next(iter(bag.messages(())), None) is None:
        raise DataError(f"the recording is empty: no message on any of its {len(topics)} topics")
    contract = settings.contract or choose_contract(topics)
    names = resolve(contract, topics)
    if settings.hz is not None:
        contract = dataclasses.replace(contract, rate_hz=settings.hz)
    if settings.image_side is not None:
        images = {name: dataclasses.replace(each, side=settings.image_side) for name, each in contract.images.items()}
        contract = dataclasses.replace(contract, images=images)
    return contract, names


class _Ranges:
    """What -1 and +1 mean for the commands of a contract: its own low and high, else the store's, else the data's.

    One range for all episodes of a store: a range a bag would give one motion a different action in each of them.
    """

    def __init__(self, paths: list[Path], store: EpisodeStore, settings: _Settings) -> None:
        self._paths, self._store, self._settings = paths, store, settings
        self._known: dict[str, ActionRange] = {}

    def of(self, contract: Contract) -> ActionRange | None:
        action = contract.action
        if action.kind == "executed":
            return None
        if action.low:
            return ActionRange(np.array(action.low), np.array(action.high))
        if contract.name not in self._known:
            self._known[contract.name] = self._from_store(contract) or self._from_bags(contract)
        return self._known[contract.name]

    def _from_store(self, contract: Contract) -> ActionRange | None:
        for meta in map(self._store.meta, range(len(self._store))):
            if meta.get("contract") == contract.name and "action_low" in meta:
                return ActionRange(np.array(meta["action_low"]), np.array(meta["action_high"]))
        return None

    def _from_bags(self, contract: Contract) -> ActionRange:
        lows, highs = [], []
        for path in self._paths:
            try:
                bag = Bag.open(path)
                each, names = _contract_for(bag, self._settings)
                if each.name == contract.name:
                    recording = Recording.load(bag, [names[contract.action.topic]])
                    values = command_values(recording, contract, names).astype(np.float64)
                    lows.append(values.min(axis=0))
                    highs.append(values.max(axis=0))
            except Exception:
                continue
        sizes = {len(low) for low in lows}
        if len(sizes) != 1:
            raise DataError(f"contract '{contract.name}': commands hold {sorted(sizes)} values; ingest them apart")
        return covering(np.stack([*lows, *highs]))


def _all_dropped(recording: Recording) -> dict[str, dict[str, Any]]:
    """The counts of a recording of which nothing was stored."""
    counts = recording.counts()
    for count in counts.values():
        n = count["messages"]
        count.update(used=0, superseded=0, out_of_tolerance=0, dropped={"left_out": n} if n else {})
    return counts


def _bag_fingerprint(bag: Bag) -> str:
    """The same for the same recording wherever it lies: sizes and both ends of every file."""
    total = hashlib.sha256()
    for file in bag.files:
        size = file.stat().st_size
        with file.open("rb") as stream:
            total.update(f"{size};".encode() + stream.read(_EDGE_BYTES))
            stream.seek(max(0, size - _EDGE_BYTES))
            total.update(stream.read(_EDGE_BYTES))
    return total.hexdigest()[:32]


def _say(report: BagReport, console: Console) -> None:
    told = {
        "ingested": f"{len(report.episodes)} episodes, {report.n_steps} steps, contract {report.contract}",
        "in part": f"{len(report.episodes)} episodes, {report.n_steps} steps; left out: {report.reason}",
        "in store": "already in the store",
        "left out": report.reason.removeprefix(f"{report.bag}: "),
    }[report.status]
    line = f"{report.bag}: {'left out: ' if report.status == 'left out' else ''}{told}"
    console.print(" ".join(line.split()), markup=False)  # one line, whatever a foreign file put into its names
    for note in report.notes:
        console.print("  " + " ".join(note.split()), markup=False)


def _write_report(path: Path, reports: list[BagReport]) -> None:
    totals = Counter[str]()
    for report in reports:
        for count in report.topics.values():
            totals.update({key: count[key] for key in ("messages", "used", "superseded", "out_of_tolerance")})
            totals["dropped"] += sum(count["dropped"].values())
    status = Counter(report.status for report in reports)
    facts = {
        "bags": [dataclasses.asdict(report) for report in reports],
        "status": dict(status),
        "n_episodes": sum(len(report.episodes) for report in reports),
        "n_steps": sum(report.n_steps for report in reports),
        "totals": dict(totals),
    }
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(facts, indent=1))
    aside.replace(path)
