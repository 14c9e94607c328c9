"""What software made a file: versions and the git revision, so that a number can be traced to its code."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

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
