"""camera_node end to end: a film and a software RealSense, seen over ROS."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from o2o_robot import overlay
from o2o_robot.errors import GraphError
from o2o_robot.graph import Process
from o2o_robot.robot.camera_config import CameraConfig
from o2o_robot.robot.camera_view import View
from o2o_robot.supervise import Supervisor

pytest.importorskip("rclpy")
pytest.importorskip("o2o_msgs", reason="the built workspace is not on the path; run: . scripts/env.sh")


import cv2
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from watcher import Watcher

from o2o_nodes import convert, qos

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

pytestmark = pytest.mark.ros
HERE = Path(__file__).resolve().parent
CROP = [80, 0, 480, 480]
N_GREYS = 60


@pytest.fixture(autouse=True)
def _large_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `o2o` and launch files start nodes, and the test's own node with them."""
    for reads in ("FASTDDS", "FASTRTPS"):  # Fast DDS 3, and 2
        monkeypatch.setenv(f"{reads}_DEFAULT_PROFILES_FILE", str(overlay.share() / "fastdds.xml"))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """640x480; frame k is a gradient that is brighter with every k."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
    ramp = np.repeat(np.linspace(0, 120, 640, dtype=np.uint8)[None, :, None], 480, axis=0)
    for k in range(N_GREYS):
        writer.write(np.repeat(ramp + np.uint8(2 * k), 3, axis=2))
    writer.release()
    return path


class Listener:
    """What a camera's topics said, by topic."""

    def __init__(self, watcher: Watcher, camera: str, topics: dict[str, type]) -> None:
        self.watcher = watcher
        self.heard: dict[str, list[Any]] = {topic: [] for topic in topics}
        for topic, kind in topics.items():
            name = topic if topic.startswith("/") else f"{camera}/color/{topic}"
            watcher.node.create_subscription(kind, name, self.heard[topic].append, qos_profile_sensor_data)

    def until(self, condition: Callable[[dict[str, list[Any]]], Any], what: str, timeout_s: float = 30.0) -> None:
        self.watcher.until(lambda: condition(self.heard), timeout_s, what)


def film_node(film: Path, run_dir: Path, **parameters: object) -> Supervisor:
    chosen = {"driver": "opencv", "device": str(film), "crop": CROP, "policy_size": 64}
    settings = {"run_dir": str(run_dir), "cameras": ["front"], **{f"front.{k}": v for k, v in chosen.items()}}
    run_dir.mkdir(parents=True, exist_ok=True)
    return Supervisor([Process("camera_node", {**settings, **parameters})], run_dir)


def cameras_said(messages: list[DiagnosticArray]) -> list[DiagnosticStatus]:
    """The cameras' lines of /diagnostics, on which every node says its own too."""
    return [status for message in messages for status in message.status if status.name.startswith("camera_node: ")]


def stamps_of(messages: list[Any]) -> list[int]:
    return [convert.stamp_ns(message.header.stamp) for message in messages]


def test_every_picture_has_its_policys_view_intrinsics_and_jpeg_of_the_same_stamp(domain, film, tmp_path):
    topics = {
        "image_raw": Image,
        "image_policy": Image,
        "camera_info": CameraInfo,
        "image_policy/camera_info": CameraInfo,
        "image_raw/compressed": CompressedImage,
    }
    with film_node(film, tmp_path / "run", jpeg_quality=90), Watcher(domain) as watcher:
        listener = Listener(watcher, "front", topics)
        listener.until(lambda heard: min(map(len, heard.values())) > 20, "twenty of everything")
        heard = listener.heard
    both = sorted(set.intersection(*(set(stamps_of(messages)) for messages in heard.values())))
    assert len(both) > 10
    at = {topic: dict(zip(stamps_of(messages), messages, strict=True)) for topic, messages in heard.items()}
    view = View.of(CameraConfig("front", policy_size=64, crop=tuple(CROP)))
    for stamp_ns in both[:5]:
        raw = convert.image(at["image_raw"][stamp_ns])
        assert raw.shape == (480, 640, 3)
        np.testing.assert_array_equal(convert.image(at["image_policy"][stamp_ns]), view(raw))
        jpeg = cv2.imdecode(np.asarray(at["image_raw/compressed"][stamp_ns].data), cv2.IMREAD_COLOR)
        assert np.abs(jpeg[..., ::-1].astype(int) - raw).mean() < 2
    frames = {message.header.frame_id for messages in heard.values() for message in messages}
    assert frames == {"front_color_optical_frame"}
    info, seen = heard["camera_info"][0], heard["image_policy/camera_info"][0]
    assert (info.width, info.height, info.k[0]) == (640, 480, 0.0), "a film is not calibrated"
    assert (seen.width, seen.height) == (64, 64)


def test_pictures_come_at_the_films_rate_each_once_stamped_in_the_last_instant(domain, film, tmp_path):
    ages_ms: list[float] = []
    with film_node(film, tmp_path / "run"), Watcher(domain) as watcher:
        listener = Listener(watcher, "front", {"image_policy": Image, "/diagnostics": DiagnosticArray})
        now = watcher.node.get_clock().now
        watcher.node.create_subscription(
            Image,
            "front/color/image_policy",
            lambda m: ages_ms.append((now().nanoseconds - convert.stamp_ns(m.header.stamp)) * 1e-6),
            qos_profile_sensor_data,
        )
        listener.until(
            lambda heard: len(cameras_said(heard["/diagnostics"])) > 3 and len(heard["image_policy"]) > 90,
            "90 pictures",
        )
    stamps = stamps_of(listener.heard["image_policy"])
    assert len(set(stamps)) == len(stamps)
    assert stamps == sorted(stamps)
    rate_hz = (len(stamps) - 1) / (stamps[-1] - stamps[0]) * 1e9
    assert 2.0 < rate_hz < 33.0  # a loaded machine skips some, a crowded one most, and says so
    assert 0.0 < np.median(ages_ms) < 500.0
    told = {value.key: float(value.value) for value in cameras_said(listener.heard["/diagnostics"])[-1].values}
    assert 2.0 < told["rate_hz"] < 33.0
    assert 0.0 <= told["age_p50_ms"] <= told["age_p99_ms"] < 500.0
    assert told["reconnects"] == 0


def test_in_simulated_time_stamps_are_the_clocks_and_before_the_clock_there_is_no_picture(domain, film, tmp_path):
    with film_node(film, tmp_path / "run", use_sim_time=True), Watcher(domain) as watcher:
        listener = Listener(watcher, "front", {"image_policy": Image, "/diagnostics": DiagnosticArray})
        listener.until(lambda heard: len(cameras_said(heard["/diagnostics"])) > 1, "the camera's health")
        assert listener.heard["image_policy"] == []
        clock_out = watcher.node.create_publisher(Clock, "/clock", 10)
        clock_out_ns = 1_234 * convert.NS

        def said() -> bool:
            clock_out.publish(Clock(clock=convert.stamp(clock_out_ns)))
            return len(listener.heard["image_policy"]) > 3

        watcher.until(said, 20.0, "pictures in simulated time")
    for stamp_ns in stamps_of(listener.heard["image_policy"]):
        assert 0 <= clock_out_ns - stamp_ns < 100_000_000


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"front.device": "/nowhere/film.avi"}, "camera front does not open '/nowhere/film.avi'"),
        ({"front.driver": "zed"}, "no driver 'zed'"),
        ({"front.device": 12345}, "quote what is a word"),
        ({"front.width": 1280, "front.height": 720}, "gives 640x480 pixels, not 1280x720"),
        ({"front.width": 320}, "crop (80, 0, 480, 480) must lie within the picture of 320x480 pixels"),
    ],
)
def test_a_wrong_parameter_ends_the_node_with_one_line_and_no_traceback(domain, film, tmp_path, wrong, named):
    with film_node(film, tmp_path / "run", **wrong) as supervisor:
        with pytest.raises(GraphError, match="camera_node ended with code 1"):
            supervisor.wait()
        log = supervisor.running[0].log.read_text()
    assert named in log
    assert "Traceback" not in log


def hand_eye_result(folder: Path, camera: str, size_px: tuple[int, int] = (640, 480)) -> Path:
    """A result of a camera 60 mm along the tool's x, turned about its z by a quarter."""
    results = pytest.importorskip("o2o_calibration.results", reason="needs OpenCV and SciPy")
    T = np.array([[0.0, -1.0, 0.0, 0.06], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, -0.02], [0.0, 0.0, 0.0, 1.0]])
    K = np.array([[605.0, 0.0, 322.5], [0.0, 604.0, 241.5], [0.0, 0.0, 1.0]])
    distortion = np.array([0.11, -0.2, 0.001, -0.002, 0.0])
    day = date(2026, 11, 21)
    place = results.CameraPlace(camera, "tool", T, K, distortion, *size_px, day)
    facts = {"what": "hand-eye", "date": day.isoformat(), "camera": place.as_mapping()}
    return results.save(results.path_of(folder, "fr3", day, "hand-eye", camera), facts)


def test_a_calibration_result_is_what_camera_info_says_of_the_picture_and_of_the_policys_view(domain, film, tmp_path):
    file = hand_eye_result(tmp_path, "front")
    topics = {"camera_info": CameraInfo, "image_policy/camera_info": CameraInfo}
    settings = {"front.calibration": str(file), "tool_frame": "fr3_hand_tcp"}
    with film_node(film, tmp_path / "run", **settings) as supervisor, Watcher(domain) as watcher:
        places: list[Any] = []
        if TFMessage is not None:
            watcher.node.create_subscription(TFMessage, "/tf_static", places.append, qos.LATCHED)
        listener = Listener(watcher, "front", topics)
        listener.until(lambda heard: min(map(len, heard.values())) > 1, "both infos")
        if TFMessage is not None:
            watcher.until(lambda: places, 20.0, "the camera's place")
        log = supervisor.running[0].log.read_text()
    raw, seen = (listener.heard[topic][0] for topic in topics)
    assert (raw.k[0], raw.k[4], raw.k[2], raw.k[5]) == (605.0, 604.0, 322.5, 241.5)
    assert list(raw.d) == [0.11, -0.2, 0.001, -0.002, 0.0]
    scale = 64 / 480
    wanted = (605.0 * scale, 604.0 * scale, (322.5 - 80 + 0.5) * scale - 0.5, (241.5 + 0.5) * scale - 0.5)
    assert (seen.k[0], seen.k[4], seen.k[2], seen.k[5]) == pytest.approx(wanted)
    assert list(seen.d) == list(raw.d)
    if TFMessage is None:
        assert "the places of front are not published: tf2_msgs is missing" in log
        return
    (at,) = places[0].transforms
    assert (at.header.frame_id, at.child_frame_id) == ("fr3_hand_tcp", "front_color_optical_frame")
    assert (at.transform.translation.x, at.transform.translation.z) == (0.06, -0.02)
    assert (at.transform.rotation.z, at.transform.rotation.w) == pytest.approx((0.5**0.5, 0.5**0.5))


@pytest.mark.parametrize(
    ("camera", "size_px", "named"),
    [
        ("wrist", (640, 480), "is of camera 'wrist', not of 'front'; give this camera's own result"),
        ("front", (1280, 720), "was measured at 1280x720 pixels, 'front' gives 640x480; calibrate at the resolution"),
    ],
)
def test_a_result_of_another_camera_or_size_ends_the_node_with_one_line(domain, film, tmp_path, camera, size_px, named):
    file = hand_eye_result(tmp_path, camera, size_px)
    with film_node(film, tmp_path / "run", **{"front.calibration": str(file)}) as supervisor:
        with pytest.raises(GraphError, match="camera_node ended with code 1"):
            supervisor.wait()
        log = supervisor.running[0].log.read_text()
    assert named in log
    assert "Traceback" not in log


@pytest.fixture
def realsense_node(domain: int, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """camera_node on a software RealSense, whose cable is pulled by a line on its input."""
    pytest.importorskip("pyrealsense2", reason="pip install -r requirements/cameras.txt")
    settings = {"cameras": ["wrist"], "wrist.device": "123", "wrist.policy_size": 64, "wrist.silent_s": 1.0}
    path = tmp_path / "camera.yaml"
    path.write_text(yaml.safe_dump({"/**/camera_node": {"ros__parameters": settings}}))
    folders = os.pathsep.join([str(HERE.parent / "robot"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(HERE / "software_camera.py"), "--ros-args", "--params-file", str(path)]
    env = {**overlay.environment(), "PYTHONPATH": folders}
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, text=True) as node:
        yield node
        node.terminate()
        assert node.wait(20.0) == 0


def tell(node: subprocess.Popen[str], word: str) -> None:
    assert node.stdin is not None
    node.stdin.write(f"{word}\n")
    node.stdin.flush()


def test_an_unplugged_realsense_sends_nothing_old_says_so_and_comes_back(domain, realsense_node):
    with Watcher(domain) as watcher:
        topics = {"image_raw": Image, "image_policy": Image, "image_policy/camera_info": CameraInfo}
        listener = Listener(watcher, "wrist", {**topics, "/diagnostics": DiagnosticArray})
        heard = listener.heard

        def said() -> tuple[bytes, str]:
            last = (cameras_said(heard["/diagnostics"]) or [DiagnosticStatus()])[-1]
            return last.level, last.message

        listener.until(lambda _: all(len(heard[topic]) > 15 for topic in topics), "pictures")
        tell(realsense_node, "unplug")
        watcher.until(lambda: said()[1].startswith("unplugged"), 20.0, "the loss in /diagnostics")
        assert said()[0] == DiagnosticStatus.ERROR
        before = len(heard["image_raw"])
        n_lines = len(cameras_said(heard["/diagnostics"]))
        watcher.until(lambda: len(cameras_said(heard["/diagnostics"])) > n_lines, 20.0, "a second without the camera")
        assert len(heard["image_raw"]) == before
        pulled_ns = watcher.node.get_clock().now().nanoseconds
        tell(realsense_node, "plug")
        watcher.until(lambda: len(heard["image_raw"]) > before + 15, 20.0, "pictures again")
        watcher.until(lambda: said()[0] != DiagnosticStatus.ERROR, 20.0, "health again")
    stamps = stamps_of(heard["image_raw"])
    assert stamps == sorted(set(stamps))
    assert min(stamps[before:]) > pulled_ns
    values = {value.key: value.value for value in cameras_said(heard["/diagnostics"])[-1].values}
    assert int(values["reconnects"]) >= 1  # a crowded machine may seem a second loss
    greys = [int(convert.image(message)[0, 0, 0]) for message in heard["image_raw"]]
    assert all(a != b for a, b in pairwise(greys)), "a picture was published twice"
    info = heard["image_policy/camera_info"][0]
    assert info.k[0] == pytest.approx(600.0 * 64 / 640)
    assert info.k[4] == pytest.approx(600.0 * 64 / 480)
    assert info.distortion_model == "plumb_bob"
    assert info.d[0] == pytest.approx(0.1)
