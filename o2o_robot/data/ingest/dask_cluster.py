"""A Dask cluster as the crew of an ingest. Its machines must see the bags and the store under the same paths."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from o2o_robot.config import as_mapping
from o2o_robot.data.ingest.workers import Answer, Task, answer_of, do_text, in_order
from o2o_robot.errors import ConfigError, O2OError

_CONNECT_S = 20


@dataclass(frozen=True)
class DaskCluster:
    """The workers of one scheduler. Dask itself sends pickles between its processes: join only clusters you trust."""

    client: Any

    @classmethod
    @contextmanager
    def connect(cls, address: str) -> Iterator[DaskCluster]:
        """The cluster at `address` (tcp://host:8786). Raises ConfigError where Dask or the cluster is not there."""
        try:
            from distributed import Client
        except ImportError:
            raise ConfigError("--dask needs Dask; pip install 'o2o_robot[dask]'") from None
        try:
            client = Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as problem:
            raise ConfigError(f"no Dask scheduler answers at {address} ({problem}); start `dask scheduler`") from None
        with client:
            yield cls(client)

    def answers(self, tasks: Iterable[Task], tell: Callable[[int, int], None]) -> Iterator[Answer]:
        """See workers.Crew. Progress within a task is not told."""

        def submit(number: int, task: Task) -> Callable[[], Answer]:
            future = self.client.submit(do_text, json.dumps(as_mapping(task)), pure=False)
            return lambda: _answer(future)

        return in_order(submit, tasks, ahead=2 * max(1, sum(self.client.nthreads().values())))


def _answer(future: Any) -> Answer:
    from distributed.scheduler import KilledWorker

    try:
        return answer_of(json.loads(future.result()))
    except KilledWorker as problem:
        return Answer(died=f"the Dask workers that read it died ({problem.last_worker.address} was the last)")
    except O2OError:
        raise
    except Exception as problem:  # a worker without our code, a lost connection, a cancelled future
        return Answer(died=f"Dask could not do it ({type(problem).__name__}: {problem})")
