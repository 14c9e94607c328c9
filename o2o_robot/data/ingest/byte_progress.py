"""A progress bar by bytes, for work that is done in parts, some at once; shown only where there is time to watch it."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

_SHOW_AFTER_S = 2.0


class ByteProgress:
    """with ByteProgress("ingest", console) as progress:
    progress.expect([100, 200])        # bytes of each part
    progress.read(1, 50)               # 50 more bytes of part 1
    progress.finish(0)
    """

    def __init__(self, title: str, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task(title, total=None)
        self._console, self._clock, self._started_s = console, clock, clock()
        self._sizes: list[int] = []
        self._read: list[int] = []

    @property
    def n_bytes(self) -> int:
        """What has been read; never more of a part than it has."""
        return sum(self._read)

    def expect(self, sizes: list[int]) -> None:
        """The parts and their bytes are known."""
        self._sizes, self._read = list(sizes), [0] * len(sizes)
        self._bar.update(self._task, total=sum(sizes))

    def read(self, part: int, n_bytes: int) -> None:
        """n_bytes more of `part` were read. A part may be read twice, so what it has is the most that counts."""
        self._read[part] = min(self._sizes[part], self._read[part] + n_bytes)
        self._show()

    def finish(self, part: int) -> None:
        """`part` is done."""
        self._read[part] = self._sizes[part]
        self._show()

    def _show(self) -> None:
        self._bar.update(self._task, completed=self.n_bytes)
        is_shown = self._bar.live.is_started
        if not is_shown and self._console.is_terminal and self._clock() - self._started_s > _SHOW_AFTER_S:
            self._bar.start()

    def __enter__(self) -> ByteProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar.live.is_started:  # stopping what never started would print an empty line
            self._bar.stop()
