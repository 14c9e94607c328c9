"""A million adversarial ticks against the FR3's guard with every limit on.

Prints a table, writes results/guard_fuzz.json.

The laws are those of tests/safety/adversary.py, which pytest runs for 20,000 ticks: any tick that breaks one ends this
with an AssertionError. What is printed is how near to each bound the worst tick came.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from o2o_robot.data.provenance import machine, versions

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "safety"))  # one attack, for the tests and for this
from adversary import ALLOWED, Attack

RESULT = Path(__file__).parent / "results" / "guard_fuzz.json"


def attack(seed: int, ticks: int) -> Attack:
    attacker = Attack(seed)
    attacker.run(ticks)
    return attacker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--processes", type=int, default=1, help="each with a seed of its own and its share of the ticks"
    )
    asked = parser.parse_args()
    seeds, start_s = range(asked.seed, asked.seed + asked.processes), time.monotonic()
    with ProcessPoolExecutor(asked.processes) as pool:
        attacks = list(pool.map(attack, seeds, [-(-asked.ticks // asked.processes)] * asked.processes))
    worst: dict[str, float] = {}
    for one in attacks:
        worst = {name: max(share, worst.get(name, 0.0)) for name, share in one.laws.worst.used.items()}
    result = {
        "what": "FR3 guard, all limits and motion shaping, 100 Hz: largest share of each bound used by any tick",
        "seeds": list(seeds),
        "counts": dict(sum((Counter(one.counts) for one in attacks), Counter())),
        "largest_share_of_bound": {name: round(share, 6) for name, share in sorted(worst.items())},
        "allowed": {name: ALLOWED.get(name, 1.0) for name in sorted(worst)},
        "reasons": dict(sorted(sum((Counter(one.reasons) for one in attacks), Counter()).items())),
        "wall_s": round(time.monotonic() - start_s, 1),
        "machine": machine(),
        "versions": versions(),
    }
    for name, share in result["largest_share_of_bound"].items():
        print(f"{name:>20} {share:8.4f} of its bound, allowed {result['allowed'][name]}")
    print(result["counts"], f"{result['wall_s']} s")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2, default=int) + "\n")


if __name__ == "__main__":
    main()
