"""No file and no message becomes code: whatever could do that is searched for, and found only where it is named."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
FOLDERS = ("o2o_robot", "sim", "calibration", "ros_ws/src", "launch", "benchmarks", "scripts", "tests")

MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "hickle"}
CALLS = {
    *("eval", "exec", "compile", "__import__"),
    *("builtins.eval", "builtins.exec", "os.system", "os.popen", "os.execv", "os.spawnl", "tempfile.mktemp"),
    *("torch.load", "torch.hub.load", "torch.jit.load", "torch.package", "pandas.read_pickle", "numpy.core.multiarray"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.safe_load", "yaml.safe_load_all"),
    *("yaml.compose", "yaml.compose_all", "subprocess.getoutput", "subprocess.getstatusoutput"),
}
ARGUMENTS = {"shell": True, "allow_pickle": True, "weights_only": False}  # keyword -> the value that is not allowed

ALLOWED = {
    "o2o_robot/yamlfile.py": {"yaml.load"},  # the one reader: checks first, plain types only
    # these write what the readers must survive; none of it is loaded
    "tests/data/hostile_recordings.py": {"pickle"},
    "tests/apps/test_replay_tracking.py": {"allow_pickle"},
    "tests/data/formats/test_formats.py": {"pickle", "__import__"},
    "tests/data/formats/test_hilserl.py": {"pickle"},
    "tests/data/formats/test_restricted_pickle.py": {"pickle", "eval", "exec", "os.system", "__import__"},
    "tests/robot/test_realsense.py": {"__import__"},  # to make an import fail
    "tests/data/formats/test_table.py": {"pickle", "allow_pickle"},
}
TESTS_READ_YAML = {"yaml.safe_load"}  # of files that the test, or this repository, has written


def sources() -> list[Path]:
    found = [path for folder in FOLDERS for path in sorted((REPO / folder).rglob("*.py"))]
    return [path for path in found if not {"build", "install", "__pycache__"} & set(path.relative_to(REPO).parts)]


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or an attribute; '' of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def names_of(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for: np -> numpy, load -> torch.load."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {each.asname: each.name for each in node.names if each.asname}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            known |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return known


def is_refused(keyword: ast.keyword) -> bool:
    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
    return keyword.arg in ARGUMENTS and value is ARGUMENTS[keyword.arg]


@lru_cache
def found_in(text: str) -> tuple[str, ...]:
    """Every word of a source by which data could become code."""
    return tuple(search(text))


def search(text: str) -> Iterator[str]:
    tree = ast.parse(text)
    known = names_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield node.module or ""
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            first, *rest = dotted(node).split(".")
            name = ".".join([known.get(first, first), *rest])
            if name in CALLS:
                yield name
        elif isinstance(node, ast.keyword) and is_refused(node):
            yield str(node.arg)


def trespasses(path: Path) -> set[str]:
    place = path.relative_to(REPO).as_posix()
    allowed = ALLOWED.get(place, set()) | (TESTS_READ_YAML if place.startswith("tests/") else set())
    return set(found_in(path.read_text())) - allowed


def test_nothing_in_the_tree_turns_data_into_code_but_where_it_is_named():
    found = {path.relative_to(REPO).as_posix(): bad for path in sources() if (bad := trespasses(path))}
    assert found == {}


def test_every_exception_that_is_named_is_still_needed():
    unused = {place for place, names in ALLOWED.items() if not names <= set(found_in((REPO / place).read_text()))}
    assert unused == set()


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "def later():\n    import marshal",
        "eval(text)",
        "run = exec",
        "import os\nos.system('ls')",
        "import torch as t\nt.load(path)",
        "from torch import load\nload(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "from yaml import safe_load as read\nread(text)",
        "subprocess.run(words, shell=True)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_search_sees_it(text):
    assert found_in(text)


@pytest.mark.parametrize("text", ["model.eval()", "re.compile('a')", "np.load(path)", "json.load(f)", "pickled = 1"])
def test_the_search_does_not_cry_wolf(text):
    assert not found_in(text)
