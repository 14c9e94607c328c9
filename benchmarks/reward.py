"""The success classifier on frames of the twin that it never saw: other starts, other light, other camera places.

Learns from randomised peg episodes and is judged on episodes of other seeds, drawn from the strong randomization.
Writes results/reward.json and results/reward.png. Slow: about 1 min of rendering for each 250 episodes, 5 min to learn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))

from rewarding.twin_frames import Collection, collect

from o2o_robot.data.provenance import machine, versions
from o2o_robot.data.store import EpisodeStore
from o2o_robot.jsonfile import write_json
from o2o_robot.reward import picture
from o2o_robot.reward.examples import Examples, gather
from o2o_robot.reward.fit import FitConfig
from o2o_robot.reward.learn import LearnConfig, learn
from o2o_robot.reward.network import default_shape
from o2o_robot.reward.saved import RewardClassifier
from o2o_robot.reward.threshold import Quality, quality

OUT = Path(__file__).parent / "results" / "reward.json"
TARGET = {"precision": 0.98, "recall": 0.95}
TRAIN = Collection("strong", first_seed=10_000, n_episodes=1000)
TESTS = {
    "strong light, looks and cameras": Collection("strong", first_seed=50_000, n_episodes=100),
    "mild light, looks and cameras": Collection("mild", first_seed=60_000, n_episodes=60),
}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--episodes", type=int, default=TRAIN.n_episodes, help="to learn from")
    options.add_argument("--steps", type=int, default=2000, help="of the optimiser")
    options.add_argument("--image-size", type=int, default=TRAIN.image_size, help="side in pixels")
    options.add_argument("--data", type=Path, help="keep the stores here, and use them again; else a temporary folder")
    options.add_argument("--threads", type=int, default=2, help="of the learning")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as aside:
        return _run(chosen, chosen.data or Path(aside))


def _run(chosen: argparse.Namespace, folder: Path) -> int:
    examples = frames(folder, replace(TRAIN, n_episodes=chosen.episodes, image_size=chosen.image_size))
    shape = default_shape(tuple(examples.images), chosen.image_size)
    started = time.monotonic()
    learned = learn(examples, shape, LearnConfig(fit=FitConfig(steps=chosen.steps)))
    judge, learn_s = learned.classifier, time.monotonic() - started
    rows: dict[str, Any] = {"held out of the training seeds": learned.quality.facts()}
    for name, collection in TESTS.items():
        unseen = frames(folder, replace(collection, image_size=chosen.image_size))
        rows[name] = judged(judge, unseen).facts()
        if collection.randomization == "strong":
            probability = judge.probability(unseen.images)
            picture.save(OUT.with_suffix(".png"), unseen, probability, judge.facts.threshold, title=name)
    table(rows)
    facts = {"threshold": judge.facts.threshold, "temperature": judge.facts.temperature, "learn_s": round(learn_s, 1)}
    facts |= {"episodes": chosen.episodes, "frames": len(examples), "steps": chosen.steps}
    facts |= {"image_size": chosen.image_size, "ms_per_judgement": round(ms_per_judgement(judge, examples), 2)}
    write_json(OUT, {"target": TARGET, **facts, "found": rows, "machine": machine(), "versions": versions()})
    return 0


def frames(folder: Path, collection: Collection) -> Examples:
    """Of a store that is made where it is not there."""
    c = collection
    path = folder / f"{c.randomization}-{c.first_seed}-{c.n_episodes}-{c.image_size}.zarr"
    with EpisodeStore.open(path) if path.exists() else collect(path, collection) as store:
        return gather(store)


def judged(judge: RewardClassifier, unseen: Examples) -> Quality:
    return quality(judge.probability(unseen.images), unseen.is_success, judge.facts.threshold)


def ms_per_judgement(judge: RewardClassifier, examples: Examples, n: int = 200) -> float:
    """One frame of each camera at a time, as the node does it; the best of three rounds."""
    found = []
    for _ in range(3):
        started = time.perf_counter()
        for i in range(n):
            judge.probability_of({name: image[i] for name, image in examples.images.items()})
        found.append(1e3 * (time.perf_counter() - started) / n)
    return min(found)


def table(rows: dict[str, Any]) -> None:
    print(f"{'frames':34s} {'n':>6s} {'precision':>22s} {'recall':>22s}   target {TARGET}")
    for name, q in rows.items():
        (p_lo, p_hi), (r_lo, r_hi) = q["precision_95"], q["recall_95"]
        precision = f"{q['precision']:.3f} ({p_lo:.3f}-{p_hi:.3f})"
        print(f"{name:34s} {q['n'] + q['n_not']:6d} {precision:>22s} {q['recall']:8.3f} ({r_lo:.3f}-{r_hi:.3f})")


if __name__ == "__main__":
    raise SystemExit(main())
