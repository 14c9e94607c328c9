"""What a recorder may call safe, and what it knows of that after it was killed."""

from __future__ import annotations

from o2o_robot.step_memory import StepMemory


def test_steps_are_safe_up_to_the_first_of_the_oldest_open_episode(tmp_path):
    memory = StepMemory(tmp_path / "m.json")
    for number, episode in enumerate("aaabbbccc"):
        memory.took("r", number, episode)
    memory.settle(["a", "b", "c"])
    assert memory.durable == 0
    memory.settle(["b", "c"])
    assert memory.durable == 3
    memory.settle(["c"])
    assert memory.durable == 6
    memory.settle([])
    assert memory.durable == 9


def test_who_was_killed_asks_for_the_episode_that_was_open(tmp_path):
    memory = StepMemory(tmp_path / "m.json")
    for number, episode in enumerate("aaab"):
        memory.took("r", number, episode)
        memory.settle(["b"] if episode == "b" else [])
    again = StepMemory(tmp_path / "m.json")
    assert (again.run, again.durable) == ("r", 3)


def test_another_run_begins_at_nothing(tmp_path):
    memory = StepMemory(tmp_path / "m.json")
    memory.took("old", 41, "a")
    memory.settle([])
    memory.took("new", 0, "b")
    assert (memory.run, memory.durable) == ("new", 0)
    memory.settle([])
    assert StepMemory(tmp_path / "m.json").durable == 1


def test_without_a_file_it_remembers_while_it_lives():
    memory = StepMemory(None)
    memory.took("r", 0, "a")
    memory.settle([])
    assert memory.durable == 1
