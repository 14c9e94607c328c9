"""gym-hil beside the twin, in turns within one run: same image size, same control and physics rates, one core each."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
PYTHON = Path(os.environ.get("O2O_GYMHIL", HERE.parents[1] / ".venv-gymhil")) / "bin" / "python"
SIDE_PX, ROUNDS, STEPS = 128, 5, 6


class Peer:
    """peer.steps_s(): one round of its steps, per second."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._in, self._out = _pipes(process)

    def steps_s(self) -> float:
        self._in.write("\n")
        self._in.flush()
        told = json.loads(self._out.readline())
        assert all(size == [SIDE_PX, SIDE_PX, 3] for size in told["images"].values()), told["images"]
        assert len(told["images"]) == 2
        return float(told["steps_s"])


@contextmanager
def peer() -> Iterator[Peer]:
    """gym-hil in its own environment; it inherits the cores that this process is held to."""
    env = {name: value for name, value in os.environ.items() if name != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    env |= {"PYTHONPATH": "", "LD_LIBRARY_PATH": "", "PYTHONWARNINGS": "ignore"}
    command = [str(PYTHON), str(HERE / "gymhil_panda.py"), "--steps", str(STEPS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            yield Peer(process)
        finally:
            process.terminate()


def in_turns(ours: Iterator[float]) -> dict[str, float]:
    """Steps per second of both, the best of rounds that alternate, and the median of the rounds' ratios."""
    theirs_s, ours_s = [], []
    with peer() as other:
        other.steps_s()  # its renderer warms up
        for _ in range(ROUNDS):
            theirs_s.append(other.steps_s())
            ours_s.append(next(ours))
    ratios = sorted(ours / theirs for ours, theirs in zip(ours_s, theirs_s, strict=True))
    return {
        "gymhil_two_cameras_128_steps_s": max(theirs_s),
        "twin_beside_gymhil_two_cameras_128_steps_s": max(ours_s),
        "times_gymhil": ratios[len(ratios) // 2],
    }


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout
