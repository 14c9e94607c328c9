"""The example episodes of tests/data, for the tests of its formats."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
