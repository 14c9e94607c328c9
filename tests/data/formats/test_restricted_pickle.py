"""Pickles are read without being run: what NumPy writes comes back, everything else is refused by name."""

import collections
import copyreg
import datetime
import os
import pickle
import random
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from o2o_robot.data.formats import restricted_pickle
from o2o_robot.errors import DataError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
DTYPES = ["u1", "i2", "<i4", ">i4", "i8", "u8", "f2", "<f4", ">f8", "?"]


class Calls:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def same(one: object, other: object) -> bool:
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_and_numbers_of_every_protocol_come_back_equal(protocol: int, dtype: str) -> None:
    rng = np.random.default_rng(1)
    array = rng.integers(0, 2, (3, 4, 2)).astype(dtype)
    data = [array, np.asfortranarray(array), array[:, ::2], array[:0], array[0, 0, 0], np.array(array[0, 0, 0])]
    assert same(restricted_pickle.loads(pickle.dumps(data, protocol)), data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_containers_text_and_shared_objects_come_back_equal(protocol: int) -> None:
    shared = np.arange(5)
    data = {"a": [1, -(2**40), 2.5, None, True, "ü", b"\x00\xff", (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], 7: {}}
    data["again"] = [shared, shared, data["a"]]
    data["many"] = list(range(3000))  # more than a pickler appends at once
    back = restricted_pickle.loads(pickle.dumps(data, protocol))
    assert same(back, data)
    assert back["again"][0] is back["again"][1]


def test_the_memo_is_numbered_as_the_pickle_says() -> None:
    assert restricted_pickle.loads(b"K\x07q\x05K\x08q\x0200h\x05.") == 7


def test_an_ordered_dict_is_read_as_a_dict() -> None:
    assert restricted_pickle.loads(pickle.dumps(collections.OrderedDict(b=1, a=2))) == {"b": 1, "a": 2}


def test_bytes_that_python_2_wrote_as_text_are_bytes() -> None:
    raw = np.array([1.5, -2.0], "<f8").tobytes()
    python_2 = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U"
        + bytes([len(raw)])
        + raw
        + b"tb."
    )
    assert np.array_equal(restricted_pickle.loads(python_2), [1.5, -2.0])


def hostile(marker: Path) -> dict[str, bytes]:
    """Pickles that a reader must refuse; those that could run something would create `marker`."""
    touch = f"open({str(marker)!r}, 'w')"
    shell = f"touch {marker}"
    array = np.zeros(3)
    dtype = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tR"
    pending = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR"
    return {
        "os.system": pickle.dumps(Calls(os.system, shell)),
        "os.system by protocol 0": f"cos\nsystem\n(S'{shell}'\ntR.".encode(),
        "posix.system by INST": f"(S'{shell}'\niposix\nsystem\n.".encode(),
        "by OBJ": f"(cposix\nsystem\nS'{shell}'\no.".encode(),
        "eval": pickle.dumps(Calls(eval, touch)),
        "exec": pickle.dumps(Calls(exec, touch)),
        "__import__": pickle.dumps(Calls(__import__, "antigravity")),
        "getattr chain": pickle.dumps(Calls(getattr, Calls(__import__, "os"), "system")),
        "subprocess": pickle.dumps(Calls(subprocess.check_output, ["touch", str(marker)])),
        "copyreg": pickle.dumps(Calls(copyreg._reconstructor, dict, dict, {})),
        "numpy.f2py": f"cnumpy.f2py.diagnose\nrun_command\n(X\x04\x00\x00\x00trueS'{shell}'\ntR.".encode(),
        "numpy.load": f"cnumpy\nload\n(S'{marker}'\ntR.".encode(),
        "numpy.memmap": f"cnumpy\nmemmap\n(S'{marker}'\nS'u1'\nS'w+'\ntR.".encode(),
        "numpy.testing.runstring": f"cnumpy.testing._private.utils\nrunstring\n(S'{touch}'\n}}tR.".encode(),
        "nested in a list": pickle.dumps([{"observations": [Calls(os.system, shell)]}]),
        "as a key": pickle.dumps({"a": 1})[:-2] + b"cos\nsystem\nK\x01s.",
        "in the state of an array": pending + f"(K\x01(K\x03tcos\nsystem\n(S'{shell}'\ntR\x89C\x00tb.".encode(),
        "a class": pickle.dumps(Calls),
        "a date": pickle.dumps(datetime.date(2026, 1, 1)),
        "NEWOBJ": pickle.dumps(Path("x")),
        "a set": pickle.dumps({1, 2}),
        "dtype object": pickle.dumps(np.array([{}, []], dtype=object)),
        "dtype with fields": pickle.dumps(np.zeros(2, [("a", "f4")])),
        "array of text": pickle.dumps(np.array(["a", "b"])),
        "array of dates": pickle.dumps(np.zeros(2, "M8[s]")),
        "dtype of 2 GB": b"cnumpy\ndtype\n(X\x0b\x00\x00\x00V2000000000tR.",
        "array of no bytes": pending + b"(K\x01(J\xff\xff\xff\x7ft" + dtype + b"\x89C\x00tb.",
        "array of a negative shape": pending + b"(K\x01(J\xfe\xff\xff\xffJ\xfc\xff\xff\xfft" + dtype + b"\x89C\x40"
        + bytes(64) + b"tb.",
        "array whose bytes are an int": pending + b"(K\x01(K\x00t" + dtype + b"\x89J\xff\xff\xff\x7ftb.",
        "array that is never built": b"]" + pending + b"a.",
        "array built of nothing": pickle.dumps(array)[:-1] + b"Nb.",
        "a function as data": b"]cnumpy\ndtype\na.",
        "state of a list": b"]}b.",
        "state of a name": b"cnumpy\ndtype\n}X\x01\x00\x00\x00aK\x01sb.",
        "a name called with a list": b"cnumpy\ndtype\n]R.",
        "calls an array": pickle.dumps(array)[:-1] + b")R.",
        "calls a tuple of two texts": b"(X\x05\x00\x00\x00numpyX\x05\x00\x00\x00dtypet(X\x02\x00\x00\x00f8tR.",
        "extension 1": b"\x82\x01.",
        "extension 4": b"\x84\x01\x00\x00\x00.",
        "persistent id": b"Pabc\n.",
        "binary persistent id": b"K\x01Q.",
        "out of band buffer": b"\x80\x05\x97.",
        "bytes that are not there": b"B\xff\xff\xff\x7fabc.",
        "8 bytes of length": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"a.",
        "a very long whole number": b"\x8b" + struct.pack("<i", 4000) + b"\x7f" * 4000 + b".",
        "digits": b"I" + b"9" * 100_000 + b"\n.",
        "memo of nothing": b"h\x05.",
        "empty": b"",
        "only STOP": b".",
        "no STOP": b"]",
        "takes below the mark": b"K\x01(\x85.",
        "tuple as a key": b"}(K\x01t)s.}K\x01K\x02\x86K\x03s.",
        "deep tuple as a key": b"})" + b"\x85" * 30_000 + b"K\x01s.",
        "no pickle": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "same text as bytes, over and over": b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x000("
        + b"c_codecs\nencode\n(h\x00X\x06\x00\x00\x00latin1tR" * 5000 + b"l.",
        "same text by lists of arguments": b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x000("
        + b"c_codecs\nencode\n](h\x00X\x06\x00\x00\x00latin1eR" * 500 + b"l.",
    }  # fmt: skip


TOLD = {
    "array of a negative shape": "impossible shape",
    "array of no bytes": "has 0 bytes",
    "array of text": "not of plain numbers",
    "array of dates": "not of plain numbers",
    "dtype object": "not of plain numbers",
    "dtype with fields": "not of plain numbers",
    "dtype of 2 GB": "not of plain numbers",
    "same text as bytes, over and over": "copies the same text",
    "a very long whole number": "bits",
    "array that is never built": "never gets its data",
    "takes below the mark": "than is there",
    "extension 1": "EXT1",
    "binary persistent id": "BINPERSID",
}
HOSTILE_NAMES = list(hostile(Path("unused")))


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_pickle_is_refused_in_one_line_and_nothing_runs(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "it_ran"
    before = set(sys.modules)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=TOLD.get(name, "h.pkl: ")) as refusal:
            restricted_pickle.loads(hostile(marker)[name], where="h.pkl")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(refusal.value).startswith("h.pkl: ")
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 700
    assert not marker.exists()
    assert "antigravity" not in set(sys.modules) - before
    assert peak < 64 << 20


def test_the_battery_would_run_something_under_the_ordinary_reader(tmp_path: Path) -> None:
    for name in ("os.system", "os.system by protocol 0", "eval", "posix.system by INST", "nested in a list"):
        marker = tmp_path / name.replace(" ", "_")
        pickle.loads(hostile(marker)[name])
        assert marker.exists(), name


def test_a_pickle_of_more_things_or_opcodes_than_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restricted_pickle, "MAX_STACK", 1000)
    with pytest.raises(DataError, match="1000 things at once"):
        restricted_pickle.loads(b"(" + b"}" * 1100 + b"l.")
    monkeypatch.setattr(restricted_pickle, "MAX_OPCODES", 1000)
    with pytest.raises(DataError, match="1000 opcodes"):
        restricted_pickle.loads(b"}0" * 600 + b"}.")


def test_a_refused_name_is_told_with_what_to_try() -> None:
    with pytest.raises(DataError, match=r"'datetime'\.'date'.*numpy\.asarray"):
        restricted_pickle.loads(pickle.dumps(datetime.date(2026, 1, 1)))


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_changed_bytes_give_data_or_a_data_error() -> None:
    data = {"observations": {"state": np.arange(6.0), "wrist": np.zeros((4, 4, 3), np.uint8)}, "dones": False}
    seeds = [pickle.dumps([data, data], protocol) for protocol in PROTOCOLS]
    rng = random.Random(3)
    n_refused = 0
    for _ in range(3000):
        changed = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        try:
            restricted_pickle.loads(bytes(changed[: rng.randint(1, len(changed))] if rng.random() < 0.3 else changed))
        except DataError:
            n_refused += 1
    assert 1000 < n_refused < 3000


def test_a_file_above_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.pkl"
    path.write_bytes(pickle.dumps(b"a" * 1000))
    monkeypatch.setattr(restricted_pickle, "MAX_FILE_BYTES", 100)
    with pytest.raises(DataError, match="larger than"):
        restricted_pickle.load(path)


def test_nothing_is_unpickled_by_python_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an unpickler was asked")

    data = pickle.dumps([np.zeros(3), np.float32(1)])
    for module in (pickle, sys.modules["_pickle"]):
        for name in ("loads", "load", "Unpickler"):
            monkeypatch.setattr(module, name, refuse)
    assert len(restricted_pickle.loads(data)) == 2
