"""Where an episode came from, as its meta says it: so that it can be traced, and is not stored a second time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from o2o_robot.data.provenance import episode_provenance
from o2o_robot.types import Episode


@dataclass(frozen=True)
class Origin:
    """A source by name and contents, and the contract (or format and wishes) by which it was read."""

    source: str
    fingerprint: str
    contract: str
    contract_fingerprint: str

    def stamped(self, episode: Episode, number: int, *, of: int, created_at: str) -> Episode:
        """The episode with its provenance: episode `number` of the `of` that came out of the source."""
        facts = episode_provenance(
            source=self.source,
            source_fingerprint=self.fingerprint,
            contract=self.contract,
            contract_fingerprint=self.contract_fingerprint,
            created_at=created_at,
        )
        facts |= {"episode": number, "episodes": of}
        return dataclasses.replace(episode, meta={**episode.meta, "contract": self.contract, "provenance": facts})


class Stored(NamedTuple):
    """What a store holds of a source: numbers of its episodes, and of how many."""

    numbers: frozenset[int]
    of: int

    @property
    def is_whole(self) -> bool:
        return len(self.numbers) >= self.of


def stored_sources(metas: Iterable[Mapping[str, Any]]) -> dict[str, Stored]:
    """Fingerprint of a source -> what is stored of it."""
    found: dict[str, Stored] = {}
    for meta in metas:
        facts = meta.get("provenance", {})
        mark = facts.get("source_fingerprint") or meta.get("bag_fingerprint")  # as stores of version 1 say it
        if mark:
            before = found.get(mark, Stored(frozenset(), 0))
            found[mark] = Stored(before.numbers | {int(facts.get("episode", 0))}, int(facts.get("episodes", 1)))
    return found
