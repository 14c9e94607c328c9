"""What demos came to: `python benchmarks/demo.py runs/demo0 runs/demo1 ...` (without arguments, every runs/demo*).

Reads each run's summary.json, prints a table and writes results/demo.json. It runs nothing: `make demo SEED=n` does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from o2o_robot.jsonfile import read_json

OUT = Path(__file__).parent / "results" / "demo.json"
SHOWN = (
    "seed",
    "demo_success_rate",
    "success_pretrained",
    "success_finetuned",
    "env_steps_warmup",
    "env_steps_online",
    "learner_updates",
    "robot_s",
    "wall_s",
    "guard_interventions",
    "steps_published",
    "steps_stored",
)


def main(folders: list[Path]) -> None:
    runs = [read_json(folder / "summary.json") for folder in folders if (folder / "summary.json").exists()]
    if not runs:
        print("no demo has been run here; make demo SEED=0 RUN_DIR=runs/demo0")
        return
    rows = [{name: run[name] for name in (*SHOWN, "git_revision", "versions")} for run in runs]
    for name in SHOWN:
        print(f"{name:20s}" + "".join(f"{round(row[name], 2):>10}" for row in rows))
    OUT.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]] or sorted(Path("runs").glob("demo*")))
