"""What ails a store: every check, over the vital signs of its episodes.

found = findings([vitals(i, episode) for i, episode in enumerate(store.episodes())])
for finding in found: print(finding.what, ranges(finding.episodes), finding.remedy)

Each check is a function of the vitals that gives Findings; none reads a file, so that ingestion can use them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from o2o_robot.data.health import cameras, copies, episodes, values
from o2o_robot.data.health.finding import Finding
from o2o_robot.data.health.vitals import Vitals

CHECKS: tuple[Callable[[Sequence[Vitals]], Iterator[Finding]], ...] = (
    cameras.dead,
    cameras.frozen,
    cameras.swapped,
    cameras.odd,
    cameras.exposure,
    copies.copies,
    values.idle,
    values.units,
    values.leaps,
    values.saturation,
    values.delay,
    episodes.labels,
    episodes.lengths,
    episodes.timing,
    episodes.layouts,
)


def findings(vitals: Sequence[Vitals]) -> tuple[Finding, ...]:
    """All findings, the gravest first; none for an empty store."""
    found = [finding for check in CHECKS for finding in check(vitals)] if vitals else []
    return tuple(sorted(found, key=lambda finding: finding.level))
