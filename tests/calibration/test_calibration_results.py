"""Result files: what is written is read back, the newest is found, and an edited or foreign one is refused."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import yaml

from o2o_calibration import results
from o2o_calibration.errors import CalibrationError
from o2o_calibration.geometry import from_vector
from o2o_calibration.lens import calibrated
from o2o_calibration.results import CameraPlace, camera_place, latest, load, path_of, save
from o2o_robot.robot.rotation import matrix_from_quat

PLACE = CameraPlace(
    "wrist",
    "tool",
    from_vector(np.array([0.05, -0.03, 0.04, 0.1, -0.2, 1.5])),
    np.array([[607.5, 0.0, 323.4], [0.0, 607.2, 243.2], [0.0, 0.0, 1.0]]),
    np.array([0.06, -0.1, 0.001, 0.0, 0.0]),
    640,
    480,
    date(2026, 11, 21),
)


def facts(**camera: object) -> dict[str, object]:
    entry = {**PLACE.as_mapping(), **camera}
    return {"what": "hand-eye", "robot": "fr3", "date": "2026-11-21", "camera": entry}


def test_a_camera_is_read_back_as_it_was_written(tmp_path):
    path = save(path_of(tmp_path, "fr3", date(2026, 11, 21), "hand-eye", "wrist"), facts())
    assert path == tmp_path / "fr3" / "2026-11-21-hand-eye-wrist.yaml"
    back = camera_place(path)
    assert np.abs(back.T_parent_cam - PLACE.T_parent_cam).max() < 1e-6
    assert np.abs(back.K - PLACE.K).max() < 1e-3
    assert (back.name, back.parent, back.width, back.height) == ("wrist", "tool", 640, 480)
    assert back.measured_on == date(2026, 11, 21)


def test_the_file_is_plain_yaml_with_matrices_row_by_row(tmp_path):
    path = save(tmp_path / "a.yaml", {**facts(), "half": np.float64(0.25), "n": np.int64(3)})
    assert "\n  - [607.5, 0.0, 323.4]\n" in path.read_text()
    assert yaml.safe_load(path.read_text())["half"] == 0.25


def test_a_result_is_not_overwritten_unless_told(tmp_path):
    path = save(tmp_path / "a.yaml", facts())
    with pytest.raises(CalibrationError, match="--replace"):
        save(path, {**facts(), "robot": "other"})
    assert load(save(path, {**facts(), "robot": "other"}, replace=True))["robot"] == "other"


def test_the_newest_result_of_the_camera_is_found(tmp_path):
    for day in (date(2026, 9, 30), date(2026, 11, 2), date(2025, 12, 31)):
        save(path_of(tmp_path, "fr3", day, "hand-eye", "wrist"), facts())
    save(path_of(tmp_path, "fr3", date(2026, 12, 1), "hand-eye", "left-wrist"), facts())
    assert latest(tmp_path, "fr3", "hand-eye", "wrist").name == "2026-11-02-hand-eye-wrist.yaml"
    save(path_of(tmp_path, "fr3", date(2026, 12, 1), "action-latency"), facts())
    assert latest(tmp_path, "fr3", "latency") is None
    assert latest(tmp_path, "ur5e", "hand-eye", "wrist") is None


@pytest.mark.parametrize(
    ("camera", "said"),
    [
        ({"K": [[1.0, 2.0]]}, "camera: cannot reshape"),
        ({"T_parent_cam": (2 * np.eye(4)).tolist()}, "does not begin with a rotation"),
        ({"T_parent_cam": np.diag([1.0, 1.0, -1.0, 1.0]).tolist()}, "does not begin with a rotation"),
        ({"parent": "table"}, "parent must be tool or base, got 'table'"),
        ({"K": [[float("nan"), 0, 0], [0, 1, 0], [0, 0, 1]]}, "must be finite"),
        ({"width": "wide"}, "invalid literal"),
    ],
)
def test_an_entry_that_was_edited_wrongly_is_named(tmp_path, camera, said):
    with pytest.raises(CalibrationError, match=said):
        camera_place(save(tmp_path / "a.yaml", facts(**camera)))


@pytest.mark.parametrize("text", ["", "- 1\n", "what: poem\n", "what: [\n", "\x00"])
def test_what_is_no_result_is_refused(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(CalibrationError, match=r"a\.yaml"):
        load(tmp_path / "a.yaml")


def test_a_result_of_another_kind_has_no_camera(tmp_path):
    path = save(tmp_path / "a.yaml", {"what": "latency", "robot": "fr3", "date": "2026-11-21"})
    with pytest.raises(CalibrationError, match="has no entry `camera`; it is a latency result"):
        camera_place(path)


def test_software_names_what_computed_the_result():
    assert {"o2o_robot", "git_revision", "opencv", "scipy", "numpy"} == set(results.software())


def test_a_result_serves_the_camera_and_size_that_it_was_measured_with_and_no_other(tmp_path):
    path = save(tmp_path / "a.yaml", facts())
    found = calibrated(path, camera="wrist", size_px=(640, 480))
    assert (found.lens.fx_px, found.lens.cy_px, found.lens.distortion[1]) == (607.5, 243.2, -0.1)
    assert found.parent == "tool"
    assert np.abs(matrix_from_quat(found.pose.quat_xyzw) - PLACE.T_parent_cam[:3, :3]).max() < 1e-6
    with pytest.raises(CalibrationError, match="is of camera 'wrist', not of 'front'"):
        calibrated(path, camera="front", size_px=(640, 480))
    with pytest.raises(CalibrationError, match="at 640x480 pixels, 'wrist' gives 1280x720"):
        calibrated(path, camera="wrist", size_px=(1280, 720))


def test_a_lens_alone_has_no_place(tmp_path):
    path = save(tmp_path / "a.yaml", {**facts(T_parent_cam=None), "what": "intrinsics"})
    assert calibrated(path, camera="wrist", size_px=(640, 480)).pose is None
