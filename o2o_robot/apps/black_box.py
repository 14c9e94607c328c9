"""Look at what stopped the arm: `o2o black-box runs/ft` lists a run's black boxes and draws those without a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from o2o_robot.black_box import FACTS, PICTURE
from o2o_robot.errors import DataError
from o2o_robot.jsonfile import read_json
from o2o_robot.report import black_box


def main(run_dir: Annotated[Path, tyro.conf.Positional], *, again: bool = False) -> int:
    """One line a stop: when, why, and its picture. Messages are beside it, as MCAP.

    Args:
        run_dir: a run's folder, or the folder of one black box.
        again: draw all of them anew.
    """
    folders = [run_dir] if (run_dir / FACTS).is_file() else black_box.find(run_dir)
    if not run_dir.is_dir():
        raise DataError(f"there is no folder {run_dir}; give the run_dir of a session")
    for folder in folders:
        picture = folder / PICTURE
        if again or not picture.is_file():
            picture = black_box.draw(folder)
        facts = read_json(folder / FACTS)
        print(f"{facts.get('made_at', '')}  {facts.get('reason', '')}: {picture}")
    if not folders:
        print(f"nothing stopped the arm in {run_dir}")
    return 0
