"""Which format a path is: each recognises its own, and a library that is not installed is one line."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from o2o_robot.data.formats import MODULES, format_of, is_dataset, open_dataset
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError

LIBRARIES = ("h5py", "pyarrow", "av", "cv2", "imagecodecs", "torch")


def _lerobot(folder: Path) -> Path:
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "info.json").write_text('{"codebase_version": "v3.0", "features": {}}')
    return folder


def _hdf5(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "low_dim.hdf5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    return path


def _replay_buffer(folder: Path) -> Path:
    root = zarr.open_group(str(folder), mode="w", zarr_format=2)
    root.create_array("meta/episode_ends", data=np.array([3]))
    return folder


def _pickles(folder: Path) -> Path:
    folder.mkdir()
    (folder / "demos.pkl").write_bytes(pickle.dumps([]))
    return folder


def _records(folder: Path) -> Path:
    folder.mkdir()
    (folder / "arm-train.tfrecord-00000-of-00001").write_bytes(b"")
    (folder / "features.json").write_text("{}")
    return folder


def _table(folder: Path) -> Path:
    folder.mkdir()
    np.save(folder / "run.npy", np.zeros((3, 2)))
    (folder / "layout.yaml").write_text("name: arm")
    return folder


MAKE = {
    "lerobot": _lerobot,
    "robomimic": _hdf5,
    "diffusion_policy": _replay_buffer,
    "hilserl": _pickles,
    "rlds": _records,
    "table": _table,
}


@pytest.mark.parametrize("module", MODULES)
def test_a_dataset_is_recognised_by_its_own_format_alone(module: str, tmp_path: Path) -> None:
    path = MAKE[module](tmp_path / "it")
    found = format_of(path)
    assert found is not None
    assert found.open.__module__.endswith(f".{module}")
    others = [name for name in MODULES if name != module]
    modules = [__import__(f"o2o_robot.data.formats.{name}", fromlist=["FORMAT"]) for name in others]
    assert not any(each.FORMAT.recognises(path) for each in modules)


def test_stores_bags_and_what_is_not_there_are_no_foreign_dataset(tmp_path: Path) -> None:
    EpisodeStore.create(tmp_path / "own.zarr").close()
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "metadata.yaml").write_text("")
    (tmp_path / "a.mcap").write_bytes(b"\x89MCAP0\r\n")
    for name in ("own.zarr", "bag", "a.mcap", "missing", "missing.hdf5", "missing.zarr.zip", "missing.pkl"):
        assert not is_dataset(tmp_path / name)
        assert open_dataset(tmp_path / name) is None


def test_a_library_that_is_not_installed_is_one_line_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _hdf5(tmp_path / "it")
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert is_dataset(path)
    with pytest.raises(DataError, match=r"needs h5py; pip install 'o2o_robot\[formats\]'"):
        open_dataset(path)


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = _pickles(tmp_path / "it")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"cannot be opened \(Permission denied\)"):
        open_dataset(path)


def test_every_format_is_recognised_where_none_of_the_libraries_is_installed() -> None:
    code = "\n".join(
        [
            "import sys",
            f"sys.modules.update(dict.fromkeys({LIBRARIES!r}))",
            "from pathlib import Path",
            "from o2o_robot.data.formats import is_dataset",
            "assert not is_dataset(Path('missing.hdf5'))",
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
