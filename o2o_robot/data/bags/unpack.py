"""What rosbag2 compressed with zstd, unpacked in bounded memory: whole files to a temporary file, messages in place."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
import weakref
from pathlib import Path

from o2o_robot.errors import DataError

SUFFIXES = (".zstd", ".zst")
MAX_FILE_BYTES = 64 << 30
MAX_MESSAGE_BYTES = 256 << 20
FREE_BYTES = 1 << 30  # that stay free on the disk of the temporary file
_MAGIC = b"\x28\xb5\x2f\xfd"  # RFC 8878; CDR begins with a zero byte, so one is never taken for the other
_BLOCK_BYTES = 4 << 20


class UnpackedFile:
    """A temporary file that goes when the last one who holds this lets go, or when the process ends."""

    def __init__(self, packed: Path) -> None:
        folder = Path(tempfile.mkdtemp(prefix="o2o-bag-"))
        self._remove = weakref.finalize(self, _remove_own, folder, os.getpid())
        self.path = folder / packed.stem
        _unpack_to(self.path, packed)


def unpacked(packed: Path) -> UnpackedFile:
    """The contents of `packed` as a file. The last two are kept, so that a second pass need not unpack again.

    Raises DataError where it is damaged, or unpacks to more than MAX_FILE_BYTES or than the disk has room for.
    """
    facts = packed.stat()
    return _unpacked(packed.resolve(), facts.st_size, facts.st_mtime_ns)


def unpacked_message(data: bytes, topic: str) -> bytes:
    """The message in `data`, which may be a zstd frame. DataError: damaged, or more than MAX_MESSAGE_BYTES."""
    if data[:4] != _MAGIC:
        return data
    import zstandard

    try:
        size = zstandard.frame_content_size(data)
        if size > MAX_MESSAGE_BYTES:
            raise DataError(f"a message of {topic} would unpack to {size} bytes (at most {MAX_MESSAGE_BYTES} are read)")
        if size >= 0:
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
        return _streamed(data, topic)
    except zstandard.ZstdError as problem:
        raise DataError(f"a message of {topic} is a damaged zstd frame ({problem})") from None


@functools.lru_cache(maxsize=2)
def _unpacked(packed: Path, _size: int, _modified_ns: int) -> UnpackedFile:
    return UnpackedFile(packed)


def _unpack_to(target: Path, packed: Path) -> None:
    import zstandard

    written = 0
    try:
        with packed.open("rb") as file, target.open("wb") as out:
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            while block := reader.read(_BLOCK_BYTES):
                written += len(block)
                _check_room(packed, target, written)
                out.write(block)
    except zstandard.ZstdError as problem:
        raise DataError(f"{packed}: damaged zstd file ({problem})") from None
    except OSError as problem:
        raise DataError(f"{packed}: cannot be unpacked to {target.parent} ({problem.strerror}); set TMPDIR") from None


def _check_room(packed: Path, target: Path, written: int) -> None:
    if written > MAX_FILE_BYTES:
        raise DataError(
            f"{packed}: unpacks to more than {MAX_FILE_BYTES} bytes, the most that is unpacked; if it is sound, "
            "unpack it with `zstd -d` and give the result"
        )
    if shutil.disk_usage(target.parent).free < FREE_BYTES:
        raise DataError(f"{packed}: no room to unpack it in {target.parent}; free space, or set TMPDIR to another disk")


def _streamed(data: bytes, topic: str) -> bytes:
    """A frame that does not state its size, read block by block: no more memory is taken than it really needs."""
    import zstandard

    blocks, total = [], 0
    reader = zstandard.ZstdDecompressor().stream_reader(data)
    while block := reader.read(_BLOCK_BYTES):
        total += len(block)
        if total > MAX_MESSAGE_BYTES:
            raise DataError(f"a message of {topic} would unpack to more than {MAX_MESSAGE_BYTES} bytes")
        blocks.append(block)
    return b"".join(blocks)


def _remove_own(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked worker holds a copy of this object, not the file
        shutil.rmtree(folder, ignore_errors=True)
