"""What can be ingested, a recording or a foreign dataset: how it is found, looked at, and made into episodes."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from o2o_robot.data.bag import find_bags
from o2o_robot.data.formats import is_dataset
from o2o_robot.data.ingest.job import Job, Look, Request, Source, Tell, reason_of
from o2o_robot.data.ingest.report import SourceReport
from o2o_robot.data.ingest.source_bag import BagSource
from o2o_robot.data.ingest.source_dataset import DatasetSource
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, StoreError


def open_source(path: Path, request: Request) -> Source:
    """The source at `path`. Raises DataError where it is of no known kind."""
    return DatasetSource(path, request) if is_dataset(path) else BagSource(path, request)


def find_sources(paths: Iterable[Path]) -> list[Path]:
    """Every dataset and every recording under `paths`, none twice; a path that is neither stays: opening it tells."""
    found: dict[Path, None] = {}
    for path in paths:
        datasets = list(_datasets(path))
        bags = [bag for bag in find_bags([path]) if not any(bag.is_relative_to(each) for each in datasets)]
        only_itself = bags == [path] and datasets and not path.is_file()
        found.update(dict.fromkeys([*datasets, *([] if only_itself else bags)]))
    return list(found)


def look(path: Path, request: Request, ranged: Container[str]) -> Look:
    """The source at a glance; one that cannot be read is a Look with a problem. ranged: contracts that have a range.

    Raises ConfigError where the request itself is wrong: no other source would fare better.
    """
    try:
        return open_source(path, request).look(ranged)
    except ConfigError:
        raise
    except Exception as problem:  # strangers' bytes: whatever they break, the other sources are still ingested
        return Look(str(path), problem=reason_of(problem))


def ingest(job: Job, request: Request, sink: EpisodeStore, tell: Tell = lambda n: None) -> SourceReport:
    """Append the job's episodes to `sink`. Raises StoreError and ConfigError: no other job would fare better."""
    report = SourceReport(job.look.path, job.look.kind, contract=job.look.contract)
    try:
        open_source(Path(job.look.path), request).ingest(job, sink, report, tell)
    except (StoreError, ConfigError):
        raise
    except Exception as problem:  # as in `look`
        report.left_out.append(reason_of(problem))
    return report.settle()


def _datasets(path: Path) -> Iterator[Path]:
    """Datasets at `path` or in the folders under it, in order of name; nothing inside a dataset or a hidden folder."""
    if is_dataset(path):
        yield path
        return
    for folder, inner, files in os.walk(path):
        names = sorted([*inner, *files])
        found = [name for name in names if not name.startswith(".") and is_dataset(Path(folder) / name)]
        yield from (Path(folder) / name for name in found)
        is_store = "zarr.json" in files  # one of our own, with a folder for each episode
        inner[:] = sorted(name for name in inner if name not in found and not name.startswith(".") and not is_store)
