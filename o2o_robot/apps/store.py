"""Look after an episode store: `o2o store list data/peg.zarr`; delete, undelete, compact, merge, verify, migrate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import tyro
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, track
from rich.table import Table

from o2o_robot.data.archive import merge as merging
from o2o_robot.data.archive.migrate import SCHEMA_VERSION
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError, StoreError
from o2o_robot.terminal import table_console

Store = Annotated[Path, tyro.conf.Positional]
_T = TypeVar("_T")
Numbers = Annotated[tuple[str, ...], tyro.conf.Positional]


def show(store: Store, *, deleted: bool = False, limit: int = 0) -> int:
    """List the episodes of a store by number: the one thing about an episode that never changes.

    Args:
        store: an episode store.
        deleted: list those that were deleted, and why, instead.
        limit: at most this many, the last ones; 0 for all.
    """
    with EpisodeStore.open(store) as episodes:
        rows = list(_deleted_rows(episodes) if deleted else _rows(episodes))
        columns = ("number", "deleted at", "reason", "on disk") if deleted else _COLUMNS
        _print_table(columns, rows[-limit:] if limit else rows)
        _say(f"{store}: {len(episodes)} episodes, {episodes.n_steps} steps, {len(episodes.deleted)} deleted")
        for number in episodes.unreadable:
            _say(f"{number} has no readable marker and is left out; the next writer puts it aside")
    return 0


def delete(store: Store, numbers: Numbers, *, reason: str) -> int:
    """Take episodes out of all that reads the store. Nothing leaves the disk before `o2o store compact`.

    Args:
        store: an episode store.
        numbers: as `o2o store list` shows them; leading zeros may be left out.
        reason: what is wrong with them; kept with the deletion.
    """
    with EpisodeStore.open(store, "a") as episodes:
        chosen = list(dict.fromkeys(map(_number, _some(numbers))))
        for number in chosen:
            episodes.index(number)  # all are there, or none is deleted
        for number in chosen:
            episodes.delete(episodes.index(number), reason, at=_now())
        _say(f"{store}: {len(chosen)} deleted, {len(episodes)} episodes left; `o2o store undelete` takes it back")
    return 0


def undelete(store: Store, numbers: Numbers) -> int:
    """Take back deletions, of episodes that were not compacted away since.

    Args:
        store: an episode store.
        numbers: as `o2o store list --deleted` shows them.
    """
    with EpisodeStore.open(store, "a") as episodes:
        chosen = list(dict.fromkeys(map(_number, _some(numbers))))
        episodes.check_undelete(chosen)
        for number in chosen:
            episodes.undelete(number, at=_now())
        _say(f"{store}: {len(chosen)} back, {len(episodes)} episodes")
    return 0


def compact(store: Store) -> int:
    """Remove deleted episodes from the disk, for good.

    Args:
        store: an episode store.
    """
    with EpisodeStore.open(store, "a") as episodes:
        gone = episodes.compact()
        _say(f"{store}: deleted episodes removed: {len(gone.numbers)}, {gone.n_bytes / 1e6:.2f} MB freed")
    return 0


def merge(stores: Annotated[tuple[Path, ...], tyro.conf.Positional], *, out: Path, move: bool = False) -> int:
    """Take the episodes of several stores into one, corrections with them; what is there already is skipped.

    Args:
        stores: the stores to take from, in this order.
        out: the store to take them into; made where it is not there.
        move: leave nothing behind in `stores`: quick, and no second copy on the disk.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(EpisodeStore.open(path, "a" if move else "r")) for path in _some(stores)]
        merging.check_alike(opened)  # before `out` is made
        target = stack.enter_context(EpisodeStore.open_or_create(out))
        with _progress("merge", sum(map(len, opened))) as tell:
            merged = merging.merge(opened, target, move=move, tell=tell)
        for path, n_skipped in Counter(twin.store.path for twin in merged.skipped).items():
            _say(f"{path}: {n_skipped} episodes were there already")
        _say(f"{out}: {len(merged.adopted)} episodes taken, {len(merged.skipped)} skipped, {len(target)} now")
    return 0


def verify(store: Store) -> int:
    """Read all of a store and check it against its digests. Exit code 1 where an episode is damaged.

    Args:
        store: an episode store.
    """
    with EpisodeStore.open(store) as episodes:
        damaged = [f"{number} has no readable marker" for number in episodes.unreadable]
        for index in track(range(len(episodes)), "verify", console=_console(), transient=True):
            damaged += _damage(episodes, index)
        for line in damaged:
            _say(line)
        _say(f"{store}: {len(episodes)} episodes read, {len(damaged)} damaged")
    return 1 if damaged else 0


def migrate(store: Store) -> int:
    """Bring a store of an older schema to this one, in place. Opening it to append does the same.

    Args:
        store: an episode store.
    """
    with EpisodeStore.open(store, "a") as episodes:
        was = episodes.migrated_from
        done = f"is of schema version {was} already" if was == SCHEMA_VERSION else f"was of schema version {was}"
        _say(f"{store} {done}; this is {SCHEMA_VERSION}")
    return 0


WORDS: dict[str, Callable[..., int]] = {
    "list": show,
    "delete": delete,
    "undelete": undelete,
    "compact": compact,
    "merge": merge,
    "verify": verify,
    "migrate": migrate,
}
_COLUMNS = ("number", "id", "mode", "outcome", "ended by", "steps", "corrected by", "source", "made at")


def _rows(episodes: EpisodeStore) -> Iterator[tuple[str, ...]]:
    for index in range(len(episodes)):
        meta, label = episodes.meta(index), episodes.correction(index)
        facts = [str(meta.get(key, "")) for key in ("id", "mode", "outcome", "termination")]
        made = meta.get("provenance") or {}
        by = "" if label is None or label.is_recorded else " ".join(filter(None, (label.by, label.who)))
        origin = (str(made.get("source", "")), str(made.get("created_at", "")))
        yield (episodes.number(index), *facts, str(episodes.length(index)), by, *origin)


def _deleted_rows(episodes: EpisodeStore) -> Iterator[tuple[str, ...]]:
    for number, tombstone in episodes.deleted.items():
        is_there = (episodes.path / "episodes" / number).exists()
        yield number, tombstone.at, tombstone.reason, "yes" if is_there else "compacted away"


def _damage(episodes: EpisodeStore, index: int) -> list[str]:
    """What is wrong with an episode, or with what was corrected about it."""
    try:
        episodes.read(index)
    except DataError as problem:
        return [str(problem)]
    return []


def _number(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise StoreError(f"'{text}' is no episode's number; give one as `o2o store list` shows it, like 000012 or 12")
    return f"{int(text):06d}"


def _some(given: tuple[_T, ...]) -> tuple[_T, ...]:
    if not given:
        raise StoreError("nothing was named; add one or more after the store (o2o store --help shows the order)")
    return given


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar that is told how many are done."""
    with Progress(console=_console(), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda n_done: bar.update(task, completed=n_done)


def _print_table(columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("number", "outcome", "steps"))
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    if table.row_count:
        table_console().print(table)


def _say(line: str) -> None:
    table_console().print(line, markup=False, highlight=False, soft_wrap=True)


def _console() -> Console:
    return Console(stderr=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
