"""A store's page: one file that needs nothing else, shows what is there, and stays small however large the store."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from o2o_robot.data.health.finding import Finding, Level
from o2o_robot.data.store import EpisodeStore
from o2o_robot.report.inspect_figures import plane, visited
from o2o_robot.report.inspect_gather import ailing, look
from o2o_robot.report.inspect_page import content, verdict, write_page
from o2o_robot.types import Episode

SCRIPT = "<script>alert(1)</script>"


def an_episode(number: int, *, n_steps: int = 8, **meta: str) -> Episode:
    """An episode of noise; the first state column of row t is number + t / 100."""
    rng = np.random.default_rng(number)
    state = rng.normal(size=(n_steps + 1, 4)).astype(np.float32)
    state[:, 0] = number + np.arange(n_steps + 1) / 100
    action = rng.uniform(-1, 1, (n_steps, 2)).astype(np.float32)
    last = np.arange(n_steps) == n_steps - 1
    return Episode(
        images={"wrist": rng.integers(0, 256, (n_steps + 1, 16, 16, 3), np.uint8)},
        state={"q_rad": state},
        stamp_ns=np.arange(n_steps + 1, dtype=np.int64) * 100_000_000,
        action=action,
        proposed=action,
        reward=last.astype(np.float32),
        terminated=last,
        truncated=~last & False,
        reasons=np.zeros(n_steps, np.uint32),
        source=np.ones(n_steps, np.uint8),
        revision=np.zeros(n_steps, np.int64),
        meta={"id": f"ep-{number}", "mode": "demo", "outcome": "success", **meta},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EpisodeStore:
    path = tmp_path_factory.mktemp("store") / "s.zarr"
    with EpisodeStore.create(path) as made:
        for number in range(30):
            made.append(an_episode(number, id=SCRIPT if number == 3 else f"ep-{number}"))
    return EpisodeStore.open(path)


@pytest.fixture(scope="module")
def page(store: EpisodeStore) -> str:
    return write_page(look(store), store.path, store.path.with_suffix(".html")).read_text()


def test_the_page_needs_no_network_and_runs_no_script(page):
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", page)
    assert "url(" not in page
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_every_shown_episode_has_its_pictures_and_every_link_a_target(store, page):
    seen = look(store)
    assert sorted(seen.cards) == list(range(30))
    assert len(re.findall(r'src="data:image/jpeg', page)) == 30
    targets = set(re.findall(r'id="([^"]+)"', page))
    assert {f"episode-{n}" for n in range(30)} <= targets
    assert set(re.findall(r'href="#([^"]+)"', page)) <= targets


def test_all_figures_are_drawn_with_a_caption(store):
    plots = content(look(store), store.path)["plots"]
    assert set(plots) == {"timeline", "timing", "actions", "states", "coverage"}
    for plot in plots.values():
        assert plot.png.startswith(b"\x89PNG")
        assert "Look for" in plot.caption


def test_the_page_of_a_large_store_samples_and_says_so(store):
    seen = look(store, sampled_steps=40, shown=5)
    assert seen.every == 6
    assert len(seen.sample.episode) == 40
    assert len(seen.cards) <= 5 + 24
    assert "From one in 6 of 240 steps" in content(seen, store.path)["plots"]["actions"].caption


def test_the_sample_is_spread_evenly_and_its_rows_belong_together(store):
    sample = look(store, sampled_steps=60).sample
    at = 8 * sample.episode + np.round(100 * (sample.state["q_rad"][:, 0] - sample.episode)).astype(int)
    assert (np.diff(at) == 4).all()
    for number, row in zip(sample.episode, range(len(at)), strict=True):
        t = at[row] - 8 * number
        np.testing.assert_array_equal(sample.action[row], an_episode(int(number)).action[t])


def test_a_store_of_mixed_layouts_is_drawn_by_its_first_and_the_others_are_named(tmp_path):
    with EpisodeStore.create(tmp_path / "m.zarr") as made:
        for number in range(4):
            episode = an_episode(number)
            wide = {"q_rad": np.ones((9, 7), np.float32) * np.arange(9, dtype=np.float32)[:, None]}
            made.append(dataclasses.replace(episode, state=wide) if number == 2 else episode)
    with EpisodeStore.open(tmp_path / "m.zarr") as mixed:
        seen = look(mixed)
        text = write_page(seen, mixed.path, tmp_path / "m.html").read_text()
    assert set(seen.sample.episode.tolist()) == {0, 1, 3}
    assert "episodes hold other fields" in text


@pytest.mark.parametrize("change", [{"images": {}}, {"state": {}}])
def test_a_store_without_cameras_or_without_state_still_has_a_page(tmp_path, change):
    with EpisodeStore.create(tmp_path / "s.zarr") as made:
        for number in range(2):
            made.append(dataclasses.replace(an_episode(number), **change))
    with EpisodeStore.open(tmp_path / "s.zarr") as bare:
        assert write_page(look(bare), bare.path, tmp_path / "s.html").stat().st_size > 10_000


def test_an_empty_store_has_a_page_that_says_so(tmp_path):
    EpisodeStore.create(tmp_path / "s.zarr").close()
    with EpisodeStore.open(tmp_path / "s.zarr") as empty:
        text = Path(write_page(look(empty), empty.path, tmp_path / "s.html")).read_text()
    assert "holds no episode" in text


def test_the_verdict_counts_faults_and_things_to_look_at():
    assert verdict(0, 0).startswith("Nothing")
    assert verdict(1, 0) == "1 fault."
    assert verdict(2, 1) == "2 faults and 1 thing to look at."


def test_of_ailing_episodes_the_gravest_come_first_and_what_all_have_counts_for_none():
    def finding(level: Level, *episodes: int) -> Finding:
        return Finding(level, "", "", episodes, "")

    found = [
        finding(Level.FAULT, 7, 2),
        finding(Level.CHECK, *range(40)),
        finding(Level.CHECK, 2, 5),
        finding(Level.NOTE, 1),
    ]
    assert ailing(found, 40, besides={7}) == [2, 5]


def test_coverage_never_falls_reaches_all_of_it_and_counts_a_repeated_episode_as_nothing_new():
    rng = np.random.default_rng(0)
    values, episode = rng.normal(size=(300, 5)), np.repeat(np.arange(6), 50)
    values[250:] = values[:50]
    numbers, share = visited(values, episode)
    assert numbers.tolist() == list(range(6))
    assert (np.diff(share) >= 0).all()
    assert share[-1] == 1.0
    assert share[4] == 1.0
    assert share[0] < 0.9


def test_the_plane_of_a_tool_shows_its_two_widest_axes():
    position = np.random.default_rng(0).normal(size=(50, 3)) * [0.01, 1.0, 0.5]
    at, names = plane({"tool_position_m": position}, position)
    np.testing.assert_array_equal(at, position[:, 1:])
    assert names == ("tool y (m)", "tool z (m)")
