"""From bags to a store: what was recorded is what is stored, and what cannot be read is said and left out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hostile_recordings import write_seed
from rich.console import Console
from twin_bags import PERIOD_NS, image, joint_state, make_episode, write_bag, write_contract, write_twin_bag

from o2o_robot.apps.ingest import main
from o2o_robot.data.episode import arrays
from o2o_robot.data.ingest.byte_progress import ByteProgress
from o2o_robot.data.ingest.job import Job, Look, Request
from o2o_robot.data.ingest.prepare import Settled, plan_of
from o2o_robot.data.ingest.report import REPORT, SourceReport, fault_lines, show
from o2o_robot.data.ingest.sources import ingest, look
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, StoreError
from o2o_robot.types import Episode

DATA = Path(__file__).parents[3] / "shared" / "data"


def read_all(path: Path) -> list[Episode]:
    with EpisodeStore.open(path) as store:
        return list(store.episodes())


def report_of(store: Path) -> dict:
    return json.loads((store / REPORT).read_text())


def assert_counts_add_up(report: dict) -> None:
    for bag in report["bags"]:
        for topic, count in bag["topics"].items():
            parts = count["used"] + count["superseded"] + count["out_of_tolerance"] + sum(count["dropped"].values())
            assert parts == count["messages"], (bag["bag"], topic, count)


def assert_same(found: Episode, expected: Episode) -> None:
    assert list(arrays(found)) == list(arrays(expected))
    for name, array in arrays(expected).items():
        assert arrays(found)[name].dtype == array.dtype, name
        np.testing.assert_array_equal(arrays(found)[name], array, err_msg=name)
    facts = {key: value for key, value in expected.meta.items() if key != "provenance"}  # which says when, too
    assert {key: found.meta[key] for key in facts} == facts


@pytest.mark.parametrize("namespace", ["/", "", "/robot_1/arm/"])
@pytest.mark.parametrize("is_success", [True, False])
def test_an_episode_recorded_by_the_graph_is_stored_array_by_array_as_it_was(tmp_path, namespace, is_success):
    episode = make_episode(3, n_steps=9, is_success=is_success)
    bag = write_twin_bag(tmp_path / "episode_3.mcap", episode, namespace=namespace)
    assert main([bag], out=tmp_path / "s") == 0
    (found,) = read_all(tmp_path / "s")
    assert_same(found, episode)
    report = report_of(tmp_path / "s")
    assert_counts_add_up(report)
    images = report["bags"][0]["topics"][f"{namespace}wrist/color/image_raw"]
    assert (images["messages"], images["used"]) == (10, 10)
    assert report["bags"][0]["topics"][f"{namespace}action"]["dropped"] == {"not_in_contract": 9}


def test_episodes_that_share_a_bag_are_stored_apart(tmp_path):
    episodes = [make_episode(seed) for seed in (0, 1, 2)]
    assert main([write_twin_bag(tmp_path / "all.mcap", *episodes)], out=tmp_path / "s") == 0
    for found, expected in zip(read_all(tmp_path / "s"), episodes, strict=True):
        assert_same(found, expected)
    assert_counts_add_up(report_of(tmp_path / "s"))


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("executed_action@2", "END counts 6 steps, the recording holds 5"),
        ("episode@END", "was started and never ended"),
        ("task_state@6", "END says success, but no reward"),
    ],
)
def test_an_episode_that_lost_a_message_is_left_out_and_its_neighbour_stays(tmp_path, lost, said):
    bag = write_twin_bag(tmp_path / "a.mcap", make_episode(0), skip=frozenset({lost}))
    other = write_twin_bag(tmp_path / "b.mcap", make_episode(1))
    assert main([bag, other], out=tmp_path / "s") == 1
    assert [episode.meta["id"] for episode in read_all(tmp_path / "s")] == ["ep-1"]
    report = report_of(tmp_path / "s")
    assert said in report["bags"][0]["reason"]
    assert_counts_add_up(report)


def test_a_reward_counts_once_and_a_silent_judge_gives_none(tmp_path):
    episode = make_episode(0, is_success=False)
    episode = dataclasses.replace(episode, reward=np.arange(1, 7, dtype=np.float32))
    bag = write_twin_bag(tmp_path / "a.mcap", episode, skip=frozenset({"task_state@3"}))
    assert main([bag], out=tmp_path / "s") == 0
    assert read_all(tmp_path / "s")[0].reward.tolist() == [1, 2, 0, 4, 5, 6]


def test_a_lost_frame_leaves_the_episode_out_where_the_one_before_is_too_old(tmp_path):
    skip = frozenset({"front/color/image_raw@2", "front/color/image_raw@3"})
    bag = write_twin_bag(tmp_path / "a.mcap", make_episode(0), skip=skip)
    assert main([bag], out=tmp_path / "s") == 1
    assert "front/color/image_raw within 0.1 s before tick 3" in report_of(tmp_path / "s")["bags"][0]["reason"]


def test_of_a_hundred_bags_with_one_broken_ninety_nine_are_stored(tmp_path, capsys):
    folder = tmp_path / "bags"
    for seed in range(100):
        write_twin_bag(folder / f"episode_{seed}.mcap", make_episode(seed, n_steps=2, side=16))
    broken = folder / "episode_41.mcap"
    broken.write_bytes(broken.read_bytes()[:-100])
    assert main([folder], out=tmp_path / "s", image_side=16) == 1
    assert len(read_all(tmp_path / "s")) == 99
    assert report_of(tmp_path / "s")["status"] == {"ingested": 99, "left out": 1}
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "left out:" in line]
    assert "episode_41.mcap" in line
    assert "truncated" in line


def test_the_same_command_again_stores_nothing_twice(tmp_path):
    bag = write_twin_bag(tmp_path / "a.mcap", make_episode(0))
    assert main([bag], out=tmp_path / "s") == 0
    assert main([bag], out=tmp_path / "s") == 0
    assert len(read_all(tmp_path / "s")) == 1
    assert report_of(tmp_path / "s")["status"] == {"in store": 1}


@pytest.mark.parametrize("outcome", ["success", "failure", None])
def test_a_label_ends_a_recording_without_rewards_and_only_success_is_terminal(tmp_path, outcome):
    bag, contract = _teleop(tmp_path, [(i * PERIOD_NS, i) for i in range(1, 9)])
    assert main([bag], out=tmp_path / "s", contract=str(contract), outcome=outcome) == 0
    (episode,) = read_all(tmp_path / "s")
    is_success = outcome == "success"
    assert episode.meta["outcome"] == (outcome or "incomplete")
    assert episode.reward.tolist() == [0.0] * 6 + [float(is_success)]
    assert episode.terminated[-1] == is_success
    assert episode.truncated[-1] != is_success


def test_a_rate_that_cannot_be_stops_the_command_instead_of_leaving_every_bag_out(tmp_path):
    bag = write_twin_bag(tmp_path / "a.mcap", make_episode(0))
    with pytest.raises(ConfigError, match="rate_hz must be > 0"):
        main([bag], out=tmp_path / "s", hz=0.0)


def test_a_faster_camera_is_thinned_to_the_rate_and_what_fell_between_ticks_is_superseded(tmp_path):
    bag, contract = _teleop(tmp_path, [(i * PERIOD_NS // 4, i) for i in range(4, 45)])
    assert main([bag], out=tmp_path / "s", contract=str(contract), hz=5.0) == 0
    (episode,) = read_all(tmp_path / "s")
    np.testing.assert_array_equal(np.diff(episode.stamp_ns), 2 * PERIOD_NS)
    np.testing.assert_array_equal(episode.images["cam"][:, 0, 0, 0], np.arange(4, 45, 8))
    count = report_of(tmp_path / "s")["bags"][0]["topics"]["/cam"]
    assert (count["used"], count["superseded"], count["messages"]) == (6, 35, 41)


def test_a_state_older_than_the_tolerance_is_counted_as_such(tmp_path):
    bag, contract = _teleop(tmp_path, [(i * PERIOD_NS, i) for i in range(1, 20)], silent=frozenset({5, 6, 7, 8}))
    assert main([bag], out=tmp_path / "s", contract=str(contract)) == 0
    (episode,) = read_all(tmp_path / "s")
    assert (episode.stamp_ns // PERIOD_NS).tolist() == list(range(9, 20))
    bags = report_of(tmp_path / "s")
    assert_counts_add_up(bags)
    assert bags["bags"][0]["topics"]["/state"]["out_of_tolerance"] == 1


def test_names_full_of_markup_and_terminal_codes_stay_on_their_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    episode = make_episode(0)
    named = dataclasses.replace(episode, meta={**episode.meta, "id": "[red]\nx[/]"})
    bag = write_twin_bag(tmp_path / "a.mcap", named, namespace="/\x1b[31m\n[bold]/")
    assert main([bag, tmp_path / "[bold]no.mcap"], out=tmp_path / "s") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(str(tmp_path)) for line in lines[:2]] == [True, True]
    assert not [line for line in lines if "\x1b" in line]
    table = [line for line in lines if "joint_states" in line]
    assert len(table) == 1, lines
    assert table[0].split()[-6:] == ["[bold]/joint_states", "7", "7", "0", "0", "0"]


def test_a_gap_cuts_the_recording_and_the_longest_part_stays(tmp_path, capsys):
    ticks = [*range(1, 5), *range(15, 30), *range(50, 53)]
    bag, contract = _teleop(tmp_path, [(i * PERIOD_NS, i) for i in ticks])
    assert main([bag], out=tmp_path / "s", contract=str(contract)) == 0
    (episode,) = read_all(tmp_path / "s")
    assert (episode.stamp_ns // PERIOD_NS).tolist() == list(range(15, 30))
    assert "kept 15 of 22 ticks" in capsys.readouterr().out
    count = report_of(tmp_path / "s")["bags"][0]["topics"]["/cam"]
    assert count["used"] == 15
    assert count["dropped"] == {"cut_by_gap": 7}


def test_commands_are_scaled_by_one_range_over_all_bags_of_a_store(tmp_path):
    first, contract = _teleop(tmp_path / "a", [(i * PERIOD_NS, i) for i in range(1, 6)])
    second, _ = _teleop(tmp_path / "b", [(i * PERIOD_NS, i) for i in range(11, 16)])
    assert main([first, second], out=tmp_path / "s", contract=str(contract)) == 0
    for episode in read_all(tmp_path / "s"):
        low, high = np.array(episode.meta["action_low"]), np.array(episode.meta["action_high"])
        assert (low[0], high[0]) == (1.0, 15.0)
        raw = (episode.action + 1) / 2 * (high - low) + low
        np.testing.assert_allclose(raw[:, 0], episode.stamp_ns[:-1] // PERIOD_NS, atol=1e-5)
        np.testing.assert_array_equal(episode.action[:, 1], 0.0)  # a joint that never moves


def test_commands_beyond_the_range_a_store_already_has_are_clipped_and_said(tmp_path, capsys):
    first, contract = _teleop(tmp_path / "a", [(i * PERIOD_NS, i) for i in range(1, 6)])
    second, _ = _teleop(tmp_path / "b", [(i * PERIOD_NS, i) for i in range(11, 16)])
    main([first], out=tmp_path / "s", contract=str(contract))
    main([second], out=tmp_path / "s", contract=str(contract))
    assert read_all(tmp_path / "s")[1].action[:, 0].tolist() == [1.0] * 4
    assert "4 of 8 action values were beyond the range" in capsys.readouterr().out


def test_an_unreadable_frame_is_dropped_and_the_one_before_takes_its_tick(tmp_path, capsys):
    bag, contract = _teleop(tmp_path, [(i * PERIOD_NS // 2, i) for i in range(2, 22)], broken=frozenset({8}))
    assert main([bag], out=tmp_path / "s", contract=str(contract)) == 0
    assert "1 unreadable messages" in capsys.readouterr().out
    (episode,) = read_all(tmp_path / "s")
    assert not (episode.images["cam"][:, 0, 0, 0] == 8).any()
    assert report_of(tmp_path / "s")["bags"][0]["topics"]["/cam"]["dropped"] == {"outside_episode": 1, "undecodable": 1}
    assert_counts_add_up(report_of(tmp_path / "s"))


def test_stamps_of_receipt_stand_in_where_the_header_has_none_and_that_is_said(tmp_path, capsys):
    bag, contract = _teleop(tmp_path, [(0, i) for i in range(1, 9)])
    assert main([bag], out=tmp_path / "s", contract=str(contract)) == 0
    (episode,) = read_all(tmp_path / "s")
    assert (episode.stamp_ns // PERIOD_NS).tolist() == list(range(1, 9))
    assert "8 of 8 stamps are times of receipt" in capsys.readouterr().out


def test_a_recording_too_large_for_memory_is_stored_the_same(tmp_path, monkeypatch):
    bag, contract = _teleop(tmp_path, [(i * PERIOD_NS, i) for i in range(1, 30)])
    main([bag], out=tmp_path / "s", contract=str(contract), hz=5.0)
    monkeypatch.setattr("o2o_robot.data.ingest.streams.Recording.load.__func__.__kwdefaults__", {"keep_bytes": 5000})
    main([bag], out=tmp_path / "t", contract=str(contract), hz=5.0)
    assert_same(read_all(tmp_path / "t")[0], read_all(tmp_path / "s")[0])


def test_the_table_adds_up_over_bags_and_names_each_reason(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    first, contract = _teleop(tmp_path / "a", [(i * PERIOD_NS // 2, i) for i in range(2, 22)], broken=frozenset({8}))
    second, _ = _teleop(tmp_path / "b", [(i * PERIOD_NS, i) for i in (*range(1, 10), *range(50, 53))])
    main([first, second], out=tmp_path / "s", contract=str(contract))
    lines = capsys.readouterr().out.splitlines()
    (heading,) = [line for line in lines if line.startswith("topic")]
    assert " ".join(heading.split()) == "topic messages = used + superseded + out of tolerance + dropped"
    rows = {line.split()[0]: line.split() for line in lines if line.startswith(("/", "total")) and ":" not in line}
    assert set(rows) == {"/cam", "/state", "/command", "total"}
    for words in rows.values():
        messages, used, superseded, stale = (int(word) for word in words[1:5])
        dropped = sum(int(word) for word in words[5:] if word.isdigit())
        assert messages == used + superseded + stale + dropped
    assert rows["/cam"][1] == "32"
    assert "1 undecodable" in " ".join(rows["/cam"])
    assert "3 cut by gap" in " ".join(rows["/cam"])


def test_of_many_topics_those_that_no_contract_asked_for_share_a_row(capsys):
    none = {"used": 0, "superseded": 0, "out_of_tolerance": 0, "messages": 2, "dropped": {"not_in_contract": 2}}
    topics = {"/used": {**none, "used": 2, "dropped": {}}} | {f"/px4/{i}": none for i in range(40)}
    show([SourceReport("bag", topics=topics)], Console(width=120))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert " ".join(lines[2].split()) == "40 other topics 80 0 0 0 80 not in contract"


def test_faults_alike_are_told_in_one_line_with_what_was_done(capsys):
    fault = {"kind": "frozen", "topic": "/cam", "at_ns": 5, "message": 1, "detail": "for 2.0 s", "done": "cut"}
    reports = [SourceReport(f"bag_{i}.mcap", faults=[fault]) for i in range(3)]
    assert fault_lines(reports) == ["fault: frozen on /cam, cut: 3 times, first bag_0.mcap: for 2.0 s"]
    assert fault_lines(reports[:1]) == ["fault: frozen on /cam, cut: bag_0.mcap: for 2.0 s"]


def test_a_frozen_camera_is_in_the_report_and_told(tmp_path, capsys):
    bag, contract = _teleop(tmp_path, [(i * PERIOD_NS, i) for i in range(1, 5)], frozen_after=30)
    assert main([bag], out=tmp_path / "s", contract=str(contract)) == 0
    (fault,) = [fault for fault in report_of(tmp_path / "s")["bags"][0]["faults"] if fault["kind"] == "frozen"]
    assert (fault["topic"], fault["done"]) == ("/cam", "kept")
    told = [line for line in capsys.readouterr().out.splitlines() if "/cam: frozen" in line]
    assert len(told) == 1
    assert "kept" in told[0]


def test_a_suggested_contract_ingests_the_bag_it_was_made_from(tmp_path, capsys):
    bag, _ = _teleop(tmp_path, [(i * PERIOD_NS, i) for i in range(1, 30)])
    made = tmp_path / "made.yaml"
    assert main([bag], suggest=True, out=made) == 0
    assert f"--contract {made}" in capsys.readouterr().err
    assert main([bag], suggest=True) == 0
    assert capsys.readouterr().out.strip() == made.read_text().strip()
    assert main([bag], out=tmp_path / "s", contract=str(made)) == 0
    assert len(read_all(tmp_path / "s")[0].stamp_ns) > 20


def test_a_suggestion_overwrites_nothing_and_is_for_one_bag(tmp_path):
    bag, contract = _teleop(tmp_path, [(i * PERIOD_NS, i) for i in range(1, 30)])
    with pytest.raises(ConfigError, match="choose another file"):
        main([bag], suggest=True, out=contract)
    with pytest.raises(ConfigError, match="2 were found"):
        main([bag, write_twin_bag(tmp_path / "b.mcap", make_episode(0))], suggest=True)


def test_without_a_place_for_the_store_the_command_says_which_option_is_missing(tmp_path):
    with pytest.raises(ConfigError, match="--out data/NAME"):
        main([tmp_path])


def test_a_dataset_among_bags_is_stored_episode_by_episode_with_where_each_came_from(tmp_path):
    pytest.importorskip("h5py", reason="no HDF5; pip install 'o2o_robot[formats]'")
    write_twin_bag(tmp_path / "in" / "a.mcap", make_episode(0, n_steps=2, side=16))
    write_seed("hdf5", tmp_path / "in" / "deep")
    for _ in range(2):
        assert main([tmp_path / "in"], out=tmp_path / "s", image_side=16) == 0
        episodes = read_all(tmp_path / "s")
        assert [episode.meta["provenance"]["source"] for episode in episodes] == ["demos.hdf5"] * 2 + ["a.mcap"]
        assert [episode.meta["provenance"]["episode"] for episode in episodes] == [0, 1, 0]
        assert all(image.shape[1] == 16 for episode in episodes for image in episode.images.values())
    assert report_of(tmp_path / "s")["status"] == {"in store": 2}


def test_only_the_cameras_and_states_that_were_asked_for_are_taken_of_a_dataset(tmp_path):
    pytest.importorskip("h5py", reason="no HDF5; pip install 'o2o_robot[formats]'")
    demos = write_seed("hdf5", tmp_path / "in")
    assert main([demos], out=tmp_path / "s", cameras=("agentview_image",), state=("joint_pos",)) == 0
    assert list(read_all(tmp_path / "s")[0].state) == ["joint_pos"]
    assert main([demos], out=tmp_path / "t", cameras=("nonsense",)) == 1
    assert "nonsense" in report_of(tmp_path / "t")["bags"][0]["reason"]


def test_one_episode_of_a_dataset_that_is_damaged_costs_only_itself(tmp_path):
    h5py = pytest.importorskip("h5py", reason="no HDF5; pip install 'o2o_robot[formats]'")
    demos = write_seed("hdf5", tmp_path / "in")
    with h5py.File(demos, "a") as file:
        file["data/demo_0/actions"][1] = np.nan
    assert main([demos], out=tmp_path / "s", image_side=16) == 1
    (episode,) = read_all(tmp_path / "s")
    assert episode.meta["provenance"]["episode"] == 1
    (source,) = report_of(tmp_path / "s")["bags"]
    assert source["status"] == "in part"
    assert len(source["left_out"]) == 1
    assert source["left_out"][0].startswith("episode 0: ")
    main([demos], out=tmp_path / "s", image_side=16)  # tries what is missing again, and only that
    assert len(read_all(tmp_path / "s")) == 1


def test_an_episode_that_was_deleted_is_not_brought_back_by_the_same_command(tmp_path):
    bag = write_twin_bag(tmp_path / "a.mcap", make_episode(0), make_episode(1))
    main([bag], out=tmp_path / "s")
    with EpisodeStore.open(tmp_path / "s", "a") as store:
        store.delete(0, "the gripper slipped")
    assert main([bag], out=tmp_path / "s") == 0
    assert [episode.meta["id"] for episode in read_all(tmp_path / "s")] == ["ep-1"]


def test_the_range_a_store_has_stands_above_that_of_a_dataset_that_comes_later(tmp_path):
    seen = Look("later", "lerobot", "mark", "lerobot", is_scaled=True, low=(0.0,), high=(9.0,))
    with EpisodeStore.create(tmp_path / "s") as store:
        assert plan_of([seen], store, {"lerobot": Settled((-1.0,), (1.0,))}).jobs[0].high == (1.0,)
        assert plan_of([seen], store, {}).jobs[0].high == (9.0,)


def test_a_full_disk_stops_the_command_instead_of_leaving_every_bag_out(tmp_path, monkeypatch):
    def full(self: EpisodeStore, episode: Episode) -> int:
        raise StoreError("cannot store an episode: no space left")

    bag = write_twin_bag(tmp_path / "a.mcap", make_episode(0))
    monkeypatch.setattr(EpisodeStore, "append", full)
    with pytest.raises(StoreError, match="no space left"):
        main([bag], out=tmp_path / "s")


def test_the_progress_bar_counts_bytes_and_never_more_of_a_part_than_it_has():
    with ByteProgress("ingest", Console(quiet=True)) as progress:
        progress.expect([100, 200])
        progress.read(0, 60)
        progress.read(0, 60)  # a second pass over a bag
        progress.read(1, 10)
        assert progress.n_bytes == 110
        progress.finish(1)
        assert progress.n_bytes == 300


def test_a_large_bag_tells_how_far_it_is_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("o2o_robot.data.ingest.source_bag._TELL_BYTES", 20_000)
    bag = write_twin_bag(tmp_path / "a.mcap", make_episode(0))
    request, told = Request(created_at="2026-01-01T00:00:00+00:00"), []
    with EpisodeStore.create(tmp_path / "s") as store:
        ingest(Job(look(bag, request, ())), request, store, told.append)
    assert len(told) > 3
    assert sum(told) < 3 * bag.stat().st_size


@pytest.mark.skipif(not (DATA / "g1-bags").is_dir(), reason=f"no recordings under {DATA}")
def test_the_recordings_of_a_real_humanoid_become_two_episodes_of_all_their_frames(tmp_path):
    assert main([DATA / "g1-bags"], out=tmp_path / "s", outcome="success") == 0
    episodes = read_all(tmp_path / "s")
    assert [len(episode.stamp_ns) for episode in episodes] == [393, 343]
    for episode in episodes:
        assert episode.images["cam_high"].shape[1:] == (64, 64, 3)
        assert episode.state["q_rad"].shape[1] == episode.action.shape[1] == 26
        assert np.abs(episode.action).max() <= 1.0
    assert_counts_add_up(report_of(tmp_path / "s"))


@pytest.mark.skipif(not (DATA / "ats-rosbags").is_dir(), reason=f"no recordings under {DATA}")
def test_bags_with_undefined_message_types_and_unnamed_joints_are_read(tmp_path):
    assert main([DATA / "ats-rosbags"], out=tmp_path / "s") == 0
    report = report_of(tmp_path / "s")
    assert_counts_add_up(report)
    assert [sum(c["messages"] for c in bag["topics"].values()) for bag in report["bags"]] == [28083, 22758]


@pytest.mark.skipif(not (DATA / "rosbag2-fixtures").is_dir(), reason=f"no recordings under {DATA}")
def test_every_foreign_bag_gets_one_line_and_no_traceback(tmp_path, capsys):
    assert main([DATA / "rosbag2-fixtures"], out=tmp_path / "s") == 1
    lines = capsys.readouterr().out.strip().splitlines()
    bags = report_of(tmp_path / "s")["bags"]
    assert len(lines) == len(bags) + 1
    assert not [bag["reason"] for bag in bags if bag["reason"].startswith("unexpected")]


def _teleop(
    folder: Path,
    stamped: list[tuple[int, int]],
    broken: frozenset[int] = frozenset(),
    silent: frozenset[int] = frozenset(),
    frozen_after: int = 0,
) -> tuple[Path, Path]:
    """A bag of a camera, a joint and a command, one of each for every (header stamp, number), and its contract.

    broken: numbers whose frame cannot be decoded; silent: numbers without a state. frozen_after: so many more follow,
    a period apart, in which the camera shows the same picture.
    The number is the colour of the frame, the first command, and the time of receipt in periods.
    """
    messages = []
    n_live = len(stamped)
    last_ns, last = stamped[-1]
    stamped = [*stamped, *((last_ns + i * PERIOD_NS, last + i) for i in range(1, frozen_after + 1))]
    for i, (stamp_ns, number) in enumerate(stamped):
        frame = image(np.full((16, 16, 3), number if i < n_live else 0, np.uint8), stamp_ns)
        if number in broken:
            frame.height = 17
        state = joint_state(stamp_ns, ["a", "b"], [number / 10, 0])
        command = joint_state(stamp_ns, ["a", "b"], [number, 5.0])
        for topic, message in (("/state", state), ("/command", command), ("/cam", frame)):
            if topic == "/state" and number in silent:
                continue
            kind = "sensor_msgs/msg/Image" if topic == "/cam" else "sensor_msgs/msg/JointState"
            messages.append((topic, kind, number * PERIOD_NS, message))
    contract = write_contract(
        folder.parent / f"{folder.name}.yaml",
        name="teleop",
        rate_hz=10.0,
        images={"cam": {"topic": "cam", "side": 16}},
        state={"q_rad": {"topic": "state", "joints": ["a"]}},
        action={"topic": "command", "kind": "command"},
    )
    return write_bag(folder / "bag.mcap", messages), contract
