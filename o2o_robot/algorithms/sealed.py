"""A folder of files that is whole or not there: written aside, sha256 of each in its manifest, renamed into place."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from o2o_robot.errors import CheckpointError
from o2o_robot.jsonfile import write_json

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


@contextmanager
def writing(folder: str | Path) -> Iterator[Path]:
    """The folder to write to; it takes the place of `folder` once the block ends, and only if it ends well.

    with sealed.writing("runs/x/checkpoint") as aside:
        safetensors.torch.save_file(sealed.whole(tensors), aside / "weights.safetensors")
    """
    folder = Path(folder)
    aside = folder.with_name(f".{folder.name}.writing.{os.getpid()}")
    _sweep(folder)
    aside.mkdir(parents=True)
    yield aside
    write_json(aside / "manifest.json", {path.name: _sha256(path) for path in sorted(aside.iterdir())})
    _swap(aside, folder)


def verify(folder: str | Path) -> None:
    """Raises CheckpointError naming each file that is missing, not listed, or of another sha256 than the manifest's."""
    folder = Path(folder)
    manifest = read_json(folder / "manifest.json")
    there = [path.name for path in sorted(folder.iterdir()) if path.suffix in (".json", ".safetensors")]
    bad = [f"{name} is not in its manifest" for name in there if name not in manifest and name != "manifest.json"]
    for name, sha256 in manifest.items():
        path = folder / name
        if Path(name).name != name or name == "..":
            bad.append(f"its manifest names '{name[:80]}', which is no file of this folder")
        elif not path.is_file():
            bad.append(f"{name} is missing")
        elif _sha256(path) != sha256:
            bad.append(f"{name} has changed since it was written")
    if bad:
        raise CheckpointError(f"checkpoint {folder} is damaged: {'; '.join(bad)}; use an earlier one")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; CheckpointError where there is none to read."""
    try:
        mapping: Any = json.loads(path.read_text())
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; is {path.parent} a checkpoint folder?") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path} cannot be read: {problem}") from None
    if not isinstance(mapping, dict):
        raise CheckpointError(f"{path} holds a {type(mapping).__name__}, a JSON object was expected")
    return mapping


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A safetensors file; CheckpointError where it is missing or is none. Nothing in one is ever run."""
    try:
        return safetensors.torch.load_file(path)
    except (OSError, ValueError, KeyError, RuntimeError, safetensors.SafetensorError) as problem:
        raise CheckpointError(f"{path} cannot be read: {' '.join(str(problem).split())[:200]}") from None


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Dense copies on the CPU: safetensors takes neither shared storage nor odd strides."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


def _swap(aside: Path, folder: Path) -> None:
    """Put `aside` in folder's place in one step, so that there is a whole one at every instant."""
    if not folder.exists():
        os.rename(aside, folder)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(aside), _AT_FDCWD, os.fsencode(folder), _RENAME_EXCHANGE) != 0:
        raise CheckpointError(f"{folder} cannot be replaced: {os.strerror(ctypes.get_errno())}; give a new folder name")
    shutil.rmtree(aside, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what writers that were killed left beside `folder`."""
    for aside in folder.parent.glob(f".{folder.name}.writing.*"):
        owner = aside.name.rpartition(".")[2]
        if not Path(f"/proc/{owner}").exists() or owner == str(os.getpid()):
            shutil.rmtree(aside, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
