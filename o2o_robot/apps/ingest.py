"""Turn recordings and foreign datasets into an episode store: `o2o ingest bags/ --out data/peg.zarr`."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from o2o_robot.data.bag import Bag, find_bags
from o2o_robot.data.contract import load_contract
from o2o_robot.data.formats import is_dataset
from o2o_robot.data.ingest import report as ingest_report
from o2o_robot.data.ingest.byte_progress import ByteProgress
from o2o_robot.data.ingest.job import Job, Look, Request
from o2o_robot.data.ingest.prepare import plan_of, ranged_contracts
from o2o_robot.data.ingest.report import REPORT, SourceReport
from o2o_robot.data.ingest.sources import find_sources
from o2o_robot.data.ingest.workers import Crew, Task, crew
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError
from o2o_robot.terminal import table_console
from o2o_robot.types import Outcome

_SAY_EACH = 12  # sources; of more only those are named that have something to say
_INCOMING = ".incoming"


def main(
    bags: Annotated[list[Path], tyro.conf.Positional],
    *,
    out: Path | None = None,
    contract: str | None = None,
    outcome: Literal["success", "failure"] | None = None,
    hz: float | None = None,
    image_side: int | None = None,
    task: str = "",
    cameras: tuple[str, ...] = (),
    state: tuple[str, ...] = (),
    workers: int = 1,
    dask: str | None = None,
    suggest: bool = False,
) -> int:
    """Turn recordings (rosbag2 folders, .mcap, .db3) and datasets (LeRobot, robomimic, ...) into an episode store.

    What cannot be read is left out with one line, the rest is ingested; STORE/ingest_report.json accounts for every
    message. What is in the store already is passed over, so the same command can be given again.

    Args:
        bags: bags and datasets, or folders to search for them.
        out: the store to make or to append to, e.g. data/peg.zarr; with --suggest the file to write.
        contract: YAML file or name of a shipped contract (twin, g1, ats); without it the one that fits is taken.
        outcome: how recordings without rewards ended; success puts reward 1 on their last step and terminates there.
        hz: ticks a second, in place of the contract's.
        image_side: pixels, in place of the contract's.
        task: name stored with episodes that do not name their task.
        cameras: those to take of a dataset, by its own names; all unless told.
        state: state keys to take of a dataset, by its own names; all unless told.
        workers: processes that read sources side by side; the store is the same for any number.
        dask: address of a Dask scheduler to use instead, e.g. tcp://host:8786; it must see the same paths.
        suggest: write a contract for the one bag given, and store nothing.

    Returns 0, or 1 where something was left out.
    """
    if suggest:
        return _suggest(bags, out)
    if out is None:
        raise ConfigError("say where the store is to be: --out data/NAME.zarr")
    request = Request(
        load_contract(contract) if contract else None,
        Outcome(outcome) if outcome else None,
        hz,
        image_side,
        task,
        cameras,
        state,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    console = table_console(soft_wrap=True, highlight=False)
    reports: list[SourceReport] = []
    with EpisodeStore.open_or_create(out) as store:
        try:
            # other machines have another working directory
            paths = find_sources(bags if dask is None else [path.absolute() for path in bags])
            with closing(_ingest_all(paths, store, request, workers=workers, dask=dask, console=console)) as coming:
                for report in coming:
                    reports.append(report)
                    if len(paths) <= _SAY_EACH or report.notes or not report.is_complete:
                        ingest_report.say(report, console)
        finally:
            ingest_report.write(store.path / REPORT, reports)
    ingest_report.show(reports, console)
    console.print(ingest_report.summary(reports, out), markup=False)
    return 0 if reports and all(report.is_complete for report in reports) else 1


def _ingest_all(
    paths: list[Path], store: EpisodeStore, request: Request, *, workers: int, dask: str | None, console: Console
) -> Generator[SourceReport, None, None]:
    """Look at every source, settle the action ranges, then do every job; one report a source, in order."""
    apart = any(map(is_dataset, paths))
    with (
        _incoming(store) as scratch,
        crew(workers, dask, store, apart=apart) as hands,
        ByteProgress("ingest", console) as progress,
    ):
        ranged = ranged_contracts(store)
        looks = [Task(request, path=str(path), ranged=tuple(ranged)) for path in paths]
        answers = hands.answers(looks, lambda i, n: None)
        seen = [
            answer.look or Look(task.path, problem=answer.died) for task, answer in zip(looks, answers, strict=True)
        ]
        plan = plan_of(seen, store, ranged)
        progress.expect([job.look.n_bytes * job.n // job.look.n_episodes for job in plan.jobs])
        yield from plan.reports(_do(plan.jobs, hands, store, request, scratch, progress))


def _do(
    jobs: list[Job], hands: Crew, store: EpisodeStore, request: Request, scratch: Path, progress: ByteProgress
) -> Iterator[SourceReport]:
    """The report of every job, in order, its episodes in the store."""
    tasks = [Task(request, job=job, scratch=str(scratch / f"{i:06d}")) for i, job in enumerate(jobs)]
    for i, answer in enumerate(hands.answers(tasks, progress.read)):
        if answer.report is not None:
            _adopt(scratch / f"{i:06d}", store)
        progress.finish(i)
        yield answer.report or _lost(jobs[i], answer.died)


def _adopt(scratch: Path, store: EpisodeStore) -> None:
    """Take in what a worker has made, where it was not this process that wrote into the store itself."""
    if scratch.exists():
        with EpisodeStore.open(scratch, "a") as made:
            store.adopt(made, move=True)
        shutil.rmtree(scratch)


def _lost(job: Job, how: str) -> SourceReport:
    what = f"episodes {job.first} to {job.first + job.n - 1}: " if job.look.kind != "bag" else ""
    return SourceReport(job.look.path, job.look.kind, contract=job.look.contract, left_out=[what + how]).settle()


@contextmanager
def _incoming(store: EpisodeStore) -> Iterator[Path]:
    """A folder for what workers make, beside the episodes; those of ingests that were killed go."""
    incoming = store.path.resolve() / _INCOMING
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(exist_ok=True)  # a worker of a killed ingest may be about to end in there
    try:
        yield Path(tempfile.mkdtemp(dir=incoming))
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _suggest(bags: list[Path], out: Path | None) -> int:
    """Write a contract for the one bag of `bags`, to `out` or to the prompt, and say what to do with it."""
    from o2o_robot.data.suggest.suggest import suggest

    paths = find_bags(bags)
    if len(paths) != 1:
        raise ConfigError(f"--suggest takes one bag, {len(paths)} were found; name one of them")
    text = suggest(Bag.open(paths[0]))
    if out is None:
        print(text)
    else:
        _write_new(out, text)
    name = out or "CONTRACT.yaml"
    told = f"check it, then: o2o ingest {shlex.quote(str(paths[0]))} --contract {name} --out data/NAME.zarr"
    print(f"o2o ingest: {told}", file=sys.stderr)
    return 0


def _write_new(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            file.write(text)
    except OSError as problem:
        raise ConfigError(f"cannot write the contract to {path} ({problem.strerror}); choose another file") from None
