"""The console that tables are printed to."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console

PLAIN_WIDTH = 120  # of tables where no terminal says how wide it is: a log, a pipe


def table_console(**settings: Any) -> Console:
    """A console as wide as the terminal; where the output goes elsewhere, wide enough for the house's tables."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, **settings)
