"""A success classifier from labelled episodes: `o2o reward train data/peg.zarr --out reward/`, eval and suggest.

`reward_node` judges by it, and `o2o label STORE --classify --reward reward/` labels open episodes by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console
from rich.progress import Progress

from o2o_robot.algorithms.encoder_checkpoint import EncoderShape, config_of, fill_encoder, read_encoder_facts
from o2o_robot.data.contact_sheet import save_png, sheet_rows
from o2o_robot.data.provenance import git_revision, versions
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import CheckpointError, DataError
from o2o_robot.jsonfile import write_json
from o2o_robot.labelling.opinions import write_opinions
from o2o_robot.reward import picture
from o2o_robot.reward.examples import Examples, gather
from o2o_robot.reward.fit import FitConfig
from o2o_robot.reward.learn import LearnConfig, Learned, learn
from o2o_robot.reward.network import SuccessNet, default_shape
from o2o_robot.reward.saved import load_classifier, save_classifier
from o2o_robot.reward.suggest import suggestions
from o2o_robot.reward.threshold import quality

PICTURE, SHEET = "quality.png", "suggested.png"


@dataclass(frozen=True)
class Training:
    """What to look at, how long to learn, what is promised."""

    cameras: tuple[str, ...] = ()
    """Cameras to look through; all of the store's unless told."""
    precision: float = 0.98
    """Share of what it calls success that must be, on held-out frames."""
    steps: int = 1500
    """Optimiser steps of 64 frames each."""
    margin: int = 3
    """Frames before the first success that are neither success nor not."""
    encoder: Path | None = None
    """Begin with an encoder of `o2o pretrain-encoder` (RUN or RUN/encoder)."""
    seed: int = 0
    """Seeds weights, split and draws."""
    threads: int | None = None
    """CPU threads; the machine's cores unless told."""


def train(
    store: Annotated[Path, tyro.conf.Positional],
    *,
    out: Path,
    training: Annotated[Training, tyro.conf.arg(name="")] = Training(),
) -> int:
    """Learn what success looks like from a store's known outcomes, and hold out a fifth to say how well.

    Args:
        store: an episode store with successes and failures.
        out: the folder to make.
        training: how.
    """
    console = _console()
    if out.exists():
        raise CheckpointError(f"{out} exists; give a new folder")
    if training.threads is not None:
        torch.set_num_threads(training.threads)
    with EpisodeStore.open(store) as episodes:
        examples = _gather(console, episodes, training.cameras, training.margin)
        provenance: dict[str, Any] = {"store": str(store), "fingerprint": episodes.fingerprint()}
    shape, prepare = _shape(examples, training.encoder)
    config = LearnConfig(training.precision, training.seed, fit=FitConfig(steps=training.steps))
    started = time.monotonic()
    with _bar(console, "learning", training.steps) as tick:
        learned = learn(examples, shape, config, prepare=prepare, tick=lambda loss: tick())
    provenance |= {"versions": versions(), "git_revision": git_revision(), "seed": training.seed}
    provenance |= {"steps": training.steps, "margin": training.margin, "frames": len(examples)}
    provenance |= {"encoder": str(training.encoder or ""), "wall_s": round(time.monotonic() - started, 1)}
    save_classifier(out, learned.classifier, provenance=provenance)
    _say(console, learned, out)
    return 1 if learned.falls_short else 0


def evaluate(
    store: Annotated[Path, tyro.conf.Positional],
    *,
    classifier: Annotated[Path, tyro.conf.arg(name="reward")],
    margin: int = 3,
    out: Path | None = None,
) -> int:
    """How a classifier does on a store's known outcomes, which it must not have learnt from to mean anything.

    Args:
        store: an episode store.
        classifier: folder of `o2o reward train`.
        margin: frames before the first success that are neither.
        out: a folder for the picture and eval.json; nothing is written without.
    """
    console, judge = _console(), load_classifier(classifier)
    with EpisodeStore.open(store) as episodes:
        examples = _gather(console, episodes, judge.facts.cameras, margin)
    probability = judge.probability(examples.images)
    found = quality(probability, examples.is_success, judge.facts.threshold)
    console.print(f"{len(examples)} frames of {len(set(examples.episode.tolist()))} episodes: {found}")
    if out is not None:
        write_json(out / "eval.json", {"store": str(store), "threshold": judge.facts.threshold, **found.facts()})
        picture.save(out / PICTURE, examples, probability, judge.facts.threshold, title=f"{classifier} on {store}")
        console.print(f"picture: {out / PICTURE}")
    return 0


def suggest(
    store: Annotated[Path, tyro.conf.Positional],
    *,
    classifier: Annotated[Path, tyro.conf.arg(name="reward")],
    n: int = 20,
    out: Path | None = None,
) -> int:
    """Which episodes to look at: doubtful ends, hard negatives, labels it disagrees with; the most useful first.

    `o2o label STORE --page` then shows open episodes in the order of this classifier's doubt.

    Args:
        store: an episode store; its opinions.json is written.
        classifier: folder of `o2o reward train`.
        n: how many to name.
        out: a folder for a contact sheet of them.
    """
    console, judge = _console(), load_classifier(classifier)
    with EpisodeStore.open(store) as episodes:
        with _bar(console, "looking", len(episodes)) as tick:
            found = suggestions(episodes, judge, tick=tick)
        for s in found[:n]:
            console.print(f"{s.number}  {s.outcome:8s} {s.urgency:.2f}  {s.why}")
        if out is not None and found:
            out.mkdir(parents=True, exist_ok=True)
            rows = [row for s in found[:n] for row in sheet_rows(s.episode, episodes.read(s.episode))]
            save_png(rows, out / SHEET)
            console.print(f"contact sheet: {out / SHEET}")
        at = datetime.now(UTC).isoformat(timespec="seconds")
        write_opinions(episodes.path, {s.number: s.probability for s in found}, who=f"reward {classifier}", at=at)
    return 0


WORDS = {"train": train, "eval": evaluate, "suggest": suggest}


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False, markup=False)


def _gather(console: Console, store: EpisodeStore, cameras: tuple[str, ...], margin: int) -> Examples:
    if len(store) == 0:
        raise DataError(f"{store.path} holds no episode; record or ingest some first")
    with _bar(console, "reading", len(store)) as tick:
        return gather(store, cameras=cameras, margin=margin, tick=tick)


def _shape(examples: Examples, encoder: Path | None) -> tuple[EncoderShape, Callable[[SuccessNet], None]]:
    """What to build, and how to fill it in. Raises DataError where frames are not square or not the encoder's."""
    heights = {image.shape[1:3] for image in examples.images.values()}
    if len(heights) != 1 or len(set(next(iter(heights)))) != 1:
        sizes = ", ".join(f"{name} {image.shape[2]}x{image.shape[1]}" for name, image in examples.images.items())
        raise DataError(f"frames must be square and of one size, got {sizes}; ingest with --image-size")
    side = next(iter(heights))[0]
    if encoder is None:
        return default_shape(tuple(examples.images), side), lambda net: None
    shape = read_encoder_facts(encoder / "encoder" if (encoder / "encoder").is_dir() else encoder).shape
    if set(shape.cameras) - set(examples.images) or shape.image_size != side:
        here = f"{', '.join(examples.images)} at {side}"
        raise DataError(f"the encoder looks at {', '.join(shape.cameras)} at {shape.image_size}, the store has {here}")
    return shape, lambda net: _fill(net, shape, encoder)


def _fill(net: SuccessNet, shape: EncoderShape, encoder: Path) -> None:
    fill_encoder(net.encoder, config_of(shape), net.encoder.spec, encoder)


def _say(console: Console, learned: Learned, out: Path) -> None:
    facts = learned.classifier.facts
    title = f"{', '.join(facts.cameras)}, {facts.shape.image_size} px; threshold {facts.threshold:.3f}"
    picture.save(out / PICTURE, learned.held_out, learned.probability, facts.threshold, title=title)
    n_episodes = len(set(learned.held_out.episode.tolist()))
    console.print(f"held out, {len(learned.held_out)} frames of {n_episodes} episodes: {learned.quality}")
    console.print(f"threshold {facts.threshold:.3f}, temperature {facts.temperature:.2f}\nclassifier: {out}")
    if learned.falls_short:
        console.print(learned.falls_short)


@contextmanager
def _bar(console: Console, what: str, n: int) -> Iterator[Callable[[], None]]:
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=n)
        yield lambda: bar.update(task, advance=1)
