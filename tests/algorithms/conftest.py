"""One thread: results are then the same on every machine of one kind, and the tests share their cores."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
