"""Where the nodes are found, and what their processes are given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from o2o_robot import overlay
from o2o_robot.errors import GraphError


def workspace(root: Path, *, sets: str = "") -> Path:
    """An install prefix that holds the nodes; `sets` is what sourcing it exports."""
    (root / "lib" / overlay.PACKAGE).mkdir(parents=True)
    (root / "local_setup.bash").write_text(f"export AMENT_PREFIX_PATH={root}\n{sets}\n")
    return root


@pytest.fixture
def nothing_sourced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AMENT_PREFIX_PATH", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_DOMAIN_ID", *overlay.PROFILE_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(overlay, "REPOSITORY", tmp_path / "repository")


def test_the_sourced_workspace_comes_before_the_repository_s(nothing_sourced, tmp_path, monkeypatch):
    ours = workspace(tmp_path / "repository" / "ros_ws" / "install")
    assert overlay.prefix() == ours
    theirs = workspace(tmp_path / "theirs")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/opt/ros/none{os.pathsep}{theirs}")
    assert overlay.prefix() == theirs


def test_without_a_workspace_the_error_says_where_it_looked_and_what_to_run(nothing_sourced, tmp_path):
    with pytest.raises(GraphError, match=r"repository/ros_ws/install.*make ros"):
        overlay.prefix()


def test_in_a_shell_where_nothing_was_sourced_the_workspace_is_sourced_for_the_nodes(nothing_sourced, tmp_path):
    ours = workspace(tmp_path / "repository" / "ros_ws" / "install", sets="export FROM_SETUP='two words'")
    env = overlay.environment()
    assert env["FROM_SETUP"] == "two words"
    assert str(ours) in env["AMENT_PREFIX_PATH"].split(os.pathsep)
    assert "FROM_SETUP" not in os.environ


def test_nodes_are_heard_on_this_machine_alone_unless_somebody_said_otherwise(nothing_sourced, tmp_path, monkeypatch):
    workspace(tmp_path / "repository" / "ros_ws" / "install")
    assert overlay.environment()["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    assert overlay.environment()["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


@pytest.mark.parametrize(
    ("distro", "variable"),
    [
        ("", "FASTDDS_DEFAULT_PROFILES_FILE"),
        ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
        ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_nodes_have_the_profile_for_large_pictures_unless_somebody_chose_one(
    nothing_sourced, tmp_path, monkeypatch, distro, variable
):
    ours = workspace(tmp_path / "repository" / "ros_ws" / "install")
    monkeypatch.setenv("ROS_DISTRO", distro)
    env = overlay.environment()
    assert [env.get(name) for name in overlay.PROFILE_VARIABLES if name in env] == [env[variable]]
    assert env[variable] == str(ours / "share" / "o2o_robot" / "launch" / "fastdds.xml")
    for chosen in overlay.PROFILE_VARIABLES:
        with monkeypatch.context() as shell:
            shell.setenv(chosen, "/their/profile.xml")
            env = overlay.environment()
            assert [env.get(name) for name in overlay.PROFILE_VARIABLES if name in env] == ["/their/profile.xml"]
            assert env[chosen] == "/their/profile.xml"


def test_a_workspace_that_cannot_be_sourced_is_told_with_its_words(nothing_sourced, tmp_path):
    workspace(tmp_path / "repository" / "ros_ws" / "install", sets="echo broken >&2; return 4")
    with pytest.raises(GraphError, match=r"broken.*make ros"):
        overlay.environment()


def test_launch_files_come_from_the_repository_else_from_the_installed_share(nothing_sourced, tmp_path):
    ours = workspace(tmp_path / "repository" / "ros_ws" / "install")
    assert overlay.share() == ours / "share" / "o2o_robot" / "launch"
    (tmp_path / "repository" / "launch").mkdir()
    assert overlay.share() == tmp_path / "repository" / "launch"
