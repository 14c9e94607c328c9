"""HDF5 from strangers: nothing outside the file is read, and no size is believed before it is checked."""

import struct
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from robomimic_files import N_ROWS, demo, write

from o2o_robot.data.formats import Wishes, open_dataset
from o2o_robot.errors import DataError

h5py = pytest.importorskip("h5py", reason="pip install 'o2o_robot[formats]'")

KEY = "data/demo_0/obs/robot0_eef_pos"
WISHES = Wishes(image_side=16)


def read(path: Path) -> None:
    dataset = open_dataset(path)
    assert dataset is not None
    dataset.read(0, WISHES, dataset.action_range())


def replaced(make: Callable[[Any, Path], None]) -> Callable[[Path], None]:
    """A change of the file in which `make` puts something in the place of KEY."""

    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            del file[KEY]
            make(file, path.parent)

    return change


def _external_link(file: Any, folder: Path) -> None:
    write(folder / "other.hdf5", {"demo_0": demo()})
    file[KEY] = h5py.ExternalLink("other.hdf5", KEY)


def _soft_link_through_external(file: Any, folder: Path) -> None:
    write(folder / "other.hdf5", {"demo_0": demo()})
    file["elsewhere"] = h5py.ExternalLink("other.hdf5", "/")
    file[KEY] = h5py.SoftLink(f"/elsewhere/{KEY}")


def _external_group(file: Any, folder: Path) -> None:
    write(folder / "other.hdf5", {"demo_0": demo()})
    del file["data/demo_0/obs"]
    file["data/demo_0/obs"] = h5py.ExternalLink("other.hdf5", "data/demo_0/obs")


def _virtual(file: Any, folder: Path) -> None:
    write(folder / "other.hdf5", {"demo_0": demo()})
    layout = h5py.VirtualLayout((N_ROWS, 3), "f8")
    layout[...] = h5py.VirtualSource(str(folder / "other.hdf5"), KEY, shape=(N_ROWS, 3))
    file.create_virtual_dataset(KEY, layout)


def _external_storage(file: Any, folder: Path) -> None:
    secret = folder / "secret"
    secret.write_bytes(bytes(N_ROWS * 24))
    file.create_dataset(KEY, (N_ROWS, 3), "f8", external=[(str(secret), 0, N_ROWS * 24)])


def _references(file: Any, folder: Path) -> None:
    file.create_dataset(KEY, data=np.array([file["data"].ref] * N_ROWS, dtype=h5py.ref_dtype))


def _compound(file: Any, folder: Path) -> None:
    file.create_dataset(KEY, data=np.zeros(N_ROWS, [("a", "f8"), ("b", "i4")]))


def _text(file: Any, folder: Path) -> None:
    file.create_dataset(KEY, data=["x"] * N_ROWS)


def _gigabytes(file: Any, folder: Path) -> None:
    file.create_dataset(KEY, (N_ROWS, 2**34), "f8", chunks=(1, 2**20))


def _gigabytes_packed(file: Any, folder: Path) -> None:
    made = file.create_dataset(KEY, (N_ROWS, 2**27), "u1", chunks=(1, 2**27), compression="gzip")
    made.id.write_direct_chunk((0, 0), zlib.compress(bytes(2**20)))


def _missing_chunks(file: Any, folder: Path) -> None:
    made = file.create_dataset(KEY, (N_ROWS, 3), "f8", chunks=(1, 3))
    made[:3] = 1.0


def _bomb(file: Any, folder: Path) -> None:
    made = file.create_dataset(KEY, (N_ROWS, 3), "f8", chunks=(N_ROWS, 3), compression="gzip")
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(60)) + packer.flush()
    made.id.write_direct_chunk((0, 0), packed)


def _twice_packed(file: Any, folder: Path) -> None:
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((N_ROWS, 3))
    settings.set_deflate(9)
    settings.set_shuffle()
    settings.set_deflate(9)
    space = h5py.h5s.create_simple((N_ROWS, 3))
    h5py.h5d.create(file.id, b"twice", h5py.h5t.NATIVE_DOUBLE, space, settings)
    file[KEY] = file["twice"]
    file[KEY][...] = 0.0


def _other_filter(file: Any, folder: Path) -> None:
    file.create_dataset(KEY, data=np.zeros((N_ROWS, 3)), compression="lzf")


def _many_rows(file: Any, folder: Path) -> None:
    file.create_dataset(KEY, (2**40, 3), "u1", chunks=(2**20, 3), compression="gzip")


def _group_for_array(file: Any, folder: Path) -> None:
    file.create_group(KEY)


def _array_for_group(file: Any, folder: Path) -> None:
    del file["data/demo_0/obs"]
    file["data/demo_0/obs"] = np.zeros(3)


def _long_attribute(file: Any, folder: Path) -> None:
    file["data/demo_0"].attrs["o2o_robot"] = "x" * (2 << 20)


def _broken_mark(file: Any, folder: Path) -> None:
    file["data/demo_0"].attrs["o2o_robot"] = "[" * 100_000


def _mark_without_arrays(file: Any, folder: Path) -> None:
    file["data/demo_0"].attrs["o2o_robot"] = '{"meta": {}, "cameras": [], "state": ["robot0_eef_pos"]}'
    for name in ("terminated", "truncated"):
        file[f"data/demo_0/{name}"] = np.zeros(N_ROWS)


def _array_attribute(file: Any, folder: Path) -> None:
    file["data/demo_0"].attrs["num_samples"] = np.arange(5)


def _reference_attribute(file: Any, folder: Path) -> None:
    file["data/demo_0"].attrs.create("num_samples", file["data"].ref, dtype=h5py.ref_dtype)


HOSTILE = {
    _external_link: "ExternalLink",
    _soft_link_through_external: "SoftLink",
    _external_group: "ExternalLink",
    _virtual: "other files",
    _external_storage: "other files",
    _references: "neither integers nor floats",
    _compound: "neither integers nor floats",
    _text: "neither integers nor floats",
    _gigabytes: "but 0 are stored",
    _gigabytes_packed: "but [0-9]+ are stored",
    _missing_chunks: "3 of its 6 chunks",
    _bomb: "unpacks to more",
    _twice_packed: "filters",
    _other_filter: "filters",
    _many_rows: "rows",
    _group_for_array: "expected an array",
    _array_for_group: "expected a group",
    _long_attribute: "bytes",
    _broken_mark: "damaged",
    _mark_without_arrays: "no 'proposed'",
    _array_attribute: "not one number",
    _reference_attribute: "not one number",
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__.strip("_"))
def test_a_hostile_file_is_refused_in_one_line_with_little_memory(
    make: Callable[[Any, Path], None], tmp_path: Path
) -> None:
    path = write(tmp_path / "a.hdf5", {"demo_0": demo()})
    replaced(make)(path)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=HOSTILE[make]) as refusal:
            read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(refusal.value)
    assert peak < 32 << 20


def test_a_file_of_other_bytes_a_folder_and_a_file_without_demonstrations_are_told(tmp_path: Path) -> None:
    other = tmp_path / "a.hdf5"
    other.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="not an HDF5 file"):
        open_dataset(other)
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        file["x"] = 1
    with pytest.raises(DataError, match="has no 'data'"):
        open_dataset(tmp_path / "b.hdf5")
    (tmp_path / "c.hdf5").mkdir()
    assert open_dataset(tmp_path / "c.hdf5") is None


def test_a_heap_that_libhdf5_would_walk_for_ever_is_refused_before_it_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.hdf5", {"demo_0": demo()})
    assert open_dataset(path) is not None
    whole = bytearray(path.read_bytes())
    at = whole.index(b"GCOL") + 16
    index = struct.unpack_from("<H6xQ", whole, at)
    assert index[0] == 1  # the text of env_args
    whole[at : at + 16] = bytes(16)
    path.write_bytes(whole)
    with pytest.raises(DataError, match="heap at byte"):
        open_dataset(path)


def test_a_number_too_large_for_float32_is_refused_without_a_warning(tmp_path: Path) -> None:
    huge = {"obs/robot0_eef_pos": np.full((N_ROWS, 3), 1e300)}
    path = write(tmp_path / "a.hdf5", {"demo_0": demo() | huge})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="not finite"):
            read(path)


def test_changed_bytes_give_an_episode_or_a_data_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.hdf5", {"demo_0": demo(), "demo_1": demo()}, compression="gzip")
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    n_refused = 0
    for _ in range(150):
        changed = bytearray(whole)
        for place in rng.integers(0, len(whole), 6):
            changed[place] = rng.integers(0, 256)
        path.write_bytes(changed[: rng.integers(1, len(whole))] if rng.random() < 0.2 else changed)
        try:
            read(path)
        except DataError:
            n_refused += 1
    assert 20 < n_refused < 150
