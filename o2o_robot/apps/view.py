"""Look at one episode, in Rerun or in Foxglove: `o2o view data/peg.zarr 7`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from o2o_robot.data.bags.episode_mcap import write_episode
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import StoreError
from o2o_robot.report import episode_rerun


def main(
    store: Annotated[Path, tyro.conf.Positional],
    episode: Annotated[str, tyro.conf.Positional],
    *,
    save: Path | None = None,
    mcap: Path | None = None,
) -> int:
    """Open an episode in Rerun's viewer, or write it to a file for Rerun or Foxglove.

    Args:
        store: an episode store.
        episode: its number in the store (-1: the last), or its id.
        save: write an .rrd file and open no viewer; `rerun FILE` shows it.
        mcap: write an MCAP of ROS messages and open no viewer; Foxglove shows it, `o2o ingest` reads it.
    """
    with EpisodeStore.open(store) as episodes:
        number = find(episodes, episode)
        chosen = episodes.read(number)
    name = f"{store.stem}-{number}"
    if mcap:
        print(f"{write_episode(chosen, mcap)}: open it in Foxglove")
    if save:
        print(f"{episode_rerun.save(chosen, name, save)}: open it with `rerun {save}`")
    if not save and not mcap:
        episode_rerun.show(chosen, name)
    return 0


def find(store: EpisodeStore, wanted: str) -> int:
    """The number of the episode that is `wanted`: a number, counted from the end below zero, or an id.

    Raises StoreError where there is none, or where an id stands for several.
    """
    named = [i for i in range(len(store)) if str(store.meta(i).get("id")) == wanted]
    if len(named) > 1:
        raise StoreError(
            f"id '{wanted}' stands for episodes {', '.join(map(str, named))} of {store.path}; give a number"
        )
    if named:
        return named[0]
    number = int(wanted) if wanted.lstrip("-").isdecimal() else len(store)
    if not -len(store) <= number < len(store):
        held = (
            f"it holds {len(store)} (0 to {len(store) - 1}); `o2o inspect` lists them" if len(store) else "it is empty"
        )
        raise StoreError(f"episode '{wanted}' is not in {store.path}: {held}")
    return number % len(store)
