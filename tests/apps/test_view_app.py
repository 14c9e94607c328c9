"""`o2o view` finds the episode it is asked for, and what it writes for Rerun is the episode."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from o2o_robot.apps.view import find, main
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError, StoreError
from o2o_robot.types import Episode


def an_episode(number: int, name: str, n_steps: int = 5) -> Episode:
    rng = np.random.default_rng(number)
    action = rng.uniform(-1, 1, (n_steps, 2)).astype(np.float32)
    last = np.arange(n_steps) == n_steps - 1
    return Episode(
        images={"wrist": rng.integers(0, 256, (n_steps + 1, 16, 16, 3), np.uint8)},
        state={"tool_position_m": rng.normal(size=(n_steps + 1, 3)).astype(np.float32)},
        stamp_ns=10**18 + np.arange(n_steps + 1, dtype=np.int64) * 100_000_000,
        action=action,
        proposed=action,
        reward=last.astype(np.float32),
        terminated=last,
        truncated=np.zeros(n_steps, np.bool_),
        reasons=np.array([0, 2, 0, 0, 0], np.uint32),
        source=np.array([0, 0, 1, 1, 0], np.uint8),
        revision=np.zeros(n_steps, np.int64),
        meta={"id": name, "outcome": "success"},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "peg.zarr"
    with EpisodeStore.create(path) as made:
        for number, name in enumerate(("a", "b", "2", "same", "same")):
            made.append(an_episode(number, name))
    return path


@pytest.mark.parametrize(("wanted", "number"), [("0", 0), ("4", 4), ("-1", 4), ("-5", 0), ("b", 1), ("2", 2)])
def test_an_episode_is_found_by_its_number_and_by_its_id(store, wanted, number):
    with EpisodeStore.open(store) as episodes:
        assert find(episodes, wanted) == number


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("5", r"holds 5 \(0 to 4\)"),
        ("-6", "holds 5"),
        ("c", "holds 5"),
        ("same", "stands for episodes 3, 4"),
        ("--", "5"),
    ],
)
def test_an_episode_that_is_not_there_is_an_error_that_says_what_is(store, wanted, said):
    with EpisodeStore.open(store) as episodes, pytest.raises(StoreError, match=said):
        find(episodes, wanted)


def test_the_mcap_is_written_and_no_viewer_is_opened(store, tmp_path, capsys):
    assert main(store, "b", mcap=tmp_path / "b.mcap") == 0
    assert (tmp_path / "b.mcap").read_bytes().startswith(b"\x89MCAP0\r\n")
    assert "Foxglove" in capsys.readouterr().out


def test_without_rerun_one_line_says_how_to_get_it(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(DataError, match="pip install rerun-sdk"):
        main(store, "0", save=tmp_path / "0.rrd")
    assert list(tmp_path.iterdir()) == []


def test_without_a_screen_a_file_is_proposed_and_nothing_is_started(store, monkeypatch):
    pytest.importorskip("rerun")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DataError, match=r"--save FILE\.rrd"):
        main(store, "0")


def test_the_rerun_file_holds_every_row_on_both_timelines(store, tmp_path):
    pytest.importorskip("rerun")
    path = tmp_path / "new" / "1.rrd"
    assert main(store, "1", save=path) == 0
    said, episode = printed(path), an_episode(1, "b")
    for entity, values in (
        ("/state/tool_position_m", episode.state["tool_position_m"]),
        ("/action", episode.action),
        ("/reward", episode.reward[:, None]),
    ):
        steps, stamps, rows = rows_of(said, entity)
        assert steps == list(range(len(values)))
        assert stamps == [str(stamp) for stamp in episode.stamp_ns[: len(values)].astype("datetime64[ns]")]
        np.testing.assert_allclose(rows, values, rtol=1e-6)
    for entity in ("/cameras/wrist", "/proposed", "/space/tool", "/space/path"):
        assert f"entity_path: {entity} " in said
    for words in ("moved by policy", "moved by teleop", "guard: workspace", "terminated, success"):
        assert words in said


def test_a_rerun_file_that_cannot_be_written_is_an_error_with_a_remedy(store, tmp_path):
    pytest.importorskip("rerun")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another place with --save"):
        main(store, "1", save=tmp_path / "file" / "1.rrd")


def printed(path: Path) -> str:
    """All that Rerun's own tool finds in the file."""
    told = subprocess.run(
        [sys.executable, "-m", "rerun", "rrd", "print", "-vvv", str(path)], capture_output=True, text=True, timeout=120
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


def rows_of(said: str, entity: str) -> tuple[list[int], list[str], list[list[float]]]:
    """Steps, stamps and values of an entity's curve, read off what Rerun's tool printed."""
    blocks = [block for block in said.split("entity_path: ") if block.startswith(f"{entity} ")]
    found = re.findall(r"┆ (\d{4}-\S+) +┆ (\d+) +┆ \[([-\d., e]+)\]", "".join(blocks))
    stamps = [str(np.datetime64(stamp, "ns")) for stamp, _, _ in found]
    return [int(step) for _, step, _ in found], stamps, [[float(v) for v in row.split(",")] for _, _, row in found]
