"""The views of a start: learned from a few good resets, they accept the next ones and refuse another camera's."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from o2o_robot.errors import DataError
from o2o_robot.reset.keep import keep_refused
from o2o_robot.reset.views import LEAST, Views, likeness

RNG = np.random.default_rng(0)


def picture(rng: np.random.Generator = RNG) -> np.ndarray:
    return rng.integers(0, 255, (24, 24, 3), np.uint8)


# --- laws ------------------------------------------------------------------------------------------------------------
def test_likeness_is_one_of_itself_the_same_both_ways_and_small_of_another():
    for _ in range(20):
        one, other = picture(), picture()
        assert likeness(one, one) == pytest.approx(1.0)
        assert likeness(one, other) == pytest.approx(likeness(other, one))
        assert abs(likeness(one, other)) < 0.3


def test_likeness_does_not_see_how_bright_it_is():
    one = picture() // 2
    assert likeness(one, one + 60) > 0.999
    assert likeness(one, (one * 0.7).astype(np.uint8)) > 0.98


def test_pictures_of_two_sizes_are_not_alike_and_two_empty_ones_only_where_equal():
    assert likeness(picture(), picture()[:12]) == 0.0
    grey = np.full((24, 24, 3), 90, np.uint8)
    assert (likeness(grey, grey), likeness(grey, grey + 1), likeness(grey, picture())) == (1.0, 0.0, 0.0)


def test_nothing_is_refused_while_it_learns_and_no_more_is_learned_than_wanted():
    views = Views(3)
    for n in range(3):
        assert views.why_not({"front": picture()}) == []
        assert views.learn({"front": picture()})
        assert views.n_good == n + 1
    assert not views.learn({"front": picture()})
    assert not views.is_learning


def test_without_a_number_wanted_no_view_is_ever_refused():
    views = Views(0)
    assert not views.learn({"front": picture()})
    assert views.why_not({"front": picture()}) == []


def test_a_camera_of_which_nothing_was_learned_is_named():
    with pytest.raises(DataError, match=r"'side'.*front"):
        Views(1, {"front": [picture()]}).why_not({"side": picture()})


def test_a_threshold_lies_below_every_good_picture_and_never_below_the_least():
    same = picture()
    good = [np.clip(same + RNG.integers(-9, 9, same.shape), 0, 255).astype(np.uint8) for _ in range(5)]
    views = Views(5, {"front": good})
    assert LEAST <= views.threshold("front") < min(views.likeness("front", one) for one in good)
    assert Views(3, {"front": [picture() for _ in range(3)]}).threshold("front") == LEAST


def test_what_was_learned_is_kept_across_runs_and_a_broken_file_is_named(tmp_path):
    file, good = tmp_path / "run" / "views.npz", [picture() for _ in range(2)]
    views = Views(2)
    for one in good:
        views.learn({"front": one, "wrist": one})
    views.save(file)
    again = Views.load(file, 2)
    assert (again.n_good, again.is_learning) == (2, False)
    np.testing.assert_array_equal(again.reference("front"), views.reference("front"))
    assert Views.load(tmp_path / "none.npz", 2).n_good == 0
    file.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"views\.npz"):
        Views.load(file, 2)


def test_a_refused_view_is_kept_beside_its_reference(tmp_path):
    cv2 = pytest.importorskip("cv2")
    good, found = picture(), picture()
    (path,) = keep_refused(tmp_path, 3, Views(1, {"front": [good]}), {"front": found})
    both = cv2.imread(str(path))[:, :, ::-1]
    np.testing.assert_array_equal(both[:, :24], good)
    np.testing.assert_array_equal(both[:, -24:], found)


# --- on the twin, each time with its objects elsewhere ---------------------------------------------------------------
N_GOOD, SIZE = 5, 64
CAMERAS = ("wrist", "front")


def views_of(twin, seeds) -> list[dict[str, np.ndarray]]:
    """What the cameras see with the arm at one place, and each seed's scene."""
    twin.reset(1000)
    seen = []
    for seed in seeds:
        twin.place_scene(seed)
        seen.append(twin.images())
    return seen


@pytest.fixture(scope="module")
def learned():
    pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
    from o2o_sim.config import TwinConfig
    from o2o_sim.twin import Twin

    views = Views(N_GOOD)
    with Twin(TwinConfig(cameras=CAMERAS, image_size=SIZE)) as twin:
        for images in views_of(twin, range(N_GOOD)):
            views.learn(images)
        yield views, twin


def test_views_of_other_scenes_at_the_same_start_are_accepted(learned):
    views, twin = learned
    for images in views_of(twin, range(100, 120)):
        assert views.why_not(images) == []


def knocked(folder: Path, twin, camera: str, shift_m, tilt_rad: float) -> str:
    """A calibration result that has the camera moved and tilted from where it is."""
    results = pytest.importorskip("o2o_calibration.results", reason="needs OpenCV and SciPy")
    from o2o_sim.placement import OPTICAL

    seen, tool = twin._data.camera(camera), twin._data.site("tool")
    T_base_cam, T_base_tool = np.eye(4), np.eye(4)
    T_base_cam[:3, :3], T_base_cam[:3, 3] = seen.xmat.reshape(3, 3) @ OPTICAL, seen.xpos
    T_base_tool[:3, :3], T_base_tool[:3, 3] = tool.xmat.reshape(3, 3), tool.xpos
    knock = np.eye(4)
    c, s = np.cos(tilt_rad), np.sin(tilt_rad)
    knock[1:3, 1:3], knock[:3, 3] = [[c, -s], [s, c]], shift_m
    parent = "tool" if camera == "wrist" else "base"
    T_parent_cam = T_base_cam @ knock if parent == "base" else np.linalg.inv(T_base_tool) @ T_base_cam @ knock
    focal_px = 240.0 / np.tan(np.radians(twin._model.camera(camera).fovy[0]) / 2)
    K = np.array([[focal_px, 0.0, 320.0], [0.0, focal_px, 240.0], [0.0, 0.0, 1.0]])
    day = date(2026, 11, 21)
    place = results.CameraPlace(camera, parent, T_parent_cam, K, np.zeros(5), 640, 480, day)
    facts = {"what": "hand-eye", "date": day.isoformat(), "camera": place.as_mapping()}
    return str(results.save(results.path_of(folder, "twin", day, "hand-eye", camera), facts))


def seen_by_placed(twin, file: str, seeds) -> list[dict[str, np.ndarray]]:
    from o2o_sim.config import TwinConfig
    from o2o_sim.twin import Twin

    config = TwinConfig(cameras=CAMERAS, image_size=SIZE, placements=(file,))
    with Twin(config) as moved:
        return views_of(moved, seeds)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize(
    ("shift_m", "tilt_rad"), [((0.03, 0.0, 0.0), 0.0), ((0.0, 0.0, 0.0), 0.09)], ids=["30 mm", "5 degrees"]
)
def test_a_camera_that_was_knocked_is_refused_by_name(learned, tmp_path, camera, shift_m, tilt_rad):
    views, twin = learned
    for images in seen_by_placed(twin, knocked(tmp_path, twin, camera, shift_m, tilt_rad), range(100, 104)):
        (why,) = views.why_not(images)
        assert f"camera {camera} " in why


def test_a_camera_that_was_placed_where_it_is_is_accepted(learned, tmp_path):
    views, twin = learned
    for images in seen_by_placed(twin, knocked(tmp_path, twin, "front", (0.0, 0.0, 0.0), 0.0), range(100, 103)):
        assert views.why_not(images) == []


def test_a_covered_lens_is_refused(learned):
    views, twin = learned
    (images,) = views_of(twin, [100])
    assert views.why_not({**images, "wrist": np.zeros_like(images["wrist"])})
