"""The report of a run: its statistics, what it says, and that no missing or hostile file stops or enters it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.actor_critic import ActorCritic
from o2o_robot.algorithms.phases import Phase
from o2o_robot.data.returns import RewardTransform, mc_returns
from o2o_robot.data.store import EpisodeStore
from o2o_robot.diagnostics.interval import wilson
from o2o_robot.errors import DataError
from o2o_robot.jsonfile import append_line, write_json
from o2o_robot.policy import Policy
from o2o_robot.presets import calql
from o2o_robot.report.filmstrip import choose, filmstrip
from o2o_robot.report.gather import EpisodeLine, gather
from o2o_robot.report.learning import jump
from o2o_robot.report.page import write_report
from o2o_robot.report.readings import evaluations
from o2o_robot.report.sections import headline, parse_switch
from o2o_robot.report.statistics import paired, rolling_success
from o2o_robot.report.values import values
from o2o_robot.types import Episode, Observation, ObservationSpec

SIDE, CAMERAS = 16, ("wrist", "front")
SPEC = ObservationSpec(CAMERAS, SIDE, (("tool_position_m", 3),))
TRANSFORM = RewardTransform(1.0, -1.0, 0.97)
SCRIPT = "<script>alert(1)</script>"
SECTIONS = (
    "Success while learning",
    "What the guard changed",
    "How the learning went",
    "phase switch",
    "Processes",
    "Settings",
    "Versions",
)
LEARNING = ("unlearning", "jump", "probes", "bounds", "policy", "health", "regret")


# The run: three scenes, two of which the fine-tuned policy solves and the pretrained one does not.


def an_episode(id_: str, seed: int, *, is_success: bool, n_steps: int = 6) -> Episode:
    rng = np.random.default_rng(seed)
    last = np.arange(n_steps) == n_steps - 1
    proposed = rng.uniform(-1, 1, (n_steps, 3)).astype(np.float32)
    return Episode(
        images={name: rng.integers(0, 256, (n_steps + 1, SIDE, SIDE, 3), np.uint8) for name in CAMERAS},
        state={"tool_position_m": rng.normal(size=(n_steps + 1, 3)).astype(np.float32)},
        stamp_ns=np.arange(n_steps + 1, dtype=np.int64) * 100_000_000,
        action=np.where(last[:, None], proposed * np.float32(0.5), proposed),
        proposed=proposed,
        reward=(last & is_success).astype(np.float32),
        terminated=last & is_success,
        truncated=last & (not is_success),
        reasons=np.where(last, 2, 0).astype(np.uint32),
        source=np.zeros(n_steps, np.uint8),
        revision=np.zeros(n_steps, np.int64),
        meta={"id": id_, "seed": seed, "outcome": "success" if is_success else "failure"},
    )


def a_stage(folder: Path, store: Path, mode: str, outcomes: list[bool], *, first: int = 0) -> None:
    steps = first * 6
    with EpisodeStore.open_or_create(store) as episodes:
        for seed, is_success in enumerate(outcomes, start=first):
            episode = an_episode(f"{mode}-{seed}", seed, is_success=is_success)
            episodes.append(episode)
            line = {**episode.meta, "mode": mode, "n_steps": 6, "steps_before": steps, "steps_changed": 1}
            append_line(folder / "episodes.jsonl", line)
            steps += 6
    write_json(folder / "processes.json", {"nodes": [{"name": "arm_node", "pid": 7, "exit_code": 0}]})
    write_json(folder / "arm_node.json", {"commands": 60, "interventions": 9, "reasons": {"workspace": 9}})
    (folder / "params").mkdir(exist_ok=True)
    (folder / "params" / "arm_node.yaml").write_text(f'/**/arm_node:\n  ros__parameters:\n    limits: "{SCRIPT}"\n')


def a_reading(k: int, *probes: str) -> dict[str, float]:
    """What a monitor gives, in small."""
    of_each = {"q_mean": -5.0 - k, "target": -5.5 - k, "td_error": 1.0 / k, "ensemble_std": 0.1 * k, "entropy": -1.0}
    of_each |= {"drift_kl": 0.1 * k, "saturation": 0.2, "q_best": -4.0, "cql_mass_policy": 0.5, "cql_no_gradient": 0.1}
    of_each |= {"bound_rate/policy/success": 0.4, "bound_rate/policy/failure": 0.1}
    found = {f"probe/{probe}/{name}": value for probe in probes for name, value in of_each.items()}
    return (
        found
        | {"target_entropy": -3.0, "health/utd": 0.9, "health/utd_asked": 1.0, "health/policy_age": 12.0}
        | {
            "health/policy_age_max": 20.0,
            "health/share/warmup": 0.25,
            "health/share/online": 0.75,
            "health/intervention": 0.07,
        }
    )


def watched(run: Path) -> None:
    """What the monitor leaves beside the metrics."""
    for step, k in ((0, 10), (500, 2), (1000, 6), (1500, 11)):
        append_line(run / "finetune/evaluations.jsonl", {"step": step, "successes": k, "n": 20})
    effect = {"before": -5.0, "after": -7.5, "jump": -2.5, "residual": 0.0}
    effect |= {"first": {"cql_alpha": -2.5}, "last": {"cql_alpha": -2.5}}
    silent = {"tau": [0.01, 0.02]}
    write_json(run / "finetune/switch.json", {"probes": {"offline": effect, "warmup": effect}, "silent": silent})
    alarm = {"name": "values too low", "what": SCRIPT, "value": -120.0, "limit": -110.0, "advice": "keep offline data"}
    append_line(run / "finetune/alarms.jsonl", {"step": 300, "update": 8, **alarm})


def a_checkpoint(folder: Path, phase: Phase) -> None:
    small = replace(calql(), critic_widths=(8,), actor_widths=(8,), convs=((4, 4, 4),), image_latent=4, state_latent=4)
    learner = ActorCritic(small, SPEC, 3, TRANSFORM, seed=3)
    learner.centre_values(-5.0)
    checkpoint.save(folder, learner, phase=phase, provenance={})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("demo")
    write_json(run / "settings.json", {"task": SCRIPT, "seed": 0, "first_seed": 900_000})
    versions, nodes = {"torch": "1.2.3"}, [{"name": "arm_node", "pid": 7, "exit_code": 0, "phase": "collect"}]
    stages = [{"name": "collect", "wall_s": 1.5}, {"name": "ingest", "wall_s": 0.5}]
    summary = {"task": SCRIPT, "demo_episodes": 2, "offline_steps": 100, "robot_s": 9.0}
    write_json(run / "summary.json", {**summary, "versions": versions, "nodes": nodes, "stages": stages})
    a_stage(run / "collect", run / "demos.zarr", "demo", [True, False])
    a_stage(run / "evaluate_pretrained", run / "evaluate_pretrained/episodes.zarr", "eval", [False, False, True])
    a_stage(run / "finetune", run / "finetune/episodes.zarr", "warmup", [False, True])
    a_stage(run / "finetune", run / "finetune/episodes.zarr", "online", [True, True], first=2)
    a_stage(run / "evaluate_finetuned", run / "evaluate_finetuned/episodes.zarr", "eval", [True, True, True])
    phases = ["phase warmup -> finetune: cql_alpha 5.0 -> 0.0, calibrate True -> False"]
    write_json(run / "finetune/learner_node.json", {"updates": 12, "phases": phases})
    for k in range(1, 4):
        offline = {"step": 50 * k, "td_loss": 1.0 / k, "cql_gap": 2.0, **a_reading(k, "offline")}
        append_line(run / "pretrain/metrics.jsonl", offline)
        online = {"update": 4 * k, "step": 12 + k, "td_loss": float("nan")}
        append_line(run / "finetune/learner.jsonl", online | a_reading(k, "offline", "warmup", "start"))
    watched(run)
    write_json(run / "pretrain/summary.json", {"updates": 150, "fingerprint": "abc"})
    a_checkpoint(run / "pretrain/checkpoint", Phase.PRETRAIN)
    a_checkpoint(run / "finetune/checkpoint", Phase.FINETUNE)
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


@pytest.fixture(scope="module")
def page(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    run = Path(shutil.copytree(whole, tmp_path_factory.mktemp("written") / "run"))
    return write_report(run).read_text()


def line(seed: int, is_success: bool, n_steps: int = 5) -> EpisodeLine:
    return EpisodeLine(f"e{seed}", "eval", seed, "success" if is_success else "failure", n_steps, 0)


# Statistics.


@pytest.mark.parametrize(
    ("successes", "n", "lo", "hi"),
    [  # Newcombe, Stat. Med. 17 (1998) 857, table I, method 3; to four decimals
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(successes, n, lo, hi):
    assert wilson(successes, n) == pytest.approx((lo, hi), abs=5e-5)


def test_wilson_mirrors_itself_holds_its_rate_and_knows_nothing_of_nothing():
    for n in range(1, 40):
        for k in range(n + 1):
            lo, hi = wilson(k, n)
            assert 0 <= lo <= k / n <= hi <= 1
            assert wilson(n - k, n) == pytest.approx((1 - hi, 1 - lo))
    assert wilson(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="4 successes of 3"):
        wilson(4, 3)


def test_the_rolling_rate_counts_the_latest_window_and_never_the_future():
    won = np.random.default_rng(0).random(50) < 0.4
    rolled = rolling_success(won, 7)
    for k in range(50):
        latest = won[max(0, k - 6) : k + 1]
        assert rolled.rate[k] == pytest.approx(latest.mean())
        assert (rolled.lo[k], rolled.hi[k]) == pytest.approx(wilson(int(latest.sum()), len(latest)))


def test_the_paired_comparison_counts_only_scenes_that_both_policies_met():
    found = paired({1: False, 2: False, 3: True, 4: False}, {1: True, 2: True, 3: False, 9: True})
    assert found[:3] == (3, 2, 1)


@pytest.mark.parametrize(("gained", "lost", "p_value"), [(0, 0, 1.0), (5, 5, 1.0), (6, 0, 2 / 64), (8, 1, 20 / 512)])
def test_the_sign_test_is_exact_and_two_sided(gained, lost, p_value):
    before = {seed: seed >= gained for seed in range(gained + lost)}
    assert paired(before, {seed: not won for seed, won in before.items()}).p_value == pytest.approx(p_value)


# What the page says.


def test_the_headline_counts_both_evaluations_and_the_scenes_that_changed(whole):
    said = headline(gather(whole))
    assert said.before is not None
    assert said.after is not None
    assert (said.before.successes, said.before.n, said.after.successes) == (1, 3, 3)
    assert "Of the same 3 scenes, 2 failed before and succeed now, 0 the other way" in said.sentences[-1]
    assert "too few to rule out chance" in said.sentences[-1]


def test_a_whole_run_has_every_section_and_lacks_nothing(page):
    for words in (*SECTIONS, "33 %", "100 %", "cql_alpha", "1.2.3", "every episode was a success"):
        assert words in page, words
    assert "issing: " not in page
    assert page.lower().startswith("<!doctype html>")


def test_settings_are_told_to_the_last_digit(page):
    assert "<td>900000</td>" in page


def test_the_page_needs_no_network_and_runs_no_script(page):
    assert set(re.findall(r'(?:src|href)="(.{0,22})', page)) == {"data:image/png;base64,"}
    assert "url(" not in page
    assert "<script" not in page.lower()


def test_markup_in_a_file_of_the_run_is_shown_and_not_obeyed(page):
    assert SCRIPT not in page
    assert page.count("&lt;script&gt;alert(1)") >= 3  # the title, a setting, a parameter


def test_the_figures_on_the_page_are_the_files_beside_it(run):
    page = write_report(run).read_text()
    names = {path.stem for path in (run / "figures").iterdir()}
    assert {"story", "reliability", "guard", "training", "evaluate_pretrained_failure"} <= names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (run / "figures").iterdir())
    assert page.count("data:image/png") == len(names)


def test_the_learning_section_draws_what_the_monitor_logged_and_lists_its_alarms(run, page):
    write_report(run)
    assert set(LEARNING) <= {path.stem for path in (run / "figures").iterdir()}
    for words in ("The monitor rang 1 time.", "values too low", "-120", "-110", "keep offline data", "tau 0.01 → 0.02"):
        assert words in page, words
    assert "0.40 after 500 steps" in page
    assert "after 1500 steps" in page  # when it was back where it began
    assert "Interventions: 7 %" in page


def test_success_of_training_episodes_stands_in_for_evaluations_that_were_not_run(run):
    (run / "finetune/evaluations.jsonl").unlink()
    many = [line(k, k % 2 == 0) for k in range(60)]
    for k, episode in enumerate(many):
        mode = "warmup" if k < 20 else "online"
        facts = {"id": episode.id, "mode": mode, "n_steps": 5, "steps_before": 100 + 5 * k, "outcome": episode.outcome}
        append_line(run / "finetune/episodes.jsonl", facts)
    found, what = evaluations(gather(run))
    assert [e.n for e in found] == [22, 20, 20]  # two warm-up episodes were there before; two online ones fill no block
    assert "training episodes" in what


def test_a_run_that_nobody_watched_says_so_and_is_not_called_incomplete(run):
    for name in ("finetune/evaluations.jsonl", "finetune/switch.json", "finetune/alarms.jsonl"):
        (run / name).unlink()
    for name, number in (("pretrain/metrics.jsonl", "step"), ("finetune/learner.jsonl", "update")):
        (run / name).write_text(json.dumps({number: 1, "step": 1, "td_loss": 1.0}) + "\n")
    page = write_report(run).read_text()
    assert "nobody watched the learning" in page
    assert "switch.json, which the monitor writes at the switch, is not there" in page
    assert "This run is not whole" not in page


@pytest.mark.parametrize(
    "junk", ["[]", '{"probes": 3}', '{"probes": {"a": {"before": "x"}}}', '{"probes": {"a": []}, "silent": 1}', "{"]
)
def test_a_switch_file_that_holds_something_else_is_passed_over(run, junk):
    (run / "finetune/switch.json").write_text(junk)
    assert jump(gather(run)).lacks


def test_readings_that_are_not_numbers_are_passed_over(run):
    append_line(run / "finetune/learner.jsonl", {"update": 99, "step": None, "probe/start/q_best": "high"})
    append_line(run / "finetune/learner.jsonl", {"update": 100, "probe/offline/q_mean": None, "health/share/demo": [1]})
    append_line(run / "finetune/evaluations.jsonl", {"step": "late", "successes": 3, "n": 0})
    append_line(run / "finetune/alarms.jsonl", {"value": None})
    assert "How the learning went" in write_report(run).read_text()


def test_a_phase_switch_is_parted_into_its_settings_even_where_a_value_has_commas():
    text = "phase warmup -> finetune: widths (256, 256) -> (8, 8), entropy None -> -1.5"
    assert parse_switch(text).changes == (("widths", "(256, 256)", "(8, 8)"), ("entropy", "None", "-1.5"))
    assert parse_switch("phase pretrain -> warmup: no setting changed")[1:] == ((), "no setting changed")
    assert parse_switch("something else").words == "something else"


def test_q_on_the_page_is_the_policys_own_and_the_returns_are_the_learners(whole):
    found = values(whole / "evaluate_pretrained/episodes.zarr", whole / "pretrain/checkpoint")
    policy = Policy.load(whole / "pretrain/checkpoint")
    with EpisodeStore.open(whole / "evaluate_pretrained/episodes.zarr") as store:
        episodes = list(store.episodes())
    returns = [mc_returns(e.reward, e.terminated, e.truncated, TRANSFORM) for e in episodes]
    assert np.array_equal(found.mc_return, np.concatenate(returns))
    assert found.is_exact.tolist() == [False] * 12 + [True] * 6
    for row in (0, 8, 17):
        episode, t = episodes[row // 6], row % 6
        look = Observation(0, {n: i[t] for n, i in episode.images.items()}, {n: v[t] for n, v in episode.state.items()})
        assert found.q_data[row] == pytest.approx(policy.q_value(look, episode.action[t]), abs=1e-3)


# Filmstrips.


def test_a_filmstrip_starts_at_the_first_frame_and_ends_at_the_last():
    episode = an_episode("e", 0, is_success=True, n_steps=20)
    film = filmstrip(episode, n_frames=5)
    assert film.times_s == pytest.approx((0.0, 0.5, 1.0, 1.5, 2.0))
    assert np.array_equal(film.sheet[:SIDE, :SIDE], episode.images["wrist"][0])
    assert np.array_equal(film.sheet[-SIDE:, -SIDE:], episode.images["front"][20])


def test_strips_of_short_and_long_episodes_have_one_scale():
    sheets = [filmstrip(an_episode("e", 0, is_success=True, n_steps=n)).sheet for n in (1, 4, 40)]
    assert len({sheet.shape for sheet in sheets}) == 1


def test_the_scene_shown_as_failed_before_is_the_one_shown_as_solved_after():
    before = [line(1, False), line(2, True), line(3, False)]
    first, second = choose(before, [line(1, False), line(2, True), line(3, True)])
    assert [(pick.id, pick.outcome) for pick in first] == [("e2", "success"), ("e3", "failure")]
    assert [(pick.id, pick.outcome) for pick in second] == [("e3", "success"), ("e1", "failure")]


# Runs that stopped early, or were damaged.


@pytest.mark.parametrize(
    "part",
    [
        "settings.json",
        "summary.json",
        "demos.zarr",
        "collect",
        "pretrain",
        "pretrain/metrics.jsonl",
        "evaluate_pretrained",
        "evaluate_pretrained/episodes.zarr",
        "evaluate_pretrained/episodes.jsonl",
        "finetune",
        "finetune/checkpoint",
        "finetune/learner_node.json",
        "evaluate_finetuned",
    ],
)
def test_a_part_that_is_not_there_is_named_and_the_rest_is_shown(run, part):
    path = run / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = write_report(run).read_text()
    assert re.search(r"issing[^<]*:|not whole", page)
    assert all(words in page for words in SECTIONS)


def test_an_empty_run_folder_gets_a_page_that_says_so(tmp_path):
    page = write_report(tmp_path).read_text()
    assert "Neither evaluation is in this folder" in page
    assert "data:image" not in page


def test_a_damaged_checkpoint_store_or_log_is_told_with_its_reason(run):
    weights = run / "finetune/checkpoint/weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    next((run / "evaluate_pretrained/episodes.zarr/episodes/000000/reward").glob("c*")).write_bytes(b"junk")
    (run / "summary.json").write_text("{")
    (run / "settings.json").write_bytes(b"\xff\xfe")
    (run / "evaluate_finetuned/episodes.jsonl").write_text('{"n_steps": "six"}\n[1]\n{"n_steps": 6, "seed": null}\n')
    append_line(run / "pretrain/metrics.jsonl", {"step": "soon", "td_loss": None})
    (run / "finetune/arm_node.json").write_text(json.dumps({"reasons": ["workspace"], "state": None}))
    page = write_report(run).read_text()
    assert "weights.safetensors has changed since it was written" in page
    assert "000000" in page
    assert "cannot read" in page


def test_a_folder_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match=r"there is no run folder .*nowhere"):
        write_report(tmp_path / "nowhere")


def test_ground_truth_is_drawn_where_it_was_measured(run):
    found = {"q": [-3.0, -9.0], "mean": [-4.0, -9.5], "standard_error": [0.5, 0.2], "k": 4}
    (run / "finetune" / "truth.json").write_text(json.dumps(found | {"verdict": {"bias": 0.75, "rank": 1.0}}))
    assert "bias +0.75, rank correlation 1.00" in write_report(run).read_text()
