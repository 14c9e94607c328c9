"""An online run is watched from its warm-up on, and learns the same as one that nobody watches."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from dots import DotTask, demonstrate
from learners import SPEC, TRANSFORM, batch, learner, small, stream

from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.algorithms.switch_plan import SwitchPlan
from o2o_robot.apps.pretrain import main as pretrain
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.data.store import EpisodeStore
from o2o_robot.diagnostics.monitor import Monitor, Reading
from o2o_robot.diagnostics.probe_file import load_probe, save_probe
from o2o_robot.errors import DataError
from o2o_robot.jsonfile import read_lines
from o2o_robot.learner import Learner
from o2o_robot.presets import wsrl
from o2o_robot.types import Mode, Source, Step
from o2o_robot.watch import NEWEST, Watch


def online(plan: SwitchPlan, **changes: object) -> Learner:
    pretrained = learner()
    pretrained.update(batch())
    return Learner(
        pretrained, ReplayBuffer(2000, SPEC, 3, TRANSFORM), config=small(wsrl(), **changes), plan=plan, seed=0
    )


def run(subject: Learner, steps: list[Step], watch: Watch | None) -> list[Reading]:
    readings = []
    for step in steps:
        mode = Mode.WARMUP if subject.n_updates == 0 else Mode.ONLINE
        subject.add_step(step, mode=mode)
        if watch is not None:
            watch.add_step(step, mode=mode)
        while subject.updates_owed():
            subject.update()
            reading = watch.after_update() if watch is not None else None
            readings += [reading] if reading is not None else []
    return readings


@pytest.mark.parametrize("plan", [SwitchPlan(warmup_steps=18), SwitchPlan(warmup_steps=18, recalibrate_updates=4)])
def test_a_watched_run_ends_with_the_same_weights_as_one_that_is_not(plan: SwitchPlan) -> None:
    ends = []
    for watched in (False, True):
        subject = online(plan)
        watch = Watch(subject, Monitor(every=2), offline=batch(seed=8)) if watched else None
        run(subject, stream(5, 9), watch)
        ends.append(subject.actor_critic.networks.state_dict())
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_the_switch_is_attributed_on_the_warm_ups_data_before_any_weight_moves(tmp_path: Path) -> None:
    subject = online(SwitchPlan(warmup_steps=18))
    watch = Watch(subject, Monitor(every=5, folder=tmp_path), offline=batch(seed=8))
    run(subject, stream(1, 9), watch)
    assert not (tmp_path / "switch.json").exists()
    run(subject, stream(2, 9, first=1), watch)
    told = json.loads((tmp_path / "switch.json").read_text())
    assert set(told["probes"]) == {"offline", "warmup", "start"}
    assert "cql_alpha" in told["probes"]["warmup"]["first"]
    assert told["probes"]["warmup"]["first"]["max_target_backup"] < 0
    assert set(told["silent"]) >= {"tau", "critic_lr"}


def test_a_run_without_warm_up_knows_the_settings_it_came_from(tmp_path: Path) -> None:
    subject = online(SwitchPlan(warmup_steps=0))
    run(subject, stream(1, 9), Watch(subject, Monitor(folder=tmp_path)))
    assert "cql_alpha" in json.loads((tmp_path / "switch.json").read_text())["probes"]["warmup"]["first"]


def test_the_true_ratio_the_age_of_the_weights_and_the_replay_are_told() -> None:
    subject = online(SwitchPlan(warmup_steps=18), utd=2.0, critic_steps=2)
    watch = Watch(subject, Monitor(every=9))
    start = subject.revision
    steps = [  # the policy acts on the pretrained weights throughout, and a person helps once in ten
        replace(
            s, executed=replace(s.executed, revision=start, source=Source.TELEOP if s.index == 4 else Source.POLICY)
        )
        if s.executed is not None
        else s
        for s in stream(6, 9)
    ]
    (*_, last) = run(subject, steps, watch)
    assert last.metrics["health/utd"] == pytest.approx(2.0, rel=0.06)
    assert last.metrics["health/utd_asked"] == 2.0
    assert last.metrics["health/policy_age_max"] == pytest.approx(subject.revision - start, abs=2)
    assert last.metrics["health/intervention"] == pytest.approx(1 / 9, abs=0.02)
    assert last.metrics["health/share/warmup"] == pytest.approx(18 / 54, abs=0.05)


@pytest.mark.parametrize("config", [small(wsrl()), small()])
def test_the_starts_are_first_steps_alone_and_tell_the_best_value_there(config: AlgoConfig) -> None:
    pretrained = learner()
    replay = ReplayBuffer(500, SPEC, 3, TRANSFORM)
    subject = Learner(pretrained, replay, config=config, plan=SwitchPlan(warmup_steps=18), seed=0)
    watch = Watch(subject, Monitor(every=2))
    steps = stream(4, 9)
    readings = run(subject, steps, watch)
    first = {tuple(s.observation.state["tool_position_m"]) for s in steps if s.index == 0}
    assert {tuple(row) for row in watch.monitor.probes["start"].batch.state} <= first
    found = readings[-1].metrics
    assert found["probe/start/q_best"] >= found["probe/start/q_policy"]
    assert not any(name.startswith("probe/start/bound_rate") for name in found)


def test_the_online_probe_comes_when_the_newest_data_are_all_the_new_policys() -> None:
    subject = online(SwitchPlan(warmup_steps=18), utd=0.1)
    watch = Watch(subject, Monitor(every=5))
    readings = run(subject, stream((NEWEST + 18) // 9 + 12, 9), watch)
    has = ["probe/online/q_mean" in reading.metrics for reading in readings]
    assert not has[0]
    assert has[-1]
    assert all("probe/warmup/q_mean" in reading.metrics for reading in readings)


def test_a_probe_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    rows = replace(batch(seed=4), n_steps=np.full(16, 1))
    save_probe(tmp_path / "probe.safetensors", rows)
    back = load_probe(tmp_path / "probe.safetensors")
    for name in ("state", "action", "reward", "terminated", "mc_return", "n_steps"):
        assert np.array_equal(getattr(rows, name), getattr(back, name))
        assert getattr(rows, name).dtype == getattr(back, name).dtype
    assert all(np.array_equal(rows.next_images[name], back.next_images[name]) for name in SPEC.cameras)
    save_probe(tmp_path / "plain.safetensors", batch())
    assert load_probe(tmp_path / "plain.safetensors").n_steps is None


def test_a_probe_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        load_probe(tmp_path / "nowhere")
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(DataError, match="junk"):
        load_probe(tmp_path / "junk")


def test_pretraining_is_watched_and_leaves_its_probe_for_fine_tuning(tmp_path: Path) -> None:
    with EpisodeStore.open_or_create(tmp_path / "dots.zarr") as store:
        task = DotTask(np.random.default_rng(0), side=16)
        for k in range(4):
            shown = demonstrate(task, noise=0.2, wrong=0.2)
            store.append(replace(shown, meta={**shown.meta, "id": f"d{k}", "seed": k}))
    (tmp_path / "small.yaml").write_text("batch_size: 16\nconvs: [[8, 4, 4]]\n")
    pretrain(tmp_path / "dots.zarr", out=tmp_path / "run", steps=3, settings_file=tmp_path / "small.yaml", threads=1)
    *_, last = read_lines(tmp_path / "run/metrics.jsonl")
    assert math.isfinite(last["probe/offline/q_mean"])
    assert "td_loss" in last
    probe = load_probe(tmp_path / "run/probe.safetensors")
    ours = checkpoint.load(tmp_path / "run/checkpoint")
    monitor = Monitor()
    monitor.watch(ours, "offline", probe)
    found = monitor(ours).metrics
    assert found["probe/offline/q_mean"] == pytest.approx(last["probe/offline/q_mean"], rel=1e-5)


def test_a_watch_that_begins_within_an_episode_begins_with_the_next_one() -> None:
    subject, steps = online(SwitchPlan(warmup_steps=18)), stream(3, 9)
    watch = Watch(subject, Monitor(every=2))
    for number, step in enumerate(steps):  # what a learner that was taken up again in mid-episode goes on with
        subject.add_step(step)
        if number >= 4:
            watch.add_step(step)
    assert watch._newest.steps_added == 2 * 9
