"""The HTML report of a run: `o2o report runs/demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from o2o_robot.report.page import write_report


def main(run: Annotated[Path, tyro.conf.Positional]) -> int:
    """Write RUN/report.html (one file, no network needed) and its figures to RUN/figures.

    Args:
        run: the folder of a run, whole or not.
    """
    print(write_report(run))
    return 0


if __name__ == "__main__":
    raise SystemExit(tyro.cli(main))
