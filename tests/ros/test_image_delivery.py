"""Raw camera pictures between two processes, under the Fast DDS profile of launch/ and without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from o2o_robot import overlay

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")

pytestmark = pytest.mark.ros
HERE = Path(__file__).resolve().parent
PROFILE = overlay.share() / "fastdds.xml"
VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # Fast DDS 3, and 2
N_FRAMES = 120
ENOUGH = 0.99 * N_FRAMES


def arrived(monkeypatch: pytest.MonkeyPatch, profile: Path | None) -> int:
    """How many of N_FRAMES pictures a reader with the sensor QoS hears, both processes under one profile."""
    for name in VARIABLES:
        monkeypatch.setenv(name, str(profile))
    env = {k: v for k, v in overlay.environment().items() if profile is not None or k not in VARIABLES}
    with subprocess.Popen([sys.executable, str(HERE / "image_sender.py"), str(N_FRAMES)], env=env) as sender:
        reader = [sys.executable, str(HERE / "image_reader.py"), str(N_FRAMES)]
        answer = subprocess.run(reader, env=env, capture_output=True, text=True, timeout=60, check=True).stdout
        sender.wait(30.0)
    return int(answer.split()[-1])


def test_raw_pictures_at_30_hz_all_arrive_under_the_profile(domain, monkeypatch, record_property):
    with_profile = arrived(monkeypatch, PROFILE)
    if with_profile < ENOUGH:  # a reader that the machine stalls for six frames loses one, whatever the transport
        with_profile = arrived(monkeypatch, PROFILE)
    without = arrived(monkeypatch, None)
    record_property("arrived", f"{with_profile} of {N_FRAMES} with the profile, {without} without")
    print(f"{with_profile} of {N_FRAMES} with the profile, {without} without")
    assert with_profile >= ENOUGH
