"""The rings of the house: an outer ring imports inner rings, never back; heavy libraries stay in their rooms.

Reads the source, imports nothing of ours, so it runs on a machine with neither torch nor ROS.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
PACKAGES = {
    "o2o_robot": REPO / "o2o_robot",
    "o2o_sim": REPO / "sim" / "o2o_sim",
    "o2o_calibration": REPO / "calibration" / "o2o_calibration",
    "o2o_nodes": REPO / "ros_ws" / "src" / "o2o_nodes" / "o2o_nodes",
    "launch": REPO / "launch",
}

# Innermost first. A room may import its own ring and those before it.
RINGS = (
    (
        "o2o_robot",
        "o2o_robot.types",
        "o2o_robot.errors",
        "o2o_robot.config",
        "o2o_robot.jsonfile",
        "o2o_robot.progress",
        "o2o_robot.jitter",
        "o2o_robot.vitals",
        "o2o_robot.terminal",
        "o2o_robot.yamlfile",
    ),
    ("o2o_robot.data", "o2o_robot.nets", "o2o_robot.safety", "o2o_robot.robot", "o2o_robot.teleop"),
    ("o2o_robot.algorithms", "o2o_robot.diagnostics", "o2o_robot.presets"),
    (
        "o2o_robot.policy",
        "o2o_robot.loop",
        "o2o_robot.recorder",
        "o2o_robot.black_box",
        "o2o_robot.learner",
        "o2o_robot.watch",
        "o2o_robot.weights_form",
        "o2o_robot.weights_door",
        "o2o_robot.weights_kept",
        "o2o_robot.never_worse",
        "o2o_robot.stretches",
        "o2o_robot.acting",
        "o2o_robot.learner_copies",
        "o2o_robot.segment",
        "o2o_robot.spool",
        "o2o_robot.delivery",
        "o2o_robot.journal",
        "o2o_robot.step_memory",
        "o2o_robot.reward",
        "o2o_robot.reset",
        "o2o_robot.web",
    ),
    (
        "o2o_robot.overlay",
        "o2o_robot.domain",
        "o2o_robot.graph",
        "o2o_robot.graph_arm",
        "o2o_robot.graph_reset",
        "o2o_robot.graph_reward",
        "o2o_robot.graph_teleop",
        "o2o_robot.supervise",
        "o2o_robot.launching",
        "o2o_robot.run_folder",
        "o2o_robot.sros2",
        "o2o_robot.flow",
    ),
    (
        "o2o_robot.report",
        "o2o_robot.trackers",
        "o2o_robot.preflight",
        "o2o_robot.labelling",
        "o2o_robot.console",
        "o2o_sim",
        "o2o_calibration",
    ),
    ("o2o_robot.apps", "o2o_robot.cli", "o2o_robot.__main__"),
    ("o2o_nodes",),
    ("launch",),
)

# Which rooms may name a library at all.
ROOMS_OF = {
    "torch": (
        "o2o_robot.nets",
        "o2o_robot.algorithms",
        "o2o_robot.diagnostics",
        "o2o_robot.policy",
        "o2o_robot.learner",
        "o2o_robot.labelling.encoder_features",
        "o2o_robot.reward",
        "o2o_robot.apps",
        "o2o_nodes.policy_actor",
        "o2o_nodes.policy_node",
        "o2o_nodes.learner_node",
    ),
    "pickletools": ("o2o_robot.data.formats.restricted_pickle",),
    "h5py": ("o2o_robot.data.formats.hdf5_file", "o2o_robot.data.formats.robomimic_export"),
    "imagecodecs": ("o2o_robot.data.formats.zarr_v2",),
    "rerun": ("o2o_robot.report", "o2o_robot.trackers"),
    "wandb": ("o2o_robot.trackers.wandb_run",),
    "tensorboard": ("o2o_robot.trackers.tensorboard",),
    "rclpy": ("o2o_nodes",),
    "rcl_interfaces": ("o2o_nodes",),
    "evdev": ("o2o_robot.teleop.gamepad",),
    "hid": ("o2o_robot.teleop.spacemouse",),
    "pyspacemouse": ("o2o_robot.teleop.spacemouse",),
    "launch_ros": ("o2o_robot.launching",),
    "mujoco": ("o2o_sim",),
    "pyrealsense2": ("o2o_robot.robot",),
    "gymnasium": ("o2o_robot.robot", "o2o_robot.apps", "o2o_sim"),
    "pickle": (),
    "dill": (),
    "cloudpickle": (),
    "shelve": (),
    "marshal": (),
}

# Rooms and processes that come up without torch: the arm's door, the twin, what records.
TORCH_FREE = (
    "o2o_robot.safety",
    "o2o_robot.data",
    "o2o_robot.robot",
    "o2o_robot.teleop",
    "o2o_robot.recorder",
    "o2o_sim",
    "o2o_robot.console",
    "o2o_nodes.arm_node",
    "o2o_nodes.console_node",
    "o2o_nodes.camera_node",
    "o2o_nodes.twin_node",
    "o2o_nodes.recorder_node",
    "o2o_nodes.teleop_node",
)


@dataclass(frozen=True)
class Import:
    """`name` as imported by `module`; `at_import_time` is false inside a function or under TYPE_CHECKING."""

    module: str
    line: int
    name: str
    at_import_time: bool


def module_name(package: str, root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def modules(packages: Mapping[str, Path]) -> dict[str, Path]:
    """Dotted name to file, of every Python file of every package that is there."""
    return {
        module_name(package, root, path): path
        for package, root in packages.items()
        for path in sorted(root.rglob("*.py"))
        if "__pycache__" not in path.parts
    }


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def import_nodes(node: ast.AST, at_import_time: bool = True) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import statement under `node`, and whether importing the module runs it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_import_time
        lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(child)
        yield from import_nodes(child, at_import_time and not lazy)


def targets(node: ast.Import | ast.ImportFrom, module: str, is_package: bool) -> list[str]:
    """Absolute dotted names a statement imports; `from a import b` gives a.b, which may be a module or a thing in a."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        parents = module.split(".") if is_package else module.split(".")[:-1]
        parents = parents[: len(parents) - (node.level - 1)]
        base = ".".join((*parents, base)).rstrip(".")
    return [f"{base}.{alias.name}" for alias in node.names]


def imports_of(module: str, path: Path) -> list[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    is_package = path.name == "__init__.py"
    return [
        Import(module, node.lineno, name, now)
        for node, now in import_nodes(tree)
        for name in targets(node, module, is_package)
    ]


def all_imports(packages: Mapping[str, Path]) -> tuple[Import, ...]:
    return tuple(found for module, path in modules(packages).items() for found in imports_of(module, path))


@lru_cache
def house() -> tuple[Import, ...]:
    return all_imports(PACKAGES)


def room_of(name: str) -> str | None:
    """The room of RINGS that a dotted name lies in, longest match; None for what is not ours."""
    rooms = [room for ring in RINGS for room in ring if name == room or name.startswith(room + ".")]
    return max(rooms, key=len, default=None)


def ring_of(room: str) -> int:
    return next(i for i, ring in enumerate(RINGS) if room in ring)


def is_within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def wrong_arrows(imports: tuple[Import, ...]) -> list[str]:
    """One line for each import of an outer ring by an inner one. ROS's own `launch` is not our folder of that name."""
    wrong = []
    for found in imports:
        here, there = room_of(found.module), room_of(found.name)
        if here is None or there is None or there == "launch":
            continue
        if ring_of(there) > ring_of(here):
            wrong.append(f"{found.module}:{found.line} imports {found.name}, which lies in an outer ring")
    return wrong


def trespasses(imports: tuple[Import, ...]) -> list[str]:
    """One line for each heavy or forbidden library named outside its rooms; ROS messages count as rclpy."""
    wrong = []
    for found in imports:
        top = found.name.split(".")[0]
        library = "rclpy" if top.endswith("_msgs") else top
        rooms = ROOMS_OF.get(library)
        if rooms is not None and not any(is_within(found.module, room) for room in rooms):
            wrong.append(f"{found.module}:{found.line} imports {top}; allowed in: {', '.join(rooms) or 'nowhere'}")
    return wrong


@lru_cache
def loads(imports: tuple[Import, ...]) -> dict[str, list[str]]:
    """Module to the names it imports while being imported."""
    found_in: dict[str, list[str]] = {}
    for found in imports:
        if found.at_import_time:
            found_in.setdefault(found.module, []).append(found.name)
    return found_in


def loaded_with(module: str, imports: tuple[Import, ...]) -> set[str]:
    """Names that importing `module` imports, ours followed through, the packages above each included."""
    graph, seen, waiting = loads(imports), set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph.get(name, [])
            waiting += [name.rpartition(".")[0]] if "." in name else []
    return seen


def roomless(names: list[str]) -> list[str]:
    return sorted(n for n in names if n.count(".") and room_of(n) in (None, "o2o_robot"))


def test_every_module_has_a_room():
    lost = roomless(list(modules(PACKAGES)))
    assert not lost, f"add these to RINGS, and say in which ring they stand: {lost}"


def test_no_inner_ring_imports_an_outer_one():
    assert wrong_arrows(house()) == []


def test_heavy_libraries_stay_in_their_rooms_and_pickle_is_nowhere():
    assert trespasses(house()) == []


def test_safety_needs_numpy_and_nothing_else():
    ours = set(PACKAGES)
    stdlib = sys.stdlib_module_names
    inside = [m for m in modules(PACKAGES) if is_within(m, "o2o_robot.safety")]
    needed = {name.split(".")[0] for m in inside for name in loaded_with(m, house())}
    assert needed - ours - stdlib <= {"numpy"}


@pytest.mark.parametrize("room", TORCH_FREE)
def test_torch_is_never_loaded_with(room):
    inside = [m for m in modules(PACKAGES) if is_within(m, room)]
    loading = [m for m in inside if any(is_within(n, "torch") for n in loaded_with(m, house()))]
    assert not loading, f"these load torch when imported: {loading}"


def test_launch_is_a_plain_folder():
    assert not (PACKAGES["launch"] / "__init__.py").exists(), "it would shadow ROS's own `launch`"


# The walk itself: each of these files breaks one rule, and must be seen.
def walk(tmp_path: Path, **files: str) -> tuple[Import, ...]:
    for name, text in files.items():
        path = tmp_path / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return all_imports({"o2o_robot": tmp_path})


@pytest.mark.parametrize(
    "statement",
    [
        "import o2o_robot.apps.demo",
        "from o2o_robot.learner import Learner",
        "from ..policy import act",
        "from .. import loop",
    ],
)
def test_an_arrow_the_wrong_way_is_seen(tmp_path, statement):
    assert len(wrong_arrows(walk(tmp_path, data__bag=f"def lazily():\n    {statement}\n"))) == 1


def test_an_arrow_the_right_way_passes(tmp_path):
    assert (
        wrong_arrows(walk(tmp_path, apps__demo="from o2o_robot.data import store\nfrom ..learner import Learner")) == []
    )


@pytest.mark.parametrize(
    "statement", ["import torch", "from mujoco import mj_step", "import rclpy", "from std_msgs.msg import Header"]
)
def test_a_library_outside_its_room_is_seen(tmp_path, statement):
    assert len(trespasses(walk(tmp_path, safety__guard=statement))) == 1


def test_a_library_loaded_through_another_room_is_seen(tmp_path):
    found = walk(tmp_path, data__store="from o2o_robot.nets import mlp", nets__mlp="import torch.nn")
    assert "torch.nn" in loaded_with("o2o_robot.data.store", found)


def test_a_library_loaded_inside_a_function_does_not_load_with_the_module(tmp_path):
    found = walk(tmp_path, apps__demo="def run():\n    import torch")
    assert "torch" not in loaded_with("o2o_robot.apps.demo", found)
