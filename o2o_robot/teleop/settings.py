"""Settings of a device: a dataclass field with the sentence that a node shows for its parameter."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def described(default: Any, help: str) -> Any:
    """A field of a device's Config."""
    return field(default=default, metadata={"help": help})
