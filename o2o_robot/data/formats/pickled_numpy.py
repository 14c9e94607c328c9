"""What NumPy's arrays, dtypes and scalars look like in a pickle, rebuilt from bytes that are there.

The real `numpy.core.multiarray._reconstruct` and `dtype.__setstate__` take sizes and structures on trust; these do not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from o2o_robot.errors import DataError
from o2o_robot.types import Array

_DTYPE = re.compile(r"[<>|=]?([biuf][1248]|f2|\?|bool|u?int(8|16|32|64)|float(16|32|64))")
_NUMPY_CORE = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMPY_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")


class Name(NamedTuple):
    """What a pickle calls a function or a class. Never imported."""

    module: str
    name: str


class PendingArray:
    """What `_reconstruct` returns in a pickle: an array that gets its shape and its bytes a moment later."""

    array: Array | None = None


class PendingDtype:
    """What `numpy.dtype` returns in a pickle: a dtype that gets its byte order a moment later."""

    def __init__(self, name: str) -> None:
        self.dtype = np.dtype(name)


def settled(value: Any) -> Any:
    """An array in place of what stood for it. Raises DataError where it never got its bytes, or is a bare name."""
    if isinstance(value, PendingArray):
        if value.array is None:
            raise DataError("an array never gets its data")
        return value.array
    if isinstance(value, Name | PendingDtype):
        raise DataError("a function, class or dtype stands where data should be")
    return value


def _reconstruct(kind: Any, shape: Any, typecode: Any) -> PendingArray:
    if kind != NDARRAY:
        raise DataError("it builds an array that is not numpy.ndarray")
    return PendingArray()


def array_from_state(state: Any) -> Array:
    """numpy.ndarray.__setstate__: (version, shape, dtype, is_fortran, data)."""
    if not isinstance(state, tuple) or len(state) not in (4, 5):
        raise DataError("the state of an array is not (version, shape, dtype, order, data)")
    shape, dtype, is_fortran, data = state[-4:]
    return _array(data, dtype, shape, "F" if is_fortran is True else "C")


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    return _array(data, dtype, shape, "F" if order == "F" else "C")


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    raw = data.encode("latin-1") if isinstance(data, str) else data  # Python 2 wrote bytes as text
    if not isinstance(raw, bytes | bytearray) or not isinstance(dtype, PendingDtype):
        raise DataError("the data of an array is not bytes of plain numbers (dtype object is refused)")
    sizes = list(shape) if isinstance(shape, tuple) else [-1]
    if len(sizes) > 8 or any(type(n) is not int or n < 0 for n in sizes):
        raise DataError("an array has an impossible shape")
    if math.prod(sizes) * dtype.dtype.itemsize != len(raw):
        raise DataError(f"an array of shape {sizes} and {dtype.dtype} has {len(raw)} bytes")
    return np.frombuffer(raw, dtype.dtype).reshape(sizes, order="F" if order == "F" else "C")


def _dtype(name: Any, *flags: Any) -> PendingDtype:
    if not isinstance(name, str) or not _DTYPE.fullmatch(name):
        raise DataError(f"dtype {str(name)[:40]!r} is not of plain numbers up to 8 bytes")
    return PendingDtype(name)


def dtype_from_state(dtype: np.dtype, state: Any) -> np.dtype:
    """numpy.dtype.__setstate__: (version, byte order, subarray, names, fields, ...); only the byte order is taken."""
    is_plain = isinstance(state, tuple) and len(state) >= 5 and all(part is None for part in state[2:5])
    if not is_plain or state[1] not in ("<", ">", "|", "="):
        raise DataError("a dtype has fields or an unknown byte order; only plain numbers are read")
    return dtype.newbyteorder(state[1])


def _scalar(dtype: Any, data: Any) -> Any:
    return _array(data, dtype, (), "C")[()]


def _encode(text: Any, codec: Any) -> bytes:
    """_codecs.encode: how protocol 2 writes bytes."""
    if not isinstance(text, str) or codec != "latin1":
        raise DataError("text is encoded by a codec other than latin1")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    """bytes(): how protocols before 3 write an empty array."""
    return b""


def _ordered_dict() -> dict[Any, Any]:
    return {}


NDARRAY = Name("numpy", "ndarray")
REBUILT: dict[Name, Callable[..., Any]] = {
    **{Name(module, "_reconstruct"): _reconstruct for module in _NUMPY_CORE},
    **{Name(module, "scalar"): _scalar for module in _NUMPY_CORE},
    **{Name(module, "_frombuffer"): _from_buffer for module in _NUMPY_NUMERIC},
    Name("numpy", "dtype"): _dtype,
    Name("_codecs", "encode"): _encode,
    Name("__builtin__", "bytes"): _no_bytes,
    Name("collections", "OrderedDict"): _ordered_dict,
}
