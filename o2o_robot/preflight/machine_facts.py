"""Reads what this computer tells about itself; whatever it does not tell is left None or empty."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from o2o_robot.data.provenance import versions
from o2o_robot.preflight.facts import MachineFacts

_PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
_SEGMENT = re.compile(r"<segment_size>\s*(\d+)\s*</segment_size>")
_CHUNK, _CHUNKS = 4 << 20, 8  # 32 MB: seconds of images, and no burden on a small disk
_SLOWEST_S = 5.0


def machine_facts(
    folder: Path, *, environment: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.perf_counter
) -> MachineFacts:
    """folder: where the run will be written; it need not be there yet."""
    there = _nearest(folder)
    profile = next((environment[name] for name in _PROFILE_VARIABLES if environment.get(name)), "")
    return MachineFacts(
        free_bytes=shutil.disk_usage(there).free,
        write_bytes_s=write_speed(there, clock),
        cpus=os.cpu_count() or 1,
        load_1min=os.getloadavg()[0],
        governors=_governors(),
        rmem_max_bytes=_number(Path("/proc/sys/net/core/rmem_max")),
        shm_free_bytes=shutil.disk_usage("/dev/shm").free if Path("/dev/shm").is_dir() else None,
        profile=profile,
        profile_segment_bytes=segment_bytes(profile),
        clock_synchronised=_is_synchronised(),
        versions=versions(),
    )


def write_speed(folder: Path, clock: Callable[[], float]) -> float | None:
    """Bytes a second that reach the disk, from 32 MB or 5 s of them; None where the folder cannot be written."""
    data, written = os.urandom(_CHUNK), 0
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".o2o_doctor_") as file:
            start_s = clock()
            for _ in range(_CHUNKS):
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                written += len(data)
                if clock() - start_s > _SLOWEST_S:
                    break
            return written / max(clock() - start_s, 1e-6)
    except OSError:
        return None


def segment_bytes(profile: str) -> int | None:
    """The largest shared-memory segment that a Fast DDS profile asks for; None where it asks for none."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return max((int(size) for size in _SEGMENT.findall(Path(profile).read_text())), default=None)
    return None


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder.resolve(), *folder.resolve().parents) if path.is_dir())


def _governors() -> tuple[str, ...]:
    files = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return tuple(sorted({file.read_text().strip() for file in files}))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _is_synchronised() -> bool | None:
    """By chrony, else by systemd; None where neither answers."""
    if tracking := _said("chronyc", "tracking"):
        return "Leap status     : Normal" in tracking
    answer = _said("timedatectl", "show", "--property=NTPSynchronized", "--value").strip()
    return answer == "yes" if answer in ("yes", "no") else None


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
