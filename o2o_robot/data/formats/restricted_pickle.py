"""Pickles of plain data, read without running them: the one place that knows the format, and it imports no unpickler.

A pickle is a program that names functions to call. Here its opcodes are walked one by one and build only numbers, text,
bytes, lists, tuples, dicts and NumPy arrays of numbers. A name is a label that is never looked up: NumPy's own few
(`_reconstruct`, `dtype`, `scalar`, `_frombuffer`) are rebuilt in pickled_numpy.py from bytes that are already there;
every other name, class, extension or persistent id ends in a DataError that says which. Memory stays within a few
times the size of the file: no opcode asks for more than the bytes it brings along.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from o2o_robot.data.formats.pickled_numpy import (
    NDARRAY,
    REBUILT,
    Name,
    PendingArray,
    PendingDtype,
    array_from_state,
    dtype_from_state,
    settled,
)
from o2o_robot.errors import DataError

MAX_FILE_BYTES = 2 << 30
MAX_OPCODES = 10_000_000
MAX_STACK = 1_000_000
_SLACK_BYTES = 1 << 16


def load(path: Path) -> Any:
    """The data in the pickle at `path`. Raises DataError: too large, damaged, or more than plain data."""
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise DataError(f"{path}: a pickle of {size >> 20} MiB is larger than {MAX_FILE_BYTES >> 20} MiB; split it")
    return loads(path.read_bytes(), where=str(path))


def loads(data: bytes, *, where: str = "pickle") -> Any:
    """The data in a pickle. Raises DataError as `load` does; anything after the first STOP is left unread."""
    machine = _Machine(copy_limit=2 * len(data) + _SLACK_BYTES)
    try:
        for n_opcodes, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
            if n_opcodes > MAX_OPCODES or len(machine.stack) > MAX_STACK:
                raise DataError(f"more than {MAX_OPCODES} opcodes or {MAX_STACK} things at once; split the file")
            machine.step(opcode.name, argument)
        return machine.result()
    except DataError as problem:
        raise DataError(f"{where}: {problem}") from None
    except Exception as problem:  # strangers' bytes: whatever is wrong with them means the same
        reason = " ".join(str(problem).split())[:120]
        raise DataError(f"{where}: not a whole pickle of plain data ({type(problem).__name__}: {reason})") from None


class _Machine:
    """The stack, the marks and the memo of a pickle, and what its opcodes do to them."""

    def __init__(self, copy_limit: int) -> None:
        self.stack: list[Any] = []
        self._may_copy = copy_limit
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Do one opcode. Raises DataError where it is not among those that only build plain data."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _BRINGS_ITS_VALUE:
            self._push_value(argument)
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in _IDLE:
            raise DataError(f"opcode {name} is not of plain data; only numbers, text, containers and arrays are read")

    def result(self) -> Any:
        return settled(self.stack.pop())

    def _push_value(self, value: Any) -> None:
        if isinstance(value, int) and value.bit_length() > 64:
            raise DataError(f"a whole number of {value.bit_length()} bits is longer than 64")
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self._marks.append(len(self.stack))

    def pop(self, _: Any) -> None:
        if self._marks and self._marks[-1] == len(self.stack):
            self._marks.pop()
        else:
            self.stack.pop()

    def pop_mark(self, _: Any) -> None:
        self._since_mark()

    def duplicate(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def put(self, key: Any) -> None:
        self._memo[len(self._memo) if key is None else int(key)] = self.stack[-1]

    def get(self, key: Any) -> None:
        self.stack.append(self._memo[int(key)])

    def new_list(self, _: Any) -> None:
        self.stack.append([])

    def new_dict(self, _: Any) -> None:
        self.stack.append({})

    def list_since_mark(self, _: Any) -> None:
        self.stack.append([settled(value) for value in self._since_mark()])

    def dict_since_mark(self, _: Any) -> None:
        items = self._since_mark()
        self.stack.append({})
        self._set(items)

    def tuple_since_mark(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def tuple_of_1(self, _: Any) -> None:
        self.stack.append(tuple(self._take(1)))

    def tuple_of_2(self, _: Any) -> None:
        self.stack.append(tuple(self._take(2)))

    def tuple_of_3(self, _: Any) -> None:
        self.stack.append(tuple(self._take(3)))

    def append(self, _: Any) -> None:
        self._extend(self._take(1))

    def append_many(self, _: Any) -> None:
        self._extend(self._since_mark())

    def set_item(self, _: Any) -> None:
        self._set(self._take(2))

    def set_items(self, _: Any) -> None:
        self._set(self._since_mark())

    def name(self, argument: Any) -> None:
        self._push_name(*str(argument).split(" ", 1))

    def stack_name(self, _: Any) -> None:
        self._push_name(*self._take(2))

    def call(self, _: Any) -> None:
        function, arguments = self._take(2)
        if not isinstance(function, Name) or function not in REBUILT or not isinstance(arguments, tuple):
            raise DataError("it calls something that is no array, dtype or number of NumPy's")
        self._account(arguments)
        self.stack.append(REBUILT[function](*arguments))

    def build(self, _: Any) -> None:
        (state,) = self._take(1)
        thing = self.stack[-1]
        self._account(state)
        if isinstance(thing, PendingArray):
            thing.array = array_from_state(state)
        elif isinstance(thing, PendingDtype):
            thing.dtype = dtype_from_state(thing.dtype, state)
        else:
            raise DataError("it sets the state of something that is no array or dtype")

    def _push_name(self, module: Any, name: Any) -> None:
        known = Name(str(module)[:200], str(name)[:200])
        if known not in REBUILT and known != NDARRAY:
            raise DataError(
                f"it names {known.module!r}.{known.name!r}; only numbers, text, containers and NumPy arrays are read "
                "(convert it where it was written, e.g. with numpy.asarray)"
            )
        self.stack.append(known)

    def _account(self, arguments: Any) -> None:
        """Text that stands for bytes is copied; a few opcodes could ask for the same long text again and again."""
        texts = [each for each in arguments if isinstance(each, str)] if isinstance(arguments, tuple) else []
        self._may_copy -= sum(map(len, texts))
        if self._may_copy < 0:
            raise DataError("it copies the same text over and over")

    def _take(self, n: int) -> list[Any]:
        if len(self.stack) - (self._marks[-1] if self._marks else 0) < n:
            raise DataError("an opcode takes more from the stack than is there")
        items = self.stack[-n:]
        del self.stack[-n:]
        return items

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise DataError("it appends to something that is no list")
        target.extend(settled(item) for item in items)

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise DataError("it sets items of something that is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, int):  # tuples nest, and hashing a deep one overflows the C stack
                raise DataError(f"a key is {type(key).__name__}, expected text or a whole number")
            target[key] = settled(value)


_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_TEXTS = ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
_BRINGS_ITS_VALUE = frozenset((*_NUMBERS, *_TEXTS, *_BYTES))
_IDLE = frozenset(("PROTO", "FRAME", "STOP"))
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.duplicate,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "EMPTY_LIST": _Machine.new_list,
    "EMPTY_DICT": _Machine.new_dict,
    "LIST": _Machine.list_since_mark,
    "DICT": _Machine.dict_since_mark,
    "TUPLE": _Machine.tuple_since_mark,
    "TUPLE1": _Machine.tuple_of_1,
    "TUPLE2": _Machine.tuple_of_2,
    "TUPLE3": _Machine.tuple_of_3,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.append_many,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
}
