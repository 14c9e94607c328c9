"""What safetensors bytes may look like, told before anything parses them: size, header, names, types and shapes.

The format: 8 bytes little-endian length of the header, the header (a JSON object), the tensors' bytes
(huggingface.co/docs/safetensors). Its reader allows headers of 100 MB; a known policy's is a few kilobytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from o2o_robot.errors import CheckpointError

BYTES_OF = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
METADATA = "__metadata__"
HEADER_BYTES, HEADER_BYTES_A_TENSOR = 4096, 256  # room for metadata, and beside each name


class Offer(NamedTuple):
    """Weights as they were sent: o2o_msgs/Weights without ROS."""

    revision: int
    learner_step: int
    sha256: str
    data: bytes


class TensorForm(NamedTuple):
    """A tensor without its values; dtype as safetensors spells it (F32, I64, ...)."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        return BYTES_OF[self.dtype] * math.prod(self.shape)


def require_form(data: bytes, wanted: Mapping[str, TensorForm], *, where: str) -> dict[str, str]:
    """The metadata of safetensors bytes that hold exactly the tensors wanted; CheckpointError names what differs.

    Costs no more memory than the header, whose length is bounded by what is wanted.
    """
    size, room = sum(form.n_bytes for form in wanted.values()), _header_room(wanted)
    if not size + 8 < len(data) <= size + 8 + room:
        raise CheckpointError(
            f"{where}: {len(data)} bytes, the network's are {size} and a header of at most {room}; "
            "start policy_node and learner_node from one checkpoint"
        )
    length = int.from_bytes(data[:8], "little")
    if length != len(data) - 8 - size:
        raise CheckpointError(
            f"{where}: a header of {length} bytes is told, {len(data) - 8 - size} are there; cut short?"
        )
    header = _header(data[8 : 8 + length], where)
    metadata = header.pop(METADATA, {})
    bad = [f"lacks {name}" for name in wanted if name not in header]
    bad += [problem for name, entry in header.items() if (problem := _problem(name, entry, wanted.get(name)))]
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        bad.append("has metadata that are not words by name")
    if bad:
        raise CheckpointError(f"{where}: does not fit the network: {'; '.join(bad[:5])}")
    return dict(metadata)


def _header_room(wanted: Mapping[str, TensorForm]) -> int:
    return HEADER_BYTES + sum(HEADER_BYTES_A_TENSOR + len(name) for name in wanted)


def _header(text: bytes, where: str) -> dict[str, Any]:
    try:
        header = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as problem:
        raise CheckpointError(f"{where}: its header is not JSON ({str(problem)[:80]}); send safetensors") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"{where}: its header is a {type(header).__name__}, not a JSON object; send safetensors")
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


def _problem(name: str, entry: Any, form: TensorForm | None) -> str:
    """What is wrong with a tensor's entry; empty where nothing is. Its place is left to safetensors to check."""
    if form is None:
        return f"has {name[:80]!r}, which the network does not"
    if not isinstance(entry, dict) or (entry.get("dtype"), entry.get("shape")) != (form.dtype, list(form.shape)):
        found = str(entry)[:80]
        return f"{name} is {found}, the network's {form.dtype} {list(form.shape)}"
    return ""
