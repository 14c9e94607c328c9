"""A learner that goes back: what it takes from its copy, what it keeps, and how few copies that takes."""

from __future__ import annotations

import math

import pytest
import torch
from learners import SPEC, TRANSFORM, batch, learner, small, stream

from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.phases import Phase
from o2o_robot.algorithms.switch_plan import SwitchPlan
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.learner import Learner
from o2o_robot.learner_copies import LearnerCopies
from o2o_robot.presets import wsrl


@pytest.fixture
def pretrained(tmp_path):
    subject = learner()
    subject.update(batch())
    return checkpoint.save(tmp_path / "pretrained", subject, phase=Phase.PRETRAIN, provenance={})


def online(pretrained, **changes) -> Learner:
    replay = ReplayBuffer(500, SPEC, 3, TRANSFORM)
    plan = SwitchPlan(warmup_steps=4)
    subject = Learner(checkpoint.load(pretrained), replay, config=small(wsrl(), **changes), plan=plan, seed=0)
    for step in stream(6, 9):
        subject.add_step(step)
    return subject


def weights(subject: Learner) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in subject.actor_critic.networks.state_dict().items()}


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_learner_that_went_back_learns_as_it_would_have_from_there(pretrained, tmp_path):
    subject = online(pretrained)
    copies = LearnerCopies(tmp_path / "copies", every=5, pretrained=pretrained)
    for _ in range(5):
        subject.update()
    copies.keep(subject)
    then, chance = weights(subject), subject.actor_critic.generator.get_state()
    rows = batch(seed=3)
    subject.actor_critic.update(rows)
    expected = weights(subject)
    for _ in range(5):
        subject.update()
    assert copies.go_back(subject, subject.revision, rollbacks=1) == 6
    assert same(weights(subject), then)
    subject.actor_critic.generator.set_state(chance)
    subject.actor_critic.update(rows)
    assert same(weights(subject), expected), "Adam's moments came back too"


def test_replay_and_counters_stay_so_that_revisions_go_on_growing(pretrained, tmp_path):
    subject = online(pretrained)
    for _ in range(7):
        subject.update()
    before = (subject.n_steps, subject.n_updates, subject.revision, subject.updates_owed(), len(subject.replay))
    LearnerCopies(tmp_path / "copies", every=5, pretrained=pretrained).go_back(subject, 3, rollbacks=2)
    after = (subject.n_steps, subject.n_updates, subject.revision, subject.updates_owed(), len(subject.replay))
    assert after == before
    assert subject.rollbacks == 2


def test_before_all_copies_lies_the_pretrained_policy(pretrained, tmp_path):
    subject = online(pretrained)
    at_first = weights(subject)
    for _ in range(7):
        subject.update()
    assert LearnerCopies(tmp_path / "copies", every=5, pretrained=pretrained).go_back(subject, 6, rollbacks=1) == 1
    assert same(weights(subject), at_first)


def test_a_damaged_copy_is_passed_over(pretrained, tmp_path):
    subject = online(pretrained)
    copies = LearnerCopies(tmp_path / "copies", every=2, pretrained=pretrained)
    for _ in range(6):
        subject.update()
        copies.keep(subject)
    before, newest = copies.revisions[-2:]
    (tmp_path / "copies" / str(newest) / "weights.safetensors").write_bytes(b"spoiled")
    assert copies.go_back(subject, 100, rollbacks=1) == before > 1


@pytest.mark.parametrize("what", ["a weight", "a moment of Adam"])
def test_a_learner_whose_numbers_ran_away_is_its_newest_sound_copy_again(pretrained, tmp_path, what):
    subject = online(pretrained)
    copies = LearnerCopies(tmp_path / "copies", every=2, pretrained=pretrained)
    for _ in range(4):
        subject.update()
        copies.keep(subject)
    assert copies.mend(subject) is None
    spoil(subject, what)
    copies.keep(subject)
    revision = subject.revision
    assert copies.mend(subject) == copies.revisions[-1] < revision
    subject.update()
    assert copies.mend(subject) is None
    assert (subject.revision, subject.rollbacks) == (revision + 1, 0)


def spoil(subject: Learner, what: str) -> None:
    networks, optimisers = subject.actor_critic.networks, subject.actor_critic.optimisers
    if what == "a weight":
        next(networks.critic.parameters()).data.view(-1)[0] = math.nan
    else:
        next(iter(optimisers["critic"].state.values()))["exp_avg"].fill_(math.inf)


def test_an_anchor_made_online_survives_going_back_before_it(pretrained, tmp_path):
    subject = online(pretrained, anchor_weight=1.0)
    for _ in range(3):
        subject.update()
    LearnerCopies(tmp_path / "copies", every=5, pretrained=pretrained).go_back(subject, 0, rollbacks=1)
    subject.update()
    assert subject.actor_critic.networks.reference is not None


def test_rollbacks_are_saved_with_the_learner_and_travel_with_its_weights(pretrained, tmp_path):
    subject = online(pretrained)
    subject.rollbacks = 3
    subject.save(tmp_path / "saved", provenance={})
    assert Learner.resume(tmp_path / "saved", config=small(wsrl())).rollbacks == 3
    assert b'"rollbacks":"3"' in subject.snapshot().data[:400]


class _Saved:
    """Stands for a learner where only the revision matters."""

    revision, actor_critic, phase = 0, None, None


def test_copies_are_few_and_one_lies_not_long_before_any_revision(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "save", lambda folder, *_, **__: folder.mkdir(parents=True))
    copies, subject, every = LearnerCopies(tmp_path, every=10, pretrained=tmp_path), _Saved(), 10
    for revision in range(1, 4000):
        subject.revision = revision
        copies.keep(subject, best=1234)
        if revision % 97 == 0:
            there = copies.revisions
            assert len(there) <= math.log2(revision / every + 2) + 3
            for wanted in range(1 + every, revision, 53):
                age = revision - max(n for n in there if n <= wanted)
                assert age <= 4 * (revision - wanted) + 4 * every
    assert 1234 - max(n for n in copies.revisions if n <= 1234) < every, "the one before the best stays"
