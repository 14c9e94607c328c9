"""Processes come up, are watched, and go down in order; a death is told with its name and last words.

The nodes are small scripts; each writes what happens to it into one shared file, so that order can be read.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from o2o_robot import overlay, supervise
from o2o_robot.errors import GraphError
from o2o_robot.graph import STORIES, Process
from o2o_robot.jsonfile import read_json
from o2o_robot.supervise import Supervisor, ended_well, in_order_down

GOOD = """
    tell("up")
    signal.signal(signal.SIGINT, lambda *_: (tell("down"), os._exit(0)))
    while True: time.sleep(0.01)
"""
STUBBORN = """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell("up")
    while True: time.sleep(0.01)
"""
WHEN_ALL_ARE_UP = """
    while diary.read_text().count("up") < {n}: time.sleep(0.01)
"""
PRELUDE = """
    import os, pathlib, signal, sys, time
    name, diary = pathlib.Path(sys.argv[0]).name, pathlib.Path({diary!r})
    def tell(word):
        with diary.open("a") as out: out.write(f"{{name}} {{word}}\\n")
"""


class Nodes:
    """A made-up workspace: nodes.add(name, body) installs an executable that the supervisor finds."""

    def __init__(self, root: Path) -> None:
        self.root, self.diary, self.run_dir = root, root / "diary", root / "run"
        self.diary.touch()
        (root / "lib" / overlay.PACKAGE).mkdir(parents=True)

    def add(self, name: str, body: str = GOOD, *, is_session: bool = False, **parameters: object) -> Process:
        path = self.root / "lib" / overlay.PACKAGE / name
        prelude = textwrap.dedent(PRELUDE.format(diary=str(self.diary)))
        path.write_text(f"#!{sys.executable}\n{prelude}\n{textwrap.dedent(body)}")
        path.chmod(0o755)
        return Process(name, dict(parameters), is_session=is_session)

    def told(self, word: str) -> list[str]:
        return [line.split()[0] for line in self.diary.read_text().splitlines() if line.split()[1] == word]


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    made = Nodes(tmp_path)
    monkeypatch.setattr(overlay, "prefix", lambda: tmp_path)
    monkeypatch.setattr(overlay, "environment", lambda: dict(os.environ))
    return made


def until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def after_all_are_up(n: int, then: str) -> str:
    return textwrap.dedent(WHEN_ALL_ARE_UP.format(n=n)) + then


def assert_death_is_told(nodes: Nodes, graph: list[Process], words: str) -> None:
    with Supervisor(graph, nodes.run_dir) as supervisor, pytest.raises(GraphError, match=words):
        supervisor.wait()


def test_a_session_that_ends_well_ends_the_run_and_takes_the_others_down_in_order(nodes):
    graph = [nodes.add(name) for name in ("twin_node", "arm_node", "recorder_node", "learner_node")]
    graph.append(nodes.add("policy_node", after_all_are_up(4, "sys.exit(0)"), is_session=True))
    with Supervisor(graph, nodes.run_dir) as supervisor:
        supervisor.wait()
    assert nodes.told("down") == ["learner_node", "recorder_node", "arm_node", "twin_node"]
    assert {fact["exit_code"] for fact in supervisor.facts()} == {0}


def test_a_death_is_told_with_name_code_and_last_words_and_nobody_stays(nodes):
    bad = after_all_are_up(2, "print('no more disk', flush=True)\nsys.exit(3)")
    graph = [nodes.add("arm_node"), nodes.add("policy_node", is_session=True), nodes.add("recorder_node", bad)]
    with (
        Supervisor(graph, nodes.run_dir) as supervisor,
        pytest.raises(GraphError, match=r"(?s)recorder_node ended with code 3.*no more disk"),
    ):
        supervisor.wait()
    assert nodes.told("down") == ["policy_node", "arm_node"]
    assert all(is_gone(one.popen.pid) for one in supervisor.running)


def test_a_node_that_was_killed_is_told_by_the_signal(nodes):
    graph = [nodes.add("arm_node", after_all_are_up(1, "os.kill(os.getpid(), signal.SIGKILL)"))]
    graph.append(nodes.add("policy_node", is_session=True))
    assert_death_is_told(nodes, graph, "arm_node was killed by SIGKILL")


def test_a_node_that_leaves_with_0_without_being_the_session_is_a_death_too(nodes):
    graph = [nodes.add("recorder_node", "sys.exit(0)"), nodes.add("policy_node", is_session=True)]
    assert_death_is_told(nodes, graph, "recorder_node ended with code 0")


def test_a_session_that_failed_is_a_death(nodes):
    graph = [nodes.add("policy_node", "sys.exit(1)", is_session=True)]
    assert_death_is_told(nodes, graph, "policy_node ended with code 1")


def test_who_heeds_no_signal_is_killed(nodes, monkeypatch):
    monkeypatch.setattr(supervise, "GRACE_S", (0.1, 0.1))
    with Supervisor([nodes.add("arm_node", STUBBORN)], nodes.run_dir) as supervisor:
        until(lambda: nodes.told("up") == ["arm_node"], "arm_node up")
    assert [one.exit_code for one in supervisor.running] == [-signal.SIGKILL]


def test_an_interrupt_brings_all_down_and_is_no_death(nodes):
    graph = [nodes.add("arm_node"), nodes.add("policy_node", is_session=True)]
    before = signal.getsignal(signal.SIGINT)
    with Supervisor(graph, nodes.run_dir) as supervisor:
        until(lambda: len(nodes.told("up")) == 2, "both up")
        supervisor.wait(tell=lambda: os.kill(os.getpid(), signal.SIGINT), every_s=0.01)
    assert supervisor.interrupted
    assert nodes.told("down") == ["policy_node", "arm_node"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_graph_that_cannot_start_whole_leaves_nothing_running(nodes):
    graph = [nodes.add("arm_node"), Process("missing_node", {})]
    supervisor = Supervisor(graph, nodes.run_dir)
    with pytest.raises(FileNotFoundError, match="missing_node"), supervisor:
        pass
    assert [is_gone(one.popen.pid) for one in supervisor.running] == [True]


def test_a_killed_supervisor_takes_its_nodes_along(nodes):
    nodes.add("arm_node", "tell(f'pid {os.getpid()}')\nwhile True: time.sleep(0.01)")
    script = f"""
        import os, pathlib, time
        from o2o_robot import overlay
        from o2o_robot.graph import Process
        from o2o_robot.supervise import Supervisor
        overlay.prefix = lambda: pathlib.Path({str(nodes.root)!r})
        overlay.environment = lambda: dict(os.environ)
        with Supervisor([Process("arm_node", {{}})], pathlib.Path({str(nodes.run_dir)!r})) as supervisor:
            supervisor.wait()
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)]) as watching:
        until(lambda: nodes.told("pid") == ["arm_node"], "arm_node up")
        watching.kill()
    pid = int(nodes.diary.read_text().split()[-1])
    until(lambda: is_gone(pid), "arm_node follows its supervisor")


def test_a_node_gets_its_parameters_under_its_name_and_the_robot_s_file_after_them(nodes):
    nodes.add("arm_node", "tell(' '.join(sys.argv[1:]))\nsys.exit(0)")
    process = Process("arm_node", {"joints": ["a", "b"], "rate": 2.0}, params_file="/robot.yaml", is_session=True)
    with Supervisor([process], nodes.run_dir) as supervisor:
        supervisor.wait()
    own = nodes.run_dir / "params" / "arm_node.yaml"
    assert f"--ros-args --params-file {own} --params-file /robot.yaml" in nodes.diary.read_text()
    assert yaml.safe_load(own.read_text()) == {"/**/arm_node": {"ros__parameters": {"joints": ["a", "b"], "rate": 2.0}}}


def test_what_became_of_each_node_is_written_into_the_run(nodes):
    with Supervisor([nodes.add("policy_node", "sys.exit(0)", is_session=True)], nodes.run_dir) as supervisor:
        supervisor.wait()
    (fact,) = read_json(nodes.run_dir / "processes.json")["nodes"]
    assert (fact["name"], fact["exit_code"]) == ("policy_node", 0)


def test_what_holds_the_arm_goes_last_and_what_asks_for_motion_first():
    names = ["arm_node", "learner_node", "policy_node", "twin_node", "recorder_node"]
    down = [process.name for process in in_order_down([Process(name, {}) for name in names])]
    assert down == ["policy_node", "learner_node", "recorder_node", "arm_node", "twin_node"]


# a node that dies when it comes up, as often as its own file has lines left
DIES = """
    left = pathlib.Path({left!r})
    words = left.read_text().split()
    tell("with-" + ",".join(w for w in sys.argv[1:] if w.endswith(".yaml")).replace(" ", ""))
    if words:
        left.write_text(" ".join(words[1:]))
        os.kill(os.getpid(), signal.SIGKILL)
    (left.parent / "alive").touch()
"""


def mortal(nodes: Nodes, deaths: int, **process: object) -> Process:
    left = nodes.root / "left"
    left.write_text("x " * deaths)
    made = nodes.add("learner_node", DIES.format(left=str(left)) + GOOD)
    return replace(made, **process)


def until_it_lives(nodes: Nodes) -> Process:
    wait = f"while not pathlib.Path({str(nodes.root / 'alive')!r}).exists(): time.sleep(0.01)\nsys.exit(0)"
    return nodes.add("policy_node", wait, is_session=True)


def test_a_node_that_may_be_restarted_is_and_the_run_ends_well(nodes, monkeypatch):
    monkeypatch.setattr(supervise, "BACK_OFF_S", 0.01)
    graph = [mortal(nodes, 2, restarts=2, on_restart={"resume": True}), until_it_lives(nodes)]
    with Supervisor(graph, nodes.run_dir) as supervisor:
        supervisor.wait(every_s=0.01)
    told = {node["name"]: node for node in read_json(nodes.run_dir / "processes.json")["nodes"]}
    assert (told["learner_node"]["restarts"], told["learner_node"]["exit_code"]) == (2, 0)
    own = yaml.safe_load((nodes.run_dir / "params" / "learner_node.yaml").read_text())
    assert own["/**/learner_node"]["ros__parameters"] == {"resume": True}
    assert (nodes.run_dir / "logs" / "learner_node.log").read_text().count(
        "was killed by SIGKILL; is started again"
    ) == 2


def test_one_death_more_than_allowed_ends_the_run_and_is_told(nodes, monkeypatch):
    monkeypatch.setattr(supervise, "BACK_OFF_S", 0.01)
    graph = [mortal(nodes, 3, restarts=2), nodes.add("policy_node", is_session=True)]
    assert_death_is_told(nodes, graph, "learner_node was killed by SIGKILL")
    assert nodes.told("down") == ["policy_node"]


def test_each_restart_waits_twice_as_long_as_the_one_before(nodes, monkeypatch):
    graph = [mortal(nodes, 9, restarts=2), nodes.add("policy_node", is_session=True)]
    now_s = [100.0]
    monkeypatch.setattr(supervise.time, "monotonic", lambda: now_s[0])
    started: list[float] = []
    with Supervisor(graph, nodes.run_dir) as supervisor:
        (one,) = (r for r in supervisor.running if r.process.name == "learner_node")
        for restarts in range(2):
            one.popen.wait()
            assert not supervisor.has_ended()
            assert one.again_s is not None
            started.append(one.again_s - now_s[0])
            now_s[0] = one.again_s
            assert not supervisor.has_ended()
            assert one.n_restarts == restarts + 1
    assert started == [1.0, 2.0]


def test_what_may_be_restarted_is_what_the_session_keeps_every_step_for_and_nothing_that_moves_the_arm():
    for settings, describe in STORIES.values():
        graph = describe(settings(), Path("/share"))
        keepers = {name for process in graph for name in process.parameters.get("step_keepers", [])}
        assert {process.name for process in graph if process.restarts} == keepers <= {"learner_node", "recorder_node"}


def test_a_node_that_was_told_to_end_before_it_could_listen_has_ended_well_and_a_killed_one_has_not():
    assert [ended_well(code) for code in (0, -signal.SIGINT, 1, -signal.SIGKILL, -signal.SIGTERM, None)] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
