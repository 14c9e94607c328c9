"""The share of each mini-batch that people moved: exact once there is any, nothing at all before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from episode_examples import an_episode
from hypothesis import given, settings
from hypothesis import strategies as st

from o2o_robot.data.human import DEMONSTRATED, INTERVENED, BySource, HumanSteps, source
from o2o_robot.data.mixture import Mixture
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.data.returns import RewardTransform
from o2o_robot.errors import ConfigError
from o2o_robot.types import Batch, ObservationSpec, Source

SPEC = ObservationSpec(cameras=("wrist",), image_size=8, proprio=(("tool_position_m", 3),))


def a_replay(seed: int, *moved_by: Source) -> ReplayBuffer:
    """One episode of a step for each of `moved_by`; its states say which episode and step they are."""
    replay = ReplayBuffer(100, SPEC, 3, RewardTransform())
    episode = an_episode(len(moved_by), seed=seed)
    replay.add_episode(replace(episode, source=np.array(moved_by, np.uint8)))
    return replay


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def origin(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Episode and step of each row."""
    seed, t = np.divmod(batch.state[:, 0].astype(int), 1000)
    return seed, t


ONLINE = [Source.POLICY, Source.TELEOP, Source.POLICY, Source.TELEOP, Source.TELEOP, Source.POLICY]
OFFLINE = [Source.SCRIPTED, Source.POLICY, Source.TELEOP, Source.HOLD]


@given(share=st.sampled_from([0.25, 0.5, 0.75, 1.0]), utd=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_every_mini_batch_of_a_block_has_at_least_the_share_and_what_is_beyond_it_is_chance(
    share: float, utd: int
) -> None:
    drawn = source(a_replay(1, *ONLINE), None, offline_share=0.0, intervention_share=share)
    _, t = origin(drawn.sample(utd * 32, rng()))
    for mini_batch in np.isin(t, [1, 3, 4]).reshape(utd, 32):
        assert mini_batch.sum() >= share * 32


def test_the_share_is_exact_where_the_rest_has_no_human_step() -> None:
    online, offline = a_replay(1, *[Source.POLICY] * 5), a_replay(2, *OFFLINE)
    drawn = source(online, offline, offline_share=0.0, intervention_share=0.5)
    seed, t = origin(drawn.sample(4 * 32, rng()))
    for mini_batch in (seed == 2).reshape(4, 32):
        assert mini_batch.sum() == 16
    assert set(t[seed == 2]) == {0, 2}, "of the offline data only what was demonstrated"


def test_the_other_parts_keep_their_proportions() -> None:
    replays = [a_replay(1, *ONLINE), a_replay(2, *[Source.POLICY] * 6)]
    drawn = source(*replays, offline_share=0.25, intervention_share=0.5)
    seed, _ = origin(drawn.sample(64, rng()))
    assert (seed == 2).sum() == 8  # a quarter of what the human half leaves


def test_without_a_human_step_batches_are_those_without_the_share_bit_for_bit() -> None:
    online, offline = a_replay(1, *[Source.POLICY] * 7), a_replay(2, *[Source.POLICY] * 9)
    for shares in ((0.0,), (0.25,)):
        with_share = source(online, offline, offline_share=shares[0], intervention_share=0.5).sample(64, rng())
        without = source(online, offline, offline_share=shares[0], intervention_share=0.0).sample(64, rng())
        np.testing.assert_array_equal(with_share.state, without.state)
        np.testing.assert_array_equal(with_share.images["wrist"], without.images["wrist"])


def test_a_share_of_nothing_is_the_replay_or_the_mixture_itself() -> None:
    online, offline = a_replay(1, *ONLINE), a_replay(2, *OFFLINE)
    assert source(online, offline, offline_share=0.0, intervention_share=0.0) is online
    assert isinstance(source(online, offline, offline_share=0.5, intervention_share=0.0), Mixture)


@pytest.mark.parametrize("chunk", [1, 3])
def test_every_field_of_a_human_row_comes_from_the_same_transition(chunk: int) -> None:
    replays = [BySource(a_replay(1, *ONLINE), INTERVENED), BySource(a_replay(2, *OFFLINE), DEMONSTRATED)]
    batch = Mixture([(HumanSteps(replays), 1.0)]).sample(64, rng(), chunk=chunk)
    seed, t = origin(batch)
    n_taken = np.ones(64) if batch.n_steps is None else batch.n_steps
    np.testing.assert_array_equal(batch.next_state[:, 0], batch.state[:, 0] + n_taken)
    actions = np.stack([an_episode([0, 6, 4][s], seed=s).action[i] for s, i in zip(seed, t, strict=True)])
    np.testing.assert_array_equal(batch.action[:, :3], actions)
    assert {(s, i) for s, i in zip(seed, t, strict=True)} == {(1, 1), (1, 3), (1, 4), (2, 0), (2, 2)}


def test_each_human_step_is_as_likely_as_any_other_wherever_it_lies() -> None:
    human = HumanSteps([BySource(a_replay(1, *ONLINE), INTERVENED), BySource(a_replay(2, *OFFLINE), DEMONSTRATED)])
    drawn = human.draw(20_000, rng(), with_return_only=False)
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(human) == len(counts) == 5
    assert counts / 20_000 == pytest.approx(0.2, abs=0.015)


def test_steps_that_are_left_out_are_drawn_no_more() -> None:
    replay = a_replay(1, *ONLINE)
    human = HumanSteps([BySource(replay, INTERVENED)])
    assert len(human) == 3
    replay.leave_out(6)
    assert len(human) == 0


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_an_impossible_share_is_refused(share: float) -> None:
    from o2o_robot.data.human import WithHuman

    replay = a_replay(1, *ONLINE)
    with pytest.raises(ConfigError, match=f"got {share}"):
        WithHuman([(replay, 1.0)], HumanSteps([BySource(replay, INTERVENED)]), share)
