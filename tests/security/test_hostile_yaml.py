"""YAML from anywhere, into every reader of the house: one line, soon, and without the memory it asks for."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from test_no_code_from_data import REPO, sources

from o2o_robot.errors import O2OError

pytest.importorskip("cv2", reason="the calibration's readers need opencv")
from o2o_calibration import poses, results
from o2o_robot.apps import pretrain
from o2o_robot.data import bag
from o2o_robot.data.contract import load_contract
from o2o_robot.data.formats.table_layout import load_layout
from o2o_robot.graph_arm import laid_over
from o2o_robot.preflight.arm_names import arm_names_from_file
from o2o_robot.preflight.wanted import guard_from_file
from o2o_robot.report import gather
from o2o_robot.yamlfile import MAX_BYTES, MAX_DEPTH, PlainDumper, read_yaml
from o2o_sim import settings_file, user_model
from o2o_sim.sensor_config import SensorConfig

MB = 1 << 20


def _report(path: Path) -> None:
    """The report does not stop at a damaged file; it says so."""
    missing: list[str] = []
    gather._parameters(path, missing)
    if missing:
        raise O2OError(missing[0])


def _metadata(path: Path) -> None:
    bag._files_of_metadata(path.parent)


READERS: dict[str, Callable[[Path], object]] = {
    "o2o_robot.yamlfile": read_yaml,
    "o2o_robot.data.contract": lambda path: load_contract(str(path)),
    "o2o_robot.data.formats.table_layout": load_layout,
    "o2o_robot.data.bag": _metadata,
    "o2o_robot.apps.pretrain": lambda path: pretrain.read_settings("calql", path),
    "o2o_robot.preflight.wanted": lambda path: guard_from_file("fr3", path),
    "o2o_robot.preflight.arm_names": arm_names_from_file,
    "o2o_robot.graph_arm": lambda path: laid_over([str(path)], "arm_node"),
    "o2o_robot.report.gather": _report,
    "o2o_sim.user_model": user_model.load,
    "o2o_sim.settings_file": lambda path: settings_file.settings_from(SensorConfig, str(path), path.parent / "none"),
    "o2o_calibration.poses": lambda path: poses.read_poses(path.parent),
    "o2o_calibration.results": results.load,
}
FILE = {"o2o_calibration.poses": "poses.yaml", "o2o_robot.data.bag": "metadata.yaml"}


def laughs(n: int) -> str:
    """10^n words in n lines."""
    lines = [f"k0: &k0 [{','.join(['lol'] * 10)}]"]
    return "\n".join(lines + [f"k{i}: &k{i} [{','.join([f'*k{i - 1}'] * 10)}]" for i in range(1, n)])


HOSTILE = {
    "a billion laughs": laughs(9),
    "a loop": "a: &a [*a]",
    "merged laughs": "a: &a {x: 1}\nb: {<<: [*a, *a]}",
    "deep lists": "[" * 60_000,
    "deep mappings": "{a: " * 40_000,
    "deep blocks": "- " * 60_000,
    "deep keys": "? " * 60_000,
    "deeply closed": "[" * 5000 + "]" * 5000,
    "a huge number": "a: " + "9" * 200_000,
    "a huge number of base 60": "a: " + "1:" * 60_000 + "1",
    "a huge file": "# " + "x" * (2 * MB),
    "a huge list": "a: [" + "1," * MB + "1]",
    "an object of Python": 'a: !!python/object/apply:os.system ["touch sprung"]',
    "a name of Python": "!!python/name:os.system",
    "a module of Python": "a: !!python/module:antigravity",
    "an own tag": "!o2o {a: 1}",
    "a tagged huge number": 'a: !!int "' + "9" * 200_000 + '"',
    "a word that is no truth": "a: !!bool perhaps",
    "two documents": "a: 1\n---\nb: 2",
    "a list for a key": "[1, 2]: 3",
    "a date that is none": "a: 2020-99-99",
    "bytes": "a: \udcff\udcfe".encode("utf-8", "surrogateescape").decode("latin-1") + "\0",
    "only a word": "hello",
    "only a number": "7",
    "a list": "- 1\n- {a: 2}",
    "a cut line": "a: [1, 2",
    "tabs": "a:\n\t- b",
}
CAN_BE_READ = {"only a word", "only a number", "a list"}  # by who asks for no form


def written(folder: Path, reader: str, text: str | bytes) -> Path:
    path = folder / FILE.get(reader, "settings.yaml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(reader: str, path: Path) -> str:
    """What the reader says against a file; '' where it takes it. Any other exception is the test's failure."""
    try:
        READERS[reader](path)
    except O2OError as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("reader", READERS)
def test_hostile_yaml_is_refused_in_one_line_soon_and_in_little_memory(reader, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in HOSTILE.items():
        path = written(tmp_path, reader, text)
        tracemalloc.start()
        started_s = time.process_time()
        told = refusal(reader, path)
        taken_s, peak = time.process_time() - started_s, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert told or (name in CAN_BE_READ and reader in ("o2o_robot.yamlfile", "o2o_robot.report.gather")), name
        assert "\n" not in told, name
        assert len(told) < 1000, name
        assert taken_s < 20.0, name
        assert peak < 64 * MB, f"{name}: {peak / MB:.0f} MB"
    assert not (tmp_path / "sprung").exists()


def test_a_file_that_names_a_device_without_end_is_not_read_to_its_end(tmp_path):
    (tmp_path / "endless.yaml").symlink_to("/dev/zero")
    assert f"more than {MAX_BYTES} bytes" in refusal("o2o_robot.yamlfile", tmp_path / "endless.yaml")


def test_what_people_write_is_read(tmp_path):
    text = "a: [1, 2.5, yes]\nb: {c: 'x', d: 2026-01-02}\nlong: >\n" + "  word word\n" * 500
    known = read_yaml(written(tmp_path, "o2o_robot.yamlfile", text))
    assert (known["a"], known["b"]["c"], len(known["long"].split())) == ([1, 2.5, True], "x", 1000)
    nested = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert read_yaml(written(tmp_path, "o2o_robot.yamlfile", nested))
    assert read_yaml(written(tmp_path, "o2o_robot.yamlfile", "")) is None


def test_every_module_that_reads_yaml_is_among_the_readers():
    ours = (path for path in sources() if "tests" not in path.relative_to(REPO).parts)
    reading = {path.stem for path in ours if re.search(r"\bread_(yaml|map)\(", path.read_text())}
    assert reading == {name.rpartition(".")[2] for name in READERS}


# --- damaged: a sound file of each kind, a few bytes changed -------------------------------------------------------
SEEDS = {
    "o2o_robot.data.contract": sorted((REPO / "o2o_robot/data/contracts").glob("*.yaml"))[:1],
    "o2o_robot.preflight.wanted": [REPO / "launch/params/fr3.yaml"],
    "o2o_sim.settings_file": [REPO / "sim/o2o_sim/sensor_settings/real.yaml"],
}
WORDS = [
    b"- ",
    b": ",
    b"&a ",
    b"*a ",
    b"!!python/object:os.x ",
    b"[",
    b"{",
    b"9" * 50,
    b"\xff",
    b"\0",
    b".nan",
    b"~",
    b"\n",
]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(0, len(data)))
        word = WORDS[rng.integers(len(WORDS))] if rng.random() < 0.7 else bytes(rng.integers(0, 256, 3, np.uint8))
        data = data[:at] + word + data[at + int(rng.integers(0, 4)) :]
    return data


@pytest.mark.parametrize("reader", SEEDS)
def test_a_damaged_file_is_read_or_refused_in_one_line(reader, tmp_path):
    (seed,) = SEEDS[reader]
    assert not refusal(reader, written(tmp_path, reader, seed.read_bytes()))
    rng = np.random.default_rng(0)
    told = [refusal(reader, written(tmp_path, reader, damaged(seed.read_bytes(), rng))) for _ in range(150)]
    assert not any("\n" in each for each in told)
    assert sum(map(bool, told)) > 30, "hardly anything was damaged"


def test_what_the_house_writes_has_no_aliases():
    names = ["wrist", "front"]
    text = yaml.dump({"cameras": names, "images": names}, Dumper=PlainDumper)
    assert "*" not in text
    assert yaml.safe_load(text) == {"cameras": names, "images": names}
