"""Small recordings and datasets of every kind that is read, and what can go wrong with their bytes."""

from __future__ import annotations

import io
import json
import pickle  # to write what the restricted reader must survive; nothing here is ever loaded
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from twin_bags import STORE, TYPES, _messages, make_episode, write_twin_bag

from o2o_robot.data.bags.mcap_writer import McapEpisodeWriter

SIDE = 8
N_STEPS = 3
SIZES = [0, 1, 2**16 - 1, 2**20, 2**28, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1]


def write_seed(name: str, folder: Path) -> Path:
    """The sound recording or dataset `name`, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return SEEDS[name](folder)


def mutated_copy(seed: Path, folder: Path, rng: np.random.Generator, strangers: list[bytes]) -> Path:
    """A copy of the seed in `folder` with one file of it damaged. strangers: bytes of other files, to splice in."""
    copy = folder / seed.name
    if seed.is_file():
        copy.write_bytes(mutate(seed.read_bytes(), rng, strangers))
        return copy
    shutil.copytree(seed, copy)
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    file = files[rng.integers(len(files))]
    kind = rng.integers(12)
    if kind == 0:
        file.unlink()
    elif kind == 1:
        other = files[rng.integers(len(files))]
        content, swapped = file.read_bytes(), other.read_bytes()
        file.write_bytes(swapped)
        other.write_bytes(content)
    else:
        file.write_bytes(mutate(file.read_bytes(), rng, strangers))
    return copy


def mutate(data: bytes, rng: np.random.Generator, strangers: list[bytes]) -> bytes:
    """The bytes after one to three things went wrong with them."""
    for _ in range(rng.integers(1, 4)):
        data = MUTATIONS[rng.integers(len(MUTATIONS))](data, rng, strangers)
    return data


def _flip(data: bytes, rng: np.random.Generator, _: list[bytes]) -> bytes:
    array = np.frombuffer(data, np.uint8).copy()
    if len(array):
        array[rng.integers(len(array), size=rng.integers(1, 9))] ^= rng.integers(1, 256, dtype=np.uint8)
    return array.tobytes()


def _truncate(data: bytes, rng: np.random.Generator, _: list[bytes]) -> bytes:
    return data[: rng.integers(len(data) + 1)]


def _hostile_size(data: bytes, rng: np.random.Generator, _: list[bytes]) -> bytes:
    """A length, an offset or a count replaced: four or eight bytes, of either byte order."""
    number, at = SIZES[rng.integers(len(SIZES))], int(rng.integers(len(data) + 1))
    form = ("<I", ">I", "<Q", ">Q")[rng.integers(4)]
    packed = struct.pack(form, number & (2 ** (8 * struct.calcsize(form)) - 1))
    return data[:at] + packed + data[at + len(packed) :]


def _small_change(data: bytes, rng: np.random.Generator, _: list[bytes]) -> bytes:
    """A number that is nearly right: more likely to pass the first checks than any other."""
    array = np.frombuffer(data, np.uint8).copy()
    if len(array):
        at = rng.integers(len(array))
        array[at : at + 1] += rng.choice(np.array([1, 255], np.uint8))  # of an array it wraps
    return array.tobytes()


def _digits(data: bytes, rng: np.random.Generator, _: list[bytes]) -> bytes:
    """As _hostile_size, of numbers written as text (JSON, pickles of protocol 0)."""
    at = [i for i, byte in enumerate(data[:20_000]) if 48 <= byte <= 57]
    if not at:
        return data
    start = stop = at[rng.integers(len(at))]
    while stop < len(data) and 48 <= data[stop] <= 57:
        stop += 1
    text = rng.choice(np.array(["-1", "1e999", "99999999999", "null", '"x"', "[]", "0", "18446744073709551616"]))
    return data[:start] + str(text).encode() + data[stop:]


def _cut_out(data: bytes, rng: np.random.Generator, _: list[bytes]) -> bytes:
    start, stop = sorted(rng.integers(len(data) + 1, size=2))
    return data[:start] + data[min(stop, start + 4096) :]


def _duplicate(data: bytes, rng: np.random.Generator, _: list[bytes]) -> bytes:
    start, stop = sorted(rng.integers(len(data) + 1, size=2))
    return data[:stop] + data[start:]


def _reorder(data: bytes, rng: np.random.Generator, _: list[bytes]) -> bytes:
    a, b, c = sorted(rng.integers(len(data) + 1, size=3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def _splice(data: bytes, rng: np.random.Generator, strangers: list[bytes]) -> bytes:
    other = strangers[rng.integers(len(strangers))]
    return data[: rng.integers(len(data) + 1)] + other[rng.integers(len(other) + 1) :]


MUTATIONS: tuple[Callable[[bytes, np.random.Generator, list[bytes]], bytes], ...] = (
    _flip, _truncate, _hostile_size, _hostile_size, _small_change, _small_change, _digits, _cut_out, _duplicate,
    _reorder, _splice,
)  # fmt: skip


def damaged_messages(folder: Path, rng: np.random.Generator, strangers: list[bytes]) -> Path:
    """A sound MCAP around messages of which some are damaged: what checksums would keep from the decoders."""
    held = _cdr_messages()
    for i in rng.integers(len(held), size=rng.integers(1, 4)):
        stamp_ns, topic, cdr = held[i]
        held[i] = (stamp_ns, topic, mutate(cdr, rng, strangers))
    with McapEpisodeWriter(folder / "messages.mcap", compression="none") as writer:
        for topic, kind in TYPES.items():
            writer.register(f"/{topic}", kind, _definition(kind))
        for stamp_ns, topic, cdr in held:
            writer.write(f"/{topic}", cdr, log_time_ns=stamp_ns, publish_time_ns=stamp_ns)
    return folder / "messages.mcap"


_CDR: list[tuple[int, str, bytes]] = []
_DEFINITIONS: dict[str, str] = {}


def _cdr_messages() -> list[tuple[int, str, bytes]]:
    if not _CDR:
        for stamp_ns, topic, _, message in _messages(make_episode(0, n_steps=N_STEPS, side=SIDE)):
            _CDR.append((int(stamp_ns), topic, bytes(STORE.serialize_cdr(message, TYPES[topic]))))
    return list(_CDR)


def _definition(kind: str) -> str:
    if kind not in _DEFINITIONS:
        _DEFINITIONS[kind] = STORE.generate_msgdef(kind, ros_version=2)[0]
    return _DEFINITIONS[kind]


def _mcap(folder: Path) -> Path:
    return write_twin_bag(folder / "twin.mcap", make_episode(0, n_steps=N_STEPS, side=SIDE))


def _mcap_plain(folder: Path) -> Path:
    with McapEpisodeWriter(folder / "plain.mcap", compression="none") as writer:
        for topic, kind in TYPES.items():
            writer.register(f"/{topic}", kind, _definition(kind))
        for stamp_ns, topic, cdr in _cdr_messages():
            writer.write(f"/{topic}", cdr, log_time_ns=stamp_ns, publish_time_ns=stamp_ns)
    plain = folder / "plain.mcap"
    plain.write_bytes(_without_checksums(plain.read_bytes()))
    return plain


def _without_checksums(data: bytes) -> bytes:
    """An MCAP whose chunks state no checksum, so that damage reaches what reads them."""
    out, at = bytearray(data), 8
    while at + 9 <= len(out):
        op, length = struct.unpack_from("<BQ", out, at)
        if op == 0x06:
            struct.pack_into("<I", out, at + 9 + 24, 0)
        at += 9 + length
    return bytes(out)


def _mcap_zstd_file(folder: Path) -> Path:
    import zstandard

    packed = folder / "twin.mcap.zstd"
    packed.write_bytes(zstandard.compress(_mcap(folder).read_bytes()))
    return packed


def _db3(folder: Path) -> Path:
    from rosbags.rosbag2 import StoragePlugin, Writer

    bag = folder / "bag"
    with Writer(bag, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connections = {
            topic: writer.add_connection(f"/{topic}", kind, msgdef=_definition(kind), rihs01=STORE.hash_rihs01(kind))
            for topic, kind in TYPES.items()
        }
        for stamp_ns, topic, cdr in _cdr_messages():
            writer.write(connections[topic], stamp_ns, cdr)
    return bag


def _db3_zstd(folder: Path) -> Path:
    import zstandard

    bag = _db3(folder)
    (file,) = bag.glob("*.db3")
    file.with_suffix(".db3.zstd").write_bytes(zstandard.compress(file.read_bytes()))
    metadata = (bag / "metadata.yaml").read_text().replace(file.name, f"{file.name}.zstd")
    metadata = metadata.replace("compression_format: ''", "compression_format: zstd")
    (bag / "metadata.yaml").write_text(metadata.replace("compression_mode: ''", "compression_mode: FILE"))
    file.unlink()
    return bag


def _hdf5(folder: Path) -> Path:
    import h5py

    rng = np.random.default_rng(0)
    with h5py.File(folder / "demos.hdf5", "w") as file:
        for i in range(2):
            demo = file.create_group(f"data/demo_{i}")
            demo.attrs["num_samples"] = 4
            demo["actions"] = rng.uniform(-1, 1, (4, 3)).astype(np.float32)
            demo["rewards"] = np.array([0, 0, 0, 1.0])
            demo["dones"] = np.array([0, 0, 0, 1])
            for name in ("obs", "next_obs"):
                demo[f"{name}/joint_pos"] = rng.normal(size=(4, 5)).astype(np.float32)
                demo[f"{name}/agentview_image"] = rng.integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)
        file["data"].attrs["total"] = 8
        file["data"].attrs["env_args"] = json.dumps({"env_name": "Lift", "type": 1, "env_kwargs": {}})
    return folder / "demos.hdf5"


def _transitions(n: int) -> list[dict]:
    rng = np.random.default_rng(0)
    seen = [
        {
            "state": rng.normal(size=(1, 5)).astype(np.float32),
            "wrist": rng.integers(0, 256, (1, SIDE, SIDE, 3), np.uint8),
        }
        for _ in range(n + 1)
    ]
    return [
        {
            "observations": seen[i],
            "next_observations": seen[i + 1],
            "actions": rng.uniform(-1, 1, 3).astype(np.float32),
            "rewards": float(i == n - 1),
            "masks": float(i != n - 1),
            "dones": i == n - 1,
        }
        for i in range(n)
    ]


def _pickle(folder: Path) -> Path:
    (folder / "demos.pkl").write_bytes(pickle.dumps(_transitions(4), protocol=4))
    return folder / "demos.pkl"


def _zarr(folder: Path) -> Path:
    import zarr

    rng = np.random.default_rng(0)
    root = zarr.open_group(str(folder / "replay.zarr"), mode="w", zarr_format=2)
    columns = {
        "action": rng.uniform(-1, 1, (8, 3)).astype(np.float32),
        "agent_pos": rng.normal(size=(8, 5)).astype(np.float32),
        "img": rng.integers(0, 256, (8, SIDE, SIDE, 3), np.uint8),
    }
    for name, values in columns.items():
        root.create_array(f"data/{name}", data=values, chunks=(4, *values.shape[1:]))
    root.create_array("meta/episode_ends", data=np.array([4, 8], np.int64))
    return folder / "replay.zarr"


def _zarr_zip(folder: Path) -> Path:
    root = _zarr(folder)
    with zipfile.ZipFile(folder / "replay.zarr.zip", "w", zipfile.ZIP_STORED) as packed:
        for file in sorted(path for path in root.rglob("*") if path.is_file()):
            packed.write(file, file.relative_to(root).as_posix())
    return folder / "replay.zarr.zip"


def _lerobot(folder: Path) -> Path:
    """LeRobot v2.1 with an embedded picture, two episodes of five rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = folder / "lerobot"
    (root / "meta").mkdir(parents=True)
    (root / "data" / "chunk-000").mkdir(parents=True)
    vector = {"dtype": "float32", "names": None}
    scalar = {"shape": [1], "names": None}
    features = {
        "observation.state": {**vector, "shape": [5]},
        "action": {**vector, "shape": [3]},
        "observation.images.wrist": {"dtype": "image", "shape": [SIDE, SIDE, 3], "names": None},
        "timestamp": {"dtype": "float32", **scalar},
        **{name: {"dtype": "int64", **scalar} for name in ("frame_index", "episode_index", "index", "task_index")},
    }
    info = {
        "codebase_version": "v2.1", "robot_type": "arm", "fps": 10, "total_episodes": 2, "total_frames": 10,
        "total_tasks": 1, "total_videos": 0, "total_chunks": 1, "chunks_size": 1000, "splits": {"train": "0:2"},
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet", "video_path": None,
        "features": features,
    }  # fmt: skip
    (root / "meta" / "info.json").write_text(json.dumps(info))
    episodes = [{"episode_index": i, "tasks": ["reach"], "length": 5} for i in range(2)]
    (root / "meta" / "episodes.jsonl").write_text("".join(json.dumps(each) + "\n" for each in episodes))
    (root / "meta" / "tasks.jsonl").write_text(json.dumps({"task_index": 0, "task": "reach"}) + "\n")
    rng = np.random.default_rng(0)
    for i in range(2):
        columns = {
            "observation.state": pa.array(list(rng.normal(size=(5, 5)).astype(np.float32))),
            "action": pa.array(list(rng.normal(size=(5, 3)).astype(np.float32))),
            "observation.images.wrist": pa.array([{"bytes": _png(rng), "path": f"{row}.png"} for row in range(5)]),
            "timestamp": pa.array(np.arange(5, dtype=np.float32) / 10),
            "frame_index": pa.array(np.arange(5)),
            "episode_index": pa.array(np.full(5, i)),
            "index": pa.array(np.arange(5) + 5 * i),
            "task_index": pa.array(np.zeros(5, np.int64)),
        }
        pq.write_table(pa.table(columns), root / "data" / "chunk-000" / f"episode_{i:06d}.parquet")
    return root


def _png(rng: np.random.Generator) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


SEEDS: dict[str, Callable[[Path], Path]] = {
    "mcap": _mcap,
    "mcap without checksums": _mcap_plain,
    "mcap.zstd": _mcap_zstd_file,
    "db3": _db3,
    "db3.zstd": _db3_zstd,
    "hdf5": _hdf5,
    "pickle": _pickle,
    "zarr v2": _zarr,
    "zarr v2 zip": _zarr_zip,
    "lerobot": _lerobot,
}
