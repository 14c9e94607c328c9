"""The export story: one command, a store, and a file or folder that others read."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from episode_examples import an_episode

from o2o_robot.apps.export import main
from o2o_robot.data.episode import digest
from o2o_robot.data.formats import Wishes, open_dataset
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, DataError

NEEDS = {"robomimic": "h5py", "lerobot": "pyarrow"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with EpisodeStore.create(tmp_path / "s.zarr") as made:
        for seed in range(3):
            meta = {"id": f"ep-{seed}", "task": "peg"}
            made.append(an_episode(5 + seed, seed=seed, side=16, end="terminated", meta=meta))
    return tmp_path / "s.zarr"


@pytest.mark.parametrize("to", NEEDS)
def test_a_store_that_is_exported_opens_again_with_the_same_steps(
    to: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(NEEDS[to], reason="pip install 'o2o_robot[formats]'")
    out = tmp_path / ("out.hdf5" if to == "robomimic" else "out")
    assert main(store, to=to, out=out, pictures="video" if to == "robomimic" else "png") == 0  # type: ignore[arg-type]
    assert "3 episodes, 18 steps" in capsys.readouterr().out
    dataset = open_dataset(out)
    assert dataset is not None
    with EpisodeStore.open(store) as episodes:
        for number, episode in enumerate(episodes.episodes()):
            back = dataset.read(number, Wishes(image_side=16), dataset.action_range())
            assert np.array_equal(back.terminated, episode.terminated)
            assert digest(back) == digest(episode)


def test_what_is_there_is_never_written_over(store: Path, tmp_path: Path) -> None:
    pytest.importorskip("h5py", reason="pip install 'o2o_robot[formats]'")
    out = tmp_path / "out.hdf5"
    out.write_text("mine")
    with pytest.raises(DataError, match="exists"):
        main(store, to="robomimic", out=out)
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("to", "options", "told"),
    [
        ("robomimic", {"fps": 10}, "--fps means nothing"),
        ("robomimic", {"pictures": "png"}, "--pictures means nothing"),
        ("robomimic", {"valid": 1.0}, "--valid must be"),
        ("lerobot", {"valid": 0.1}, "--valid means nothing"),
        ("lerobot", {"fps": 0}, "--fps must be"),
    ],
)
def test_an_option_out_of_range_or_of_the_other_format_is_refused(
    to: str, options: dict, told: str, store: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        main(store, to=to, out=tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_missing_library_is_one_line(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"pip install 'o2o_robot\[formats\]'"):
        main(store, to="robomimic", out=tmp_path / "out.hdf5")
