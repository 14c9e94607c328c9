"""A foreign dataset as a source: its episodes by number, some of them a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from o2o_robot.config import fingerprint
from o2o_robot.data.formats import Dataset, Wishes, open_dataset
from o2o_robot.data.ingest.job import Job, Look, Request, Tell, reason_of
from o2o_robot.data.ingest.origin import Origin
from o2o_robot.data.ingest.report import SourceReport
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, DataError, StoreError


@dataclass(frozen=True)
class DatasetSource:
    """One dataset of a known format. Its contract is the name of its format."""

    path: Path
    request: Request

    @property
    def dataset(self) -> Dataset:
        """Opened at first use. Raises DataError where it cannot be."""
        return _opened(self.path, self.request.created_at)

    @property
    def wishes(self) -> Wishes:
        asked = self.request
        side = {} if asked.image_side is None else {"image_side": asked.image_side}
        return Wishes(cameras=asked.cameras, state=asked.state, outcome=asked.outcome, task=asked.task, **side)

    def look(self, ranged: Container[str]) -> Look:
        """See job.Source. Raises DataError where the dataset cannot be opened, or claims no episode."""
        kind, n_episodes = self.dataset.kind, len(self.dataset)
        if n_episodes < 1:
            raise DataError(f"{self.path}: a {kind} dataset without episodes")
        seen = Look(str(self.path), kind, self.dataset.fingerprint(), kind, bytes_of(self.path), n_episodes)
        action_range = self.dataset.action_range()
        if action_range is None:  # the format promises [-1, 1]
            return seen
        low, high = (tuple(float(v) for v in side) for side in action_range)
        return dataclasses.replace(seen, is_scaled=True, low=low, high=high)

    def ingest(self, job: Job, sink: EpisodeStore, report: SourceReport, tell: Tell) -> None:
        """See job.Source. An episode that cannot be read is left out; the others are stored."""
        if job.problem:
            raise DataError(job.problem)
        origin = Origin(self.path.name, job.look.fingerprint, self.dataset.kind, fingerprint(self.wishes))
        for number in range(job.first, job.first + job.n):
            if number in job.skip:
                continue
            try:
                episode = self.dataset.read(number, self.wishes, job.action_range)
                of = job.look.n_episodes
                sink.append(origin.stamped(episode, number, of=of, created_at=self.request.created_at))
            except (StoreError, ConfigError):
                raise
            except Exception as problem:  # strangers' bytes
                report.left_out.append(f"episode {number}: {reason_of(problem)}")
                continue
            report.episodes.append(str(episode.meta["id"]))
            report.n_steps += len(episode)
            tell(job.look.n_bytes // job.look.n_episodes)


@lru_cache(maxsize=1)
def _opened(path: Path, run: str) -> Dataset:
    """The dataset, kept open from job to job of one run: reading a large index once, not for every job."""
    found = open_dataset(path)
    if found is None:
        raise DataError(f"{path}: not a dataset of a known format")
    return found


def bytes_of(path: Path) -> int:
    """Bytes of a file, or of all files under a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
