"""What we export opens with the robomimic package itself, which runs in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from episode_examples import an_episode

from o2o_robot.data.formats.robomimic_export import export
from o2o_robot.data.store import EpisodeStore

pytest.importorskip("h5py", reason="pip install 'o2o_robot[formats]'")
ROOT = Path(__file__).parents[3]
PEER = Path(os.environ.get("O2O_ROBOMIMIC", ROOT / ".venv-robomimic")) / "bin" / "python"
READER = Path(__file__).with_name("robomimic_reader.py")

pytestmark = pytest.mark.skipif(
    not PEER.exists(), reason=f"robomimic's environment {PEER.parents[1]} is absent; make it with `make robomimic`"
)


def test_robomimic_reads_every_step_and_the_split_of_an_exported_store(tmp_path: Path) -> None:
    episodes = [an_episode(4 + i, seed=i, side=16, end="terminated" if i % 2 else "truncated") for i in range(4)]
    with EpisodeStore.create(tmp_path / "s.zarr") as store:
        for episode in episodes:
            store.append(episode)
        path = export(store, tmp_path / "s.hdf5", valid=0.25, rng=np.random.default_rng(0)).path
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "_ROS"))}
    done = subprocess.run(
        [PEER, READER, path], capture_output=True, text=True, env=environment, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    read = json.loads(done.stdout.splitlines()[-1])
    steps = [(e, t) for e in episodes for t in range(len(e))]
    assert len(read["rows"]) == len(steps)
    for row, (episode, t) in zip(read["rows"], steps, strict=True):
        assert np.array_equal(np.float32(row["action"]), episode.action[t])
        assert np.array_equal(np.float32(row["q_rad"]), episode.state["q_rad"][t])
        assert np.array_equal(np.float32(row["next_q_rad"]), episode.state["q_rad"][t + 1])
        assert row["pixel"] == episode.images["wrist"][t, 0, 0, 0]
        assert row["next_pixel"] == episode.images["wrist"][t + 1, 0, 0, 0]
        assert (row["reward"], row["terminated"], row["truncated"]) == (
            episode.reward[t],
            episode.terminated[t],
            episode.truncated[t],
        )
    assert read["n_train"] + read["n_valid"] == len(steps)
    assert read["is_gym"]
