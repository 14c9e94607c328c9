"""What software made a file: versions and the git revision, so that a number can be traced to its code."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import o2o_robot

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
