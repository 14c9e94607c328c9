"""What became of every source and every message: the JSON beside the store, and the table at the prompt."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from o2o_robot.jsonfile import write_json

REPORT = "ingest_report.json"
INCOMPLETE = ("left out", "in part")
_KEPT = ("used", "superseded", "out_of_tolerance")
_MOST_ROWS = 20  # topics in the table; a drone's bag has hundreds, and those that gave nothing share a row


@dataclass
class SourceReport:
    """What became of one source; one of status `ingested`, `in part`, `in store` (it was there already), `left out`.

    topics: topic -> type, messages, and how many of them were used, superseded, out_of_tolerance and (by reason)
    dropped, which add up to messages. Datasets are no recordings and have none. left_out: what is missing and why.
    """

    bag: str
    kind: str = "bag"
    status: str = "left out"
    reason: str = ""
    contract: str = ""
    episodes: list[str] = field(default_factory=list)
    n_steps: int = 0
    notes: list[str] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    topics: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return self.status not in INCOMPLETE

    def settle(self) -> SourceReport:
        """Status and reason as episodes and left_out say; of many reasons the first stands for the others."""
        more = f" (and {len(self.left_out) - 1} more, see {REPORT})" if len(self.left_out) > 1 else ""
        self.reason = "".join(self.left_out[:1]) + more
        self.status = ("in part" if self.left_out else "ingested") if self.episodes else "left out"
        return self


def joined(parts: Iterable[SourceReport]) -> SourceReport:
    """One report of a source that was ingested in several parts. Topics are left as the first part counted them."""
    first, *others = parts
    if not others:
        return first
    whole = dataclasses.replace(first, episodes=[], notes=[], faults=[], left_out=[], n_steps=0)
    for part in (first, *others):
        whole.episodes += part.episodes
        whole.notes += [note for note in part.notes if note not in whole.notes]
        whole.faults += part.faults
        whole.left_out += part.left_out
        whole.n_steps += part.n_steps
    return whole.settle()


class Row(NamedTuple):
    """A topic summed over sources: messages = used + superseded + out_of_tolerance + the sum of dropped, by reason."""

    topic: str
    messages: int
    used: int
    superseded: int
    out_of_tolerance: int
    dropped: dict[str, int]

    @classmethod
    def of(cls, topic: str, count: Mapping[str, Any]) -> Row:
        """The row of one topic as a recording counts it."""
        dropped = {why: n for why, n in count["dropped"].items() if n}
        return cls(topic, count["messages"], count["used"], count["superseded"], count["out_of_tolerance"], dropped)


def by_topic(reports: Iterable[SourceReport]) -> list[Row]:
    """Every topic of every source, summed, in order of name."""
    rows: dict[str, list[Row]] = {}
    for report in reports:
        for topic, count in report.topics.items():
            rows.setdefault(topic, []).append(Row.of(topic, count))
    return [total(rows[topic], topic) for topic in sorted(rows)]


def total(rows: Iterable[Row], name: str = "total") -> Row:
    """The sum of rows."""
    held = list(rows)
    dropped = sum((Counter(row.dropped) for row in held), Counter[str]())
    return Row(
        name,
        sum(row.messages for row in held),
        sum(row.used for row in held),
        sum(row.superseded for row in held),
        sum(row.out_of_tolerance for row in held),
        dict(dropped),
    )


def write(path: Path, reports: list[SourceReport]) -> None:
    """The whole report as JSON at `path`, written aside and renamed."""
    all_topics = total(by_topic(reports))
    sums = {key: getattr(all_topics, key) for key in ("messages", *_KEPT)}
    facts = {
        "bags": [dataclasses.asdict(report) for report in reports],
        "status": dict(Counter(report.status for report in reports)),
        "n_episodes": sum(len(report.episodes) for report in reports),
        "n_steps": sum(report.n_steps for report in reports),
        "totals": {**sums, "dropped": sum(all_topics.dropped.values())},
        "faults": dict(Counter(fault["kind"] for report in reports for fault in report.faults)),
    }
    write_json(path, facts)


def say(report: SourceReport, console: Console) -> None:
    """One line for the source, and one for each of its notes."""
    told = {
        "ingested": f"{_some(len(report.episodes), 'episode')}, {report.n_steps} steps, contract {report.contract}",
        "in part": f"{_some(len(report.episodes), 'episode')}, {report.n_steps} steps; left out: {report.reason}",
        "in store": "already in the store" + (f" ({report.reason})" if report.reason else ""),
        "left out": "left out: " + report.reason.removeprefix(f"{report.bag}: "),
    }[report.status]
    console.print(_one_line(f"{report.bag}: {told}"), markup=False)
    for note in report.notes:
        console.print("  " + _one_line(note), markup=False)


def summary(reports: list[SourceReport], out: Path) -> str:
    """The whole ingest in one line."""
    n_episodes, n_steps = sum(len(report.episodes) for report in reports), sum(report.n_steps for report in reports)
    n_incomplete = sum(not report.is_complete for report in reports)
    what = "bag" if all(report.kind == "bag" for report in reports) else "source"
    rest = f"; {_some(n_incomplete, what)} left out or in part, see {out / REPORT}" if n_incomplete else ""
    return f"{out}: {_some(n_episodes, 'episode')}, {n_steps} steps from {_some(len(reports), what)}{rest}"


def show(reports: list[SourceReport], console: Console) -> None:
    """The table of topics, summed over all sources, and the faults that were found. Nothing where nothing was counted.

    The columns add up: messages = used + superseded + out of tolerance + dropped.
    """
    rows = by_topic(reports)
    if not sum(row.messages for row in rows):
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("topic", overflow="fold")
    for name in ("messages", "= used", "+ superseded", "+ out of tolerance"):
        table.add_column(name, justify="right")
    table.add_column("+ dropped", overflow="fold")
    shown = _worth_a_row(rows)
    for row in shown:
        _add(table, row)
    rest = [row for row in rows if row not in shown]
    if rest:
        _add(table, total(rest, f"{len(rest)} other topics"))
    if len(rows) > 1:
        table.add_section()
        _add(table, total(rows))
    console.print(table)
    for line in fault_lines(reports) if len(reports) > 1 else ():  # those of a single source are among its notes
        console.print(line, markup=False)


def fault_lines(reports: Iterable[SourceReport]) -> list[str]:
    """One line for each kind of fault on a topic and what was done about it, with how often and where first."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for report in reports:
        for fault in report.faults:
            key = (str(fault["kind"]), str(fault["topic"]), str(fault.get("done", "")))
            found.setdefault(key, []).append(f"{Path(report.bag).name}: {fault.get('detail', '')}".rstrip(": "))
    lines = []
    for (kind, topic, done), places in sorted(found.items()):
        times = f" {len(places)} times, first" if len(places) > 1 else ""
        lines.append(_one_line(f"fault: {kind} on {topic}{f', {done}' if done else ''}:{times} {places[0]}"))
    return lines


def _worth_a_row(rows: list[Row]) -> list[Row]:
    if len(rows) <= _MOST_ROWS:
        return rows
    return [row for row in rows if set(row.dropped) != {"not_in_contract"}][:_MOST_ROWS]


def _add(table: Table, row: Row) -> None:
    numbers = (row.messages, row.used, row.superseded, row.out_of_tolerance)
    why = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in sorted(row.dropped.items()))
    table.add_row(Text(_one_line(row.topic)), *(str(n) for n in numbers), Text(_one_line(why) or "0"))


def _some(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _one_line(text: str) -> str:
    """Whatever a foreign file put into its names, it stays on its line, and no terminal code gets through."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
