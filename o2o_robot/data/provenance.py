"""Where data and files come from: source, contract, versions and git revision, so that a number can be traced."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import o2o_robot
from o2o_robot.errors import DataError

_TEXTS = ("source", "source_fingerprint", "contract", "contract_fingerprint", "created_at")
_PACKAGES = ("numpy", "zarr", "torch", "mujoco", "ros-rclpy")


def versions() -> dict[str, str]:
    """Name -> version of this package, Python and the libraries that matter; those not installed are left out."""
    found = {"o2o_robot": o2o_robot.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def episode_provenance(
    *, source: str, created_at: str, source_fingerprint: str = "", contract: str = "", contract_fingerprint: str = ""
) -> dict[str, Any]:
    """What an episode's meta["provenance"] holds: where it came from, by which contract, with which software, when.

    source: a file's name, or the node that recorded it live (then there is no fingerprint, and no contract).
    created_at: ISO 8601 time. Raises DataError where source is empty or the time is not one.
    """
    texts = (source, source_fingerprint, contract, contract_fingerprint, created_at)
    block = {**dict(zip(_TEXTS, texts, strict=True)), "software": dict(_software())}
    check({"provenance": block})
    return block


def check(meta: Mapping[str, Any]) -> None:
    """Raises DataError where meta["provenance"] lacks what `episode_provenance` gives; more, or none at all, passes."""
    block = meta.get("provenance")
    if block is None:
        return
    missing = [name for name in (*_TEXTS, "software") if not isinstance(block, Mapping) or name not in block]
    if missing:
        raise DataError(f"meta['provenance'] lacks {', '.join(missing)}; make it with provenance.episode_provenance")
    wrong = [name for name in _TEXTS if not isinstance(block[name], str)]
    if wrong or not isinstance(block["software"], Mapping) or not block["source"]:
        name = wrong[0] if wrong else "source" if not block["source"] else "software"
        raise DataError(f"meta['provenance'] has {name} = {block[name]!r}; make it with provenance.episode_provenance")
    try:
        datetime.fromisoformat(block["created_at"])
    except ValueError:
        told = f"meta['provenance'] has created_at = {block['created_at']!r}"
        raise DataError(f"{told}; give ISO 8601 time, like 2026-11-21T18:00:00+00:00") from None


@cache
def _software() -> Mapping[str, str]:
    return {**versions(), "git_revision": git_revision()}


def machine() -> dict[str, Any]:
    """What a figure was measured on: processor, cores, and the load, since other work lowers every figure."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    processor = next(named, platform.processor() or platform.machine())
    return {"processor": processor, "cpus": os.cpu_count(), "load_1min": round(os.getloadavg()[0], 2)}


def git_revision(folder: str | Path | None = None) -> str:
    """The commit of this software's checkout (or of `folder`), "+changed" where files differ; "unknown" outside git."""
    where = str(folder or Path(o2o_robot.__file__).parent)
    revision = _git(where, "rev-parse", "--verify", "HEAD")
    if not revision:
        return "unknown"
    return revision + ("+changed" if _git(where, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
