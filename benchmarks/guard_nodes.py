"""The guard as a process, beside a twin in real time: from an emergency stop to the hold, and how even its ticks come.

Prints a table, writes results/guard_nodes.json. A loaded machine shows in every figure: look at load_1min.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from o2o_robot.data.provenance import machine, versions
from o2o_robot.supervise import Supervisor

TESTS = Path(__file__).parents[1] / "tests" / "ros"
RESULT = Path(__file__).parent / "results" / "guard_nodes.json"
STOPS, TICKS = 20, 2000
DOMAIN = 87
RATES = {"tick_hz": 200.0, "guard.tick_period_s": 0.005, "guard.smoothing_s": 0.02, "guard.policy_period_s": 0.3}


def stop_ms(bench: object) -> tuple[float, float]:
    """Wall time from an emergency stop's publication to the guard's word that it latched, and to the next target."""
    from std_msgs.msg import Bool

    bench.begin()
    bench.drive([0.0, 0.3, 0.0], 2)
    told, since = len(bench.safety), time.perf_counter()
    bench.estop_out.publish(Bool(data=True))
    while not any(state.state == "LATCHED" for state in bench.safety[told:]):
        bench._executor.spin_once(timeout_sec=0.01)
    latched_s, targets = time.perf_counter() - since, len(bench.targets)
    bench.until(lambda: len(bench.targets) > targets, 5.0, "the next target")
    return latched_s * 1e3, (time.perf_counter() - since) * 1e3


def quantiles(values_ms: np.ndarray) -> dict[str, float]:
    return {name: round(float(np.percentile(values_ms, q)), 3) for name, q in (("p50", 50), ("p99", 99), ("max", 100))}


def stops_ms() -> np.ndarray:
    """(STOPS, 2), with the ticks of the tests' bench."""
    from guard_bench import Bench, processes

    run_dir = Path(tempfile.mkdtemp())
    with Supervisor(processes(run_dir), run_dir), Bench(DOMAIN) as bench:
        bench.mode = "eval"
        bench.wait_for_graph()
        bench.place()
        return np.array([stop_ms(bench) for _ in range(STOPS)])


def periods_ms() -> np.ndarray:
    """Between targets, at 200 Hz: an armed guard sends one each tick, whatever else it thinks."""
    from guard_bench import Bench, processes

    run_dir, arrivals = Path(tempfile.mkdtemp()), []
    with Supervisor(processes(run_dir, **RATES), run_dir), Bench(DOMAIN) as bench:
        bench.wait_for_graph()
        bench.place()
        bench.arm()
        while len(arrivals) < TICKS:
            heard = len(bench.targets)
            bench._executor.spin_once(timeout_sec=0.05)
            arrivals += [time.perf_counter()] * (len(bench.targets) - heard)
    return np.diff(arrivals) * 1e3


def measure() -> dict[str, dict[str, float]]:
    stops, periods = stops_ms(), periods_ms()
    return {
        "estop to latch": quantiles(stops[:, 0]),
        "estop to next target": quantiles(stops[:, 1]),
        "tick period at 200 Hz": quantiles(periods),
        "its jitter": quantiles(np.abs(periods - 5.0)),
    }


def main() -> None:
    os.environ |= {"ROS_DOMAIN_ID": str(DOMAIN), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    sys.path.insert(0, str(TESTS))
    found = measure()
    result = {"ms": found, "stops": STOPS, "ticks": TICKS, "machine": machine(), "versions": versions()}
    print(f"{'ms':>24} {'p50':>8} {'p99':>8} {'max':>8}")
    for name, numbers in found.items():
        print(f"{name:>24} " + " ".join(f"{value:8.2f}" for value in numbers.values()))
    print(result["machine"])
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
