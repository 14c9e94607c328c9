"""What set-up promises: nothing is done twice, nothing is half done, and what is missing is said in one line."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPO = Path(__file__).resolve().parents[1]
SCRIPTS = REPO / "scripts"
BUILT_AT = "/opt/python/cp311-cp311"
INCLUDES = f"{BUILT_AT}/include/python3.11;{BUILT_AT}/lib/python3.11/site-packages/numpy/_core/include;/usr/include"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


repair_cmake_paths = load(SCRIPTS / "repair_cmake_paths.py")


def bash(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs `script` after the set-up's own shell functions."""
    given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **env}
    text = f". {SCRIPTS}/lib.sh; . {SCRIPTS}/system_packages.sh; {script}"
    return subprocess.run(["bash", "-c", text], env=given, capture_output=True, text=True, timeout=60)


def wheel_prefix(tmp_path: Path) -> Path:
    cmake = tmp_path / "share" / "a_msgs" / "cmake" / "export.cmake"
    cmake.parent.mkdir(parents=True)
    cmake.write_text(f'set_target_properties(x PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "{INCLUDES}")\n')
    return cmake


def repair(tmp_path: Path) -> list[Path]:
    return repair_cmake_paths.repair(tmp_path, python_include="/mine/py", numpy_include="/mine/np")


def test_repair_names_this_machines_headers_and_leaves_the_rest(tmp_path):
    cmake = wheel_prefix(tmp_path)
    assert repair(tmp_path) == [cmake]
    assert '"/mine/py;/mine/np;/usr/include"' in cmake.read_text()


def test_repair_run_again_changes_nothing(tmp_path):
    cmake = wheel_prefix(tmp_path)
    repair(tmp_path)
    once = cmake.read_text()
    assert repair(tmp_path) == []
    assert cmake.read_text() == once


def test_repair_leaves_other_hard_links_of_a_file_alone(tmp_path):
    cmake = wheel_prefix(tmp_path)
    cached = tmp_path / "cached"
    os.link(cmake, cached)
    repair(tmp_path)
    assert BUILT_AT in cached.read_text()


@pytest.mark.skipif(not (REPO / ".venv" / "share" / "rclpy").exists(), reason="ROS 2 is not from wheels here")
def test_no_cmake_file_of_the_venv_names_the_build_machine():
    left = [p for p in (REPO / ".venv" / "share").glob("*/cmake/*.cmake") if "/opt/python/cp" in p.read_text()]
    assert left == []


@pytest.mark.parametrize(
    ("distributions", "flavour"),
    [((), "wheels"), (("humble", "iron"), "wheels"), (("jazzy",), "apt"), (("humble", "kilted"), "apt")],
)
def test_ros_is_chosen_by_what_is_installed(tmp_path, distributions, flavour):
    for name in distributions:
        (tmp_path / name).mkdir()
        (tmp_path / name / "setup.bash").touch()
    assert bash("ros_flavour", O2O_ROS_ROOT=str(tmp_path)).stdout == flavour


def test_the_newest_ros_is_sourced(tmp_path):
    for name in ("jazzy", "kilted"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "setup.bash").write_text(f"export ROS_DISTRO={name}\n")
    assert bash("enter_ros; printf $ROS_DISTRO", O2O_ROS_ROOT=str(tmp_path)).stdout == "kilted"


def test_o2o_ros_overrides_what_is_installed(tmp_path):
    (tmp_path / "jazzy").mkdir()
    (tmp_path / "jazzy" / "setup.bash").touch()
    assert bash("ros_flavour", O2O_ROS_ROOT=str(tmp_path), O2O_ROS="wheels").stdout == "wheels"


def test_a_misspelt_o2o_ros_names_what_is_allowed():
    refused = bash("ros_flavour", O2O_ROS="whels")
    assert refused.returncode != 0
    assert "'whels'; use wheels or apt" in refused.stderr


def test_ros_wheels_leave_nothing_of_another_workspace_on_the_paths():
    shown = bash(
        'enter_ros; printf "%s|%s|%s" "$AMENT_PREFIX_PATH" "${PYTHONPATH:-}" "${_ROS_WHEELS_BOOTSTRAP_COMPLETE:-}"',
        O2O_ROS="wheels",
        AMENT_PREFIX_PATH="/other",
        PYTHONPATH="/other/py",
        _ROS_WHEELS_BOOTSTRAP_COMPLETE="1",
    )
    assert shown.stdout == f"{REPO}/.venv||"


MISSING_TWO = (
    "missing_system_packages() { echo cmake; echo libegl1; }; missing_camera_packages() { echo libusb-1.0-0; }; "
)


def test_missing_packages_are_named_in_one_line_with_the_command():
    refused = bash(MISSING_TWO + "may_install() { false; }; need_system_packages python3")
    assert refused.returncode != 0
    assert refused.stderr.count("\n") == 1
    assert "sudo apt-get install -y cmake libegl1 libusb-1.0-0" in refused.stderr


def test_root_installs_what_is_missing(tmp_path):
    done = bash(
        f"logs={tmp_path}; " + MISSING_TWO + "may_install() { true; }; "
        f'install_packages() {{ echo "$@" >> {tmp_path}/asked; }}; need_system_packages python3'
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text() == "cmake libegl1\nlibusb-1.0-0\n"


def test_a_camera_package_that_cannot_be_had_stops_nothing(tmp_path):
    done = bash(
        f"logs={tmp_path}; missing_system_packages() {{ :; }}; missing_camera_packages() {{ echo libusb-1.0-0; }}; "
        "may_install() { true; }; install_packages() { false; }; need_system_packages python3; echo went on"
    )
    assert done.returncode == 0
    assert done.stdout.endswith("went on\n")


def test_a_missing_compiler_is_noticed(tmp_path):
    for tool in ("python3", "dirname", "grep", "ldconfig", "mkdir", "basename"):
        there = subprocess.run(["bash", "-c", f"command -v {tool}"], capture_output=True, text=True).stdout.strip()
        if there:
            (tmp_path / tool).symlink_to(sys.executable if tool == "python3" else there)
    shown = bash(f"PATH={tmp_path}; missing_system_packages {sys.executable}", O2O_ROS="wheels")
    assert {"make", "cmake", "g++"} <= set(shown.stdout.split())


def test_a_failing_stage_shows_its_last_lines_and_leaves_no_stamp(tmp_path):
    stamp = tmp_path / "stamp"
    failed = bash(f"logs={tmp_path}; stage broken bash -c 'echo the reason; exit 3'; mark_fresh {stamp} now")
    assert failed.returncode != 0
    assert "the reason" in failed.stderr
    assert str(tmp_path / "broken.log") in failed.stderr
    assert not stamp.exists()


def test_a_stamp_is_fresh_for_its_own_inputs_only(tmp_path):
    stamp = tmp_path / "there" / "stamp"
    probe = f"is_fresh {stamp} one && echo fresh || echo stale; "
    assert bash(probe + f"mark_fresh {stamp} one; " + probe).stdout.split() == ["stale", "fresh"]
    assert bash(f"is_fresh {stamp} two && echo fresh || echo stale").stdout.split() == ["stale"]


ELSEWHERE = ("peers.txt", "gymhil.txt", "lerobot.txt", "robomimic.txt")  # installed in environments of their own


def requirement_lines(*, elsewhere: bool = False) -> list[str]:
    paths = [path for path in (REPO / "requirements").glob("*.txt") if elsewhere or path.name not in ELSEWHERE]
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def test_every_requirement_is_pinned_exactly_and_once():
    loose = [line for line in requirement_lines(elsewhere=True) if not re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.]+", line)]
    assert loose == []
    names = [line.split("==")[0].lower() for line in requirement_lines()]
    assert sorted(names) == sorted(set(names))


def test_pins_keep_the_versions_that_must_match():
    versions = dict(line.split("==") for line in requirement_lines())
    assert versions["mujoco"] == versions["mujoco-core"] == versions["mujoco-studio"]
    assert int(versions["setuptools"].split(".")[0]) < 80, "colcon's --symlink-install breaks (colcon-core issue 696)"
    assert int(versions["opencv-python-headless"].split(".")[0]) < 5, "OpenCV 5 has no calibrateHandEye"
    assert versions["torch"] == "2.13.0"


is_set_up = pytest.mark.skipif(
    not (REPO / ".venv" / ".o2o_setup").exists() or not (REPO / "ros_ws" / "install" / ".o2o_setup" / "ros").exists(),
    reason="this checkout was not set up by make setup",
)


@is_set_up
@pytest.mark.ros
def test_own_messages_make_the_round_trip_through_the_overlay():
    talk = """
import time, rclpy
from o2o_msgs.msg import TaskState
rclpy.init()
node, heard = rclpy.create_node("talk"), []
publisher = node.create_publisher(TaskState, "talk", 10)
node.create_subscription(TaskState, "talk", heard.append, 10)
patience = time.monotonic() + 20
while not heard and time.monotonic() < patience:
    publisher.publish(TaskState(reward=0.5, success=True, privileged=[1.0, 2.0]))
    rclpy.spin_once(node, timeout_sec=0.05)
assert heard, "nothing heard in 20 s"
print(heard[0].reward, heard[0].success, list(heard[0].privileged))
"""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "ROS_DOMAIN_ID": str(100 + os.getpid() % 100),
    }
    command = ["bash", "-c", '. "$0" && exec python -c "$1"', str(SCRIPTS / "env.sh"), talk]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0.5 True [1.0, 2.0]", done.stderr


@is_set_up
def test_a_second_set_up_does_nothing_and_takes_under_two_seconds_of_work():
    before = os.times()
    done = subprocess.run([SCRIPTS / "setup.sh"], capture_output=True, text=True, timeout=300)
    after = os.times()
    assert done.returncode == 0, done.stderr
    assert " done in " not in done.stdout, f"a stage ran again: {done.stdout}"
    assert (after.children_user - before.children_user) + (after.children_system - before.children_system) < 2.0
