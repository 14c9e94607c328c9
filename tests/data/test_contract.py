"""Contracts: misspelt ones fail when read, topics match by whole names, pixels and joints are what they say."""

from __future__ import annotations

import io

import numpy as np
import pytest
from twin_bags import STORE, header, image, joint_state, write_contract

from o2o_robot.data.contract import choose_contract, load_contract, resolve, shipped_contracts
from o2o_robot.data.decode import header_stamp_ns, numbers, picture
from o2o_robot.errors import ConfigError, DataError

SOUND = {
    "name": "c",
    "rate_hz": 10.0,
    "state": {"q_rad": {"topic": "joint_states"}},
    "action": {"topic": "cmd", "kind": "command"},
}
TWIN = [
    "joint_states",
    "current_pose",
    "wrist/color/image_raw",
    "front/color/image_raw",
    "executed_action",
    "task_state",
    "episode",
]


@pytest.mark.parametrize("name", shipped_contracts())
def test_every_shipped_contract_can_be_read_and_bears_the_name_of_its_file(name):
    assert load_contract(name).name == name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate_hz": 0}, "rate_hz must be > 0"),
        ({"rate_hs": 10}, "did you mean 'rate_hz'"),
        ({"state": {}}, "state is empty"),
        ({"state": {"q_rad": {"topc": "joint_states"}}}, "topc"),
        ({"action": {"topic": "cmd", "kind": "wish"}}, "kind"),
        ({"action": {"topic": "cmd", "kind": "executed"}}, "reward"),
        ({"action": {"topic": "cmd", "kind": "command", "low": [1.0], "high": [1.0]}}, "low < its high"),
        ({"images": {"cam": {"topic": "cam", "side": 4}}}, "8 to 1024"),
        ({"images": {"cam": {"topic": "cam", "depth_m": [2.0, 1.0]}}}, "depth_m of cam"),
        ({"images": {"cam": {"topic": "cam", "bayer": "yes"}}}, "bayer"),
        ({"state": {"q_rad": {"topic": "joint_states", "field": "axes[0:3"}}}, r"axes\[0:3"),
        ({"outcome": {"topic": "t", "success": ["1"], "failure": ["0", "1"]}}, "1 stands for success and for failure"),
        ({"split": {"by": "button"}}, "which `topic`"),
        ({"split": {"by": "gap", "gap_s": 0.0}}, "gap_s must be > 0"),
        ({"split": {"by": "service", "topic": "start"}}, "start/_service_event"),
        ({"definitions": "nowhere"}, "nowhere, which is not a folder"),
    ],
)
def test_a_wrong_setting_fails_when_the_contract_is_read_and_is_named(tmp_path, change, said):
    with pytest.raises(ConfigError, match=said):
        load_contract(str(write_contract(tmp_path / "c.yaml", **{**SOUND, **change})))


def test_a_folder_of_definitions_is_meant_as_seen_from_the_contracts_file(tmp_path, monkeypatch):
    (tmp_path / "lab" / "definitions").mkdir(parents=True)
    path = write_contract(tmp_path / "lab" / "c.yaml", **SOUND, definitions="definitions")
    monkeypatch.chdir(tmp_path)
    assert load_contract(str(path)).definitions == str(tmp_path / "lab" / "definitions")
    assert load_contract("lab/c.yaml").definitions == "lab/definitions"


def test_a_contract_that_is_nowhere_names_those_that_are_shipped():
    with pytest.raises(ConfigError, match="twin"):
        load_contract("twinn")


def test_topics_match_in_any_namespace_but_only_by_whole_parts(tmp_path):
    contract = load_contract(str(write_contract(tmp_path / "c.yaml", **SOUND)))
    assert resolve(contract, ["/r1/joint_states", "/r1/cmd"]) == {"joint_states": "/r1/joint_states", "cmd": "/r1/cmd"}
    with pytest.raises(DataError, match="needs joint_states"):
        resolve(contract, ["/my_joint_states", "/cmd"])


def test_two_arms_in_one_bag_are_not_guessed_between_but_an_exact_name_wins(tmp_path):
    contract = load_contract(str(write_contract(tmp_path / "c.yaml", **SOUND)))
    with pytest.raises(DataError, match="/left/joint_states, /right/joint_states"):
        resolve(contract, ["/left/joint_states", "/right/joint_states", "/cmd"])
    assert resolve(contract, ["/joint_states", "/right/joint_states", "/cmd"])["joint_states"] == "/joint_states"


def test_the_contract_that_asks_for_most_is_chosen_among_those_that_fit():
    extra = ["joint_command", "cam_high/color/image_raw/compressed"]
    assert choose_contract([f"/{topic}" for topic in [*TWIN, *extra]]).name == "twin"
    assert choose_contract([f"/x/{topic}" for topic in ["joint_states", *extra]]).name == "g1"


def test_a_bag_that_almost_fits_is_told_what_it_lacks():
    with pytest.raises(DataError, match="nearest: 'twin', which also needs task_state"):
        choose_contract([f"/{topic}" for topic in TWIN if topic != "task_state"])


def test_joints_are_taken_by_name_in_the_order_of_the_contract():
    message = joint_state(0, ["b", "x", "a"], [2, 9, 1])
    assert numbers(message, "position", ("a", "b")).tolist() == [1, 2]
    with pytest.raises(DataError, match="joints c are not in the message"):
        numbers(message, "position", ("a", "c"))


def test_a_default_stands_for_joints_that_a_message_leaves_out():
    assert numbers(joint_state(0, ["a"], [1]), "velocity", ("a", "b"), 0.0).tolist() == [0, 0]
    assert numbers(joint_state(0, ["a"], [1]), "position", ("a", "b"), 0.5).tolist() == [1, 0.5]


@pytest.mark.parametrize("position", [[], [np.nan], [np.inf]])
def test_numbers_that_are_missing_or_not_finite_are_refused(position):
    with pytest.raises(DataError, match="empty or not finite"):
        numbers(joint_state(0, [], position), "position")


def test_unnamed_joints_asked_for_by_name_say_what_to_change():
    with pytest.raises(DataError, match="leave `joints` out"):
        numbers(joint_state(0, [], [1, 2]), "position", ("a",))


@pytest.mark.parametrize(
    ("encoding", "order"), [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0]), ("rgba8", [0, 1, 2]), ("bgra8", [2, 1, 0])]
)
def test_every_raw_encoding_comes_out_as_rgb_whatever_follows_its_rows(encoding, order):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 4 if "a" in encoding else 3), np.uint8)
    found = picture(image(pixels, 0, encoding, padding=5), 16)
    np.testing.assert_array_equal(found, pixels[:, :, order])


def test_a_picture_shrinks_by_the_mean_of_the_area_of_each_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    expected = pixels.reshape(16, 4, 16, 6, 3).mean(axis=(1, 3))
    assert np.abs(picture(image(pixels, 0), 16) - expected).max() <= 1.0


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_a_compressed_picture_comes_out_as_rgb(form):
    pil = pytest.importorskip("PIL.Image")
    pixels = np.zeros((32, 32, 3), np.uint8) + np.array([250, 120, 10], np.uint8)
    buffer = io.BytesIO()
    pil.fromarray(pixels).save(buffer, form)
    found = picture(_compressed(buffer.getvalue(), form), 32)
    assert np.abs(found.astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"hello"])
def test_bytes_that_are_no_picture_are_refused(data):
    with pytest.raises(DataError, match="compressed image"):
        picture(_compressed(data, "jpeg"), 32)


def test_a_png_that_claims_to_be_huge_is_refused_before_it_is_unpacked():
    pil = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    pil.new("1", (12_000, 12_000)).save(buffer, "png")
    with pytest.raises(DataError, match="12000x12000"):
        picture(_compressed(buffer.getvalue(), "png"), 32)


@pytest.mark.parametrize(
    "change",
    [{"height": 17}, {"step": 1}, {"width": 2**31}, {"encoding": "rgb16"}, {"height": 0}, {"width": 0}, {"step": 0}],
)
def test_an_image_whose_size_and_bytes_disagree_is_refused(change):
    message = image(np.zeros((16, 16, 3), np.uint8), 0)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(DataError, match="image"):
        picture(message, 16)


def test_the_stamp_read_without_decoding_is_the_stamp_of_the_message():
    kind = "geometry_msgs/msg/PoseStamped"
    pose = STORE.types["geometry_msgs/msg/Pose"]
    point, turn = STORE.types["geometry_msgs/msg/Point"], STORE.types["geometry_msgs/msg/Quaternion"]
    message = STORE.types[kind](header=header(1_700_000_000_123_456_789), pose=pose(point(0, 0, 0), turn(0, 0, 0, 1)))
    for little in (True, False):
        assert (
            header_stamp_ns(bytes(STORE.serialize_cdr(message, kind, little_endian=little)))
            == 1_700_000_000_123_456_789
        )


def _compressed(data: bytes, form: str) -> object:
    kind = STORE.types["sensor_msgs/msg/CompressedImage"]
    return kind(header=header(0), format=form, data=np.frombuffer(data, np.uint8))
