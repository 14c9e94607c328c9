"""Set or correct outcomes and rewards after the fact: `o2o label data/peg.zarr --from-file labels.csv`, or --page."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console

from o2o_robot.data.labels import history
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError
from o2o_robot.labelling import words
from o2o_robot.labelling.by_classifier import Judged, judge_store, judge_store_with
from o2o_robot.labelling.features import THUMBNAILS, Features, thumbnails
from o2o_robot.labelling.from_file import read_labels
from o2o_robot.labelling.opinions import read_opinions, write_opinions
from o2o_robot.labelling.overview import entries, lay_over

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Labelling:
    """Where labels come from: a file, a classifier, a person at a page, in this order. Without any: what is known.

    What was recorded stays in the store; the last label of an episode counts, and returns follow from it.
    """

    from_file: Path | None = None
    """CSV with the columns episode (id or number), outcome (success, failure, unknown), and if you like reward and
    note; or the same in JSON. Nothing is labelled unless every row is right."""
    partial: bool = False
    """Label what is right in the file even where other rows are wrong."""
    classify: bool = False
    """Learn from the last frames of episodes whose outcome is known, and label the others where that is sure."""
    encoder: Path | None = None
    """What the classifier sees with: RUN of `o2o pretrain-encoder`; small colour thumbnails without one."""
    reward: Path | None = None
    """Classify by a classifier of `o2o reward train` that has not seen these episodes, in place of a new one."""
    precision: float = 0.98
    """Share of the classifier's labels that must be right on held-out episodes."""
    page: bool = False
    """Label by hand in a browser, doubtful episodes first."""
    host: str = "127.0.0.1"
    """Address the page listens at; with another than this machine's own, whoever has the token can reach it."""
    port: int = 8770
    """Its port; 0 for any that is free."""
    who: str = ""
    """Who labels by hand; the login name unless told."""
    dry_run: bool = False
    """Say what would be labelled, and write nothing."""
    log: bool = False
    """Print every label ever given, oldest first."""
    seed: int = 0
    """Seeds the classifier's folds."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.precision <= 1:
            raise ConfigError(f"precision must be 0.5 to 1, got {self.precision:g}; 0.98 lets 2 of 100 labels be wrong")
        for is_alone, name, needs in (
            (self.encoder and not self.classify, "--encoder", "--classify"),
            (self.reward and not self.classify, "--reward", "--classify"),
            (self.partial and not self.from_file, "--partial", "--from-file"),
            (self.dry_run and not (self.from_file or self.classify), "--dry-run", "--from-file or --classify"),
        ):
            if is_alone:
                raise ConfigError(f"{name} means nothing without {needs}")
        if self.dry_run and self.page:
            raise ConfigError("--dry-run writes nothing and --page does; leave out one of them")


def main(
    store: Annotated[Path, tyro.conf.Positional],
    labelling: Annotated[Labelling, tyro.conf.arg(name="")] = Labelling(),
) -> int:
    """Set or correct the outcome and reward of a store's episodes.

    Args:
        store: an episode store.
        labelling: where labels come from.
    """
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if labelling.log or not (labelling.from_file or labelling.classify or labelling.page):
        return _show(console, store, is_log=labelling.log)
    exit_code = 0
    with EpisodeStore.open(store, "r" if labelling.dry_run else "a") as episodes:
        if labelling.from_file:
            exit_code = _from_file(console, episodes, labelling.from_file, labelling)
        if labelling.classify:
            _by_classifier(console, episodes, labelling)
        if labelling.page:
            _by_hand(console, episodes, labelling)
    return exit_code


def _show(console: Console, path: Path, *, is_log: bool) -> int:
    with EpisodeStore.open(path) as store:
        there = entries(store)
    by_number = {e.number: e for e in there}
    _print(console, (words.logged(line, by_number) for line in history(path)) if is_log else words.known(there))
    return 0


def _from_file(console: Console, store: EpisodeStore, path: Path, labelling: Labelling) -> int:
    """Exit code: 1 where a row is wrong."""
    labels = read_labels(path, entries(store), who=path.name, at=_now())
    _print(console, labels.problems)
    if labels.problems and not labelling.partial:
        console.print(f"0 of {len(store)} episodes: nothing is labelled while rows are wrong; mend them, or --partial")
        return 1
    console.print(lay_over(store, labels.corrections, dry_run=labelling.dry_run))
    return 1 if labels.problems else 0


def _by_classifier(console: Console, store: EpisodeStore, labelling: Labelling) -> None:
    judged, who = _judged(console, store, labelling)
    at = _now()
    _print(console, words.quality(judged, labelling.precision))
    _print(console, words.doubts(judged))
    if not labelling.dry_run:
        write_opinions(store.path, judged.probability, who=who, at=at)
    console.print(lay_over(store, judged.corrections(who=who, at=at), dry_run=labelling.dry_run))


def _judged(console: Console, store: EpisodeStore, labelling: Labelling) -> tuple[Judged, str]:
    """The opinions, and whose they are."""
    rng = np.random.default_rng(labelling.seed)
    if labelling.reward is not None:
        from o2o_robot.labelling.by_reward import reward_judge  # torch, only where a classifier is given

        judged = judge_store_with(store, reward_judge(labelling.reward), labelling.precision, rng, console=console)
        who = f"reward {labelling.reward}"
        console.print(f"{who}, held against {len(judged.known)} episodes whose outcome is known:")
        return judged, who
    features, what = _features(labelling.encoder)
    judged = judge_store(store, features, labelling.precision, rng, console=console)
    who = f"logistic regression on {what}"
    console.print(f"{who}, learnt from {len(judged.known)} episodes; held out, by episode:")
    return judged, who


def _features(encoder: Path | None) -> tuple[Features, str]:
    """Numbers from frames, and what they are."""
    if encoder is None:
        return thumbnails, THUMBNAILS
    from o2o_robot.labelling.encoder_features import encoder_features  # torch, only where an encoder is given

    return encoder_features(encoder), f"latents of {encoder}"


def _by_hand(console: Console, store: EpisodeStore, labelling: Labelling) -> None:
    """Until Ctrl-C."""
    try:
        from o2o_robot.labelling.serve import run
    except ModuleNotFoundError as missing:
        raise ConfigError(f"--page needs {missing.name}: pip install fastapi uvicorn") from None
    from o2o_robot.labelling.session import Session
    from o2o_robot.web.listening import address, listen

    who, token = labelling.who or _login(), secrets.token_urlsafe(24)
    session = Session(store, who=who, clock=_now, probability=read_opinions(store.path))
    with listen(labelling.host, labelling.port) as socket:
        console.print(address(socket, token))
        if labelling.host not in _LOOPBACK:
            console.print("this is not encrypted: use it on a network you trust, or through an ssh tunnel")
        console.print("Ctrl-C ends it; every label is saved as it is given")
        run(session, token, socket)
    console.print(session.summary())


def _print(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    raise SystemExit(tyro.cli(main))
