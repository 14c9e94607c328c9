"""The lerobot package itself, in an environment of its own, opens what we export; and we open what it records."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from lerobot_examples import an_own_episode

from o2o_robot.data.formats import Wishes, open_dataset
from o2o_robot.data.formats.lerobot_columns import raw_action
from o2o_robot.data.formats.lerobot_export import Pictures, export
from o2o_robot.data.store import EpisodeStore

ROOT = Path(__file__).parents[3]
PEER = Path(os.environ.get("O2O_LEROBOT", ROOT / ".venv-lerobot")) / "bin" / "python"
SCRIPT = Path(__file__).with_name("lerobot_peer.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PEER.exists(), reason=f"lerobot's environment {PEER.parents[1]} is absent; make it with `make lerobot`"
    ),
]


def _peer(*arguments: str | Path, home: Path) -> None:
    settings = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "HF_LEROBOT_HOME": str(home)}
    settings.pop("PYTHONPATH", None)
    command = [str(each) for each in (PEER, SCRIPT, *arguments)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("pictures", ["png", "video"])
def test_lerobot_reads_what_was_exported(pictures: Pictures, tmp_path: Path):
    episodes = [an_own_episode(n, seed=i, end=end) for i, (n, end) in enumerate(((6, "terminated"), (4, "truncated")))]
    with EpisodeStore.create(tmp_path / "store.zarr") as store:
        for episode in episodes:
            store.append(episode)
    export(EpisodeStore.open(tmp_path / "store.zarr"), tmp_path / "out", pictures=pictures)
    _peer("read", tmp_path / "out", tmp_path / "found.npz", home=tmp_path / "home")
    found = np.load(tmp_path / "found.npz")
    assert found["n_episodes"] == 2
    assert found["task"].tolist() == ["task 0"] * 6 + ["task 1"] * 4
    assert found["next.terminated"].tolist() == [False] * 5 + [True] + [False] * 4
    assert found["next.truncated"].tolist() == [False] * 9 + [True]
    action = np.concatenate([raw_action(episode) for episode in episodes])
    np.testing.assert_array_equal(found["action"], action)
    np.testing.assert_array_equal(found["batch_action"], action[found["batch_index"]])
    np.testing.assert_allclose(found["stats/action"], action.mean(axis=0), rtol=1e-4)
    np.testing.assert_array_equal(found["action_chunk"][:5, 1], action[1:6])
    assert found["action_is_pad"][:, 1].tolist() == [False] * 5 + [True] + [False] * 3 + [True]
    stamps = np.concatenate([episode.stamp_ns[:-1] for episode in episodes])
    np.testing.assert_array_equal(found["o2o.stamp_ns"], stamps)
    for camera in episodes[0].images:
        sent = np.concatenate([episode.images[camera][:-1] for episode in episodes])
        seen = found[f"observation.images.{camera}"].transpose(0, 2, 3, 1) * 255
        assert np.abs(seen - sent).mean() < (1e-3 if pictures == "png" else 4.0)  # its decoder smears colours


def test_what_lerobot_records_is_read(tmp_path: Path):
    _peer("record", tmp_path / "recorded", home=tmp_path / "home")
    dataset = open_dataset(tmp_path / "recorded")
    assert dataset is not None
    assert len(dataset) == 2
    for number, n_rows in enumerate((6, 4)):
        episode = dataset.read(number, Wishes(), dataset.action_range())
        assert len(episode) == (n_rows if number == 1 else n_rows - 1)  # the success keeps its last row
        assert bool(episode.terminated[-1]) is (number == 1)
        assert episode.meta["task"] == f"task {number}"
        np.testing.assert_array_equal(episode.state["state"][:n_rows, 0], np.arange(n_rows))
        wanted = np.array([[40 + 20 * t, 100, 50 + 60 * number] for t in range(n_rows)])
        np.testing.assert_array_equal(episode.images["still"][:n_rows, 10, 10], wanted)
        assert np.abs(episode.images["film"][:n_rows].mean(axis=(1, 2)) - wanted).max() < 5
