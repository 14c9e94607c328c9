"""Late words of a person, laid over what a replay holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from episode_examples import an_episode, steps_of

from o2o_robot.data.labels import Correction
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.data.returns import RewardTransform
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.types import Episode, ObservationSpec

SPEC = ObservationSpec(cameras=("wrist",), image_size=8, proprio=(("q_rad", 7),))
COLUMNS = ("reward", "terminated", "truncated", "mc_return", "valid")


def a_replay(capacity_steps: int = 200) -> ReplayBuffer:
    return ReplayBuffer(capacity_steps, SPEC, 3, RewardTransform(scale=2.0, bias=-1.0, discount=0.9))


def ended(seed: int, outcome: str, *, n_steps: int = 5) -> Episode:
    end = "terminated" if outcome == "success" else "truncated"
    meta = {"id": f"ep-{seed}", "outcome": outcome, "termination": "task" if outcome == "success" else "time_limit"}
    return an_episode(n_steps, seed=seed, end=end, meta=meta)


def columns(replay: ReplayBuffer) -> dict[str, np.ndarray]:
    return {name: replay._ring[name].copy() for name in COLUMNS}


def stream(replay: ReplayBuffer, episode: Episode, name: str, *, whole: bool = True) -> None:
    for step in steps_of(episode, name)[: None if whole else -1]:
        replay.add_step(step)


@pytest.mark.parametrize("before", ["success", "failure"])
@pytest.mark.parametrize(
    ("word", "in_store"), [("success", "success"), ("failure", "failure"), ("incomplete", "unknown")]
)
def test_a_late_word_makes_of_a_replay_what_it_makes_of_the_store(tmp_path, before, word, in_store):
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        for seed in range(3):
            store.append(ended(seed, before))
        transform = RewardTransform(scale=2.0, bias=-1.0, discount=0.9)
        late = ReplayBuffer.from_store(store, SPEC, transform=transform)
        assert late.relabel("ep-1", word) == 5
        store.correct(1, Correction(in_store))
        fresh = ReplayBuffer.from_store(store, SPEC, transform=transform)
    for name, column in columns(fresh).items():
        np.testing.assert_array_equal(columns(late)[name], column, err_msg=name)


@pytest.mark.parametrize("lower", [0.0, 1.0])
def test_the_last_word_counts_as_though_it_had_been_the_only_one(lower):
    rng = np.random.default_rng(0)
    words = ["success", "failure", "incomplete", "discard"]
    for _ in range(50):
        said = [words[i] for i in rng.integers(len(words), size=4)]
        often, once = a_replay(), a_replay()
        for replay in (often, once):
            for seed, outcome in enumerate(("success", "failure")):
                episode = ended(seed, outcome)
                replay.add_episode(replace(episode, reward=episode.reward - np.float32(lower)))
        for word in said:
            often.relabel("ep-0", word)
        once.relabel("ep-0", said[-1])
        if said[-1] == "discard":  # what is not sampled may hold any word
            np.testing.assert_array_equal(often._ring["valid"], once._ring["valid"])
            continue
        for name in COLUMNS:
            np.testing.assert_array_equal(often._ring[name], once._ring[name], err_msg=f"{said} {name}")


def test_returns_follow_the_word():
    replay = a_replay()
    stream(replay, ended(0, "failure"), "online-000000")
    replay.relabel("online-000000", "success")
    # r = 2 * raw - 1: four steps of -1, then +1, terminal
    expected = [sum(0.9**k * (1.0 if t + k == 4 else -1.0) for k in range(5 - t)) for t in range(5)]
    np.testing.assert_allclose(replay._ring["mc_return"][:5], expected, rtol=1e-6)


def test_a_discarded_episode_is_never_drawn_and_comes_back_with_the_next_word():
    replay = a_replay()
    for seed in range(2):
        replay.add_episode(ended(seed, "success"))
    replay.relabel("ep-0", "discard")
    assert len(replay) == 5
    drawn = replay.sample(200, np.random.default_rng(0))
    assert set(np.unique(drawn.images["wrist"])) <= set(range(40, 46))
    replay.relabel("ep-0", "failure")
    assert len(replay) == 10


def test_what_the_guard_has_ended_is_not_brought_back_by_a_label():
    replay = a_replay()
    stream(replay, ended(0, "failure"), "online-000000")
    replay.leave_out(5)
    for word in ("discard", "failure", "success"):
        replay.relabel("online-000000", word)
    assert len(replay) == 0


def test_an_episode_cut_off_by_a_fault_gets_its_end_and_its_returns_from_a_person():
    replay = a_replay()
    stream(replay, ended(0, "failure"), "online-000000", whole=False)
    stream(replay, ended(1, "failure"), "online-000001")
    assert replay.relabel("online-000000", "success") == 4
    assert replay._ring["terminated"][:5].tolist() == [False, False, False, True, False]
    assert np.isfinite(replay._ring["mc_return"][:4]).all()


def test_no_other_episode_changes():
    rng = np.random.default_rng(1)
    for capacity in (200, 23):  # the second overwrites what is old
        replay = a_replay(capacity)
        for seed in range(6):
            replay.add_episode(ended(seed, "failure" if seed % 2 else "success", n_steps=int(rng.integers(2, 6))))
            before, chosen = columns(replay), f"ep-{rng.integers(seed + 1)}"
            entry = replay._book.find(chosen)
            rows = [] if entry is None else replay._book.rows(entry)
            assert replay.relabel(chosen, "discard") == len(rows)
            others = np.setdiff1d(np.arange(capacity), rows)
            for name, column in before.items():
                np.testing.assert_array_equal(replay._ring[name][others], column[others])


def test_an_episode_whose_beginning_was_overwritten_is_not_here_any_more():
    replay = a_replay(14)
    for seed in range(3):
        replay.add_episode(ended(seed, "failure"))
    assert [replay.relabel(f"ep-{seed}", "success") for seed in range(3)] == [0, 5, 5]
    assert replay.relabel("ep-of-another-run", "success") == 0


def test_a_word_on_an_episode_that_still_runs_is_refused():
    replay = a_replay()
    stream(replay, ended(0, "failure"), "online-000000", whole=False)
    with pytest.raises(DataError, match="still running"):
        replay.relabel("online-000000", "success")
    with pytest.raises(ConfigError, match="allowed: success, failure, incomplete, discard"):
        replay.relabel("online-000000", "splendid")


def test_a_replay_taken_up_again_knows_its_episodes_and_what_was_recorded():
    first, second = a_replay(), a_replay()
    first.add_episode(ended(0, "success"))
    first.add_episode(ended(1, "failure"))
    first.relabel("ep-0", "failure")
    second.load_state_dict({name: array.copy() for name, array in first.state_dict().items()})
    for replay in (first, second):
        replay.relabel("ep-0", "success")
        replay.relabel("ep-1", "success")
    for name in COLUMNS:
        np.testing.assert_array_equal(second._ring[name], first._ring[name], err_msg=name)


def test_a_replay_saved_before_there_was_a_book_knows_none_of_its_episodes_but_the_next_ones():
    first, second = a_replay(14), a_replay(14)
    for seed in range(3):
        first.add_episode(ended(seed, "success"))
    state = {name: array.copy() for name, array in first.state_dict().items() if name != "book"}
    second.load_state_dict(state)
    second.add_episode(ended(3, "failure"))
    assert [second.relabel(f"ep-{seed}", "success") for seed in (1, 2, 3)] == [0, 0, 5]
    whole = replace(ended(3, "success"), meta={})
    rows = second._book.rows(second._book.find("ep-3"))
    np.testing.assert_array_equal(second._ring["reward"][rows], whole.reward)


def test_a_failure_that_the_task_itself_ended_stays_terminal_when_a_person_agrees():
    failed = ended(0, "success")
    failed = replace(failed, reward=np.zeros(5, np.float32))  # terminated, and never rewarded
    replay = a_replay()
    stream(replay, failed, "online-000000")
    before = columns(replay)
    replay.relabel("online-000000", "failure")
    for name, column in before.items():
        np.testing.assert_array_equal(replay._ring[name], column, err_msg=name)
