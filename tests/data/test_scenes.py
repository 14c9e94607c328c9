"""What was drawn for a scene goes to the episode that ran in it, and to no other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from o2o_robot.recorder import Scenes

MS = 1_000_000


def test_an_episode_has_the_latest_scene_that_began_no_later_than_it():
    scenes = Scenes()
    scenes.hear(10, {"friction": 1})
    scenes.hear(20, {"friction": 2})
    assert scenes.take(20) == {"friction": 2}


def test_a_scene_is_of_one_episode_alone():
    scenes = Scenes()
    scenes.hear(10, {"friction": 1})
    scenes.take(15)
    assert scenes.take(30) == {}


@given(st.permutations(["scene 0", "scene 1", "scene 2"]))
def test_scenes_may_be_heard_in_any_order(order):
    scenes = Scenes()
    for name in order:
        scenes.hear(100 * int(name[-1]), {"name": name})
    assert [scenes.take(start)["name"] for start in (50, 150, 250)] == ["scene 0", "scene 1", "scene 2"]


def test_a_scene_told_after_the_episode_began_is_still_the_next_ones():
    scenes = Scenes()
    scenes.hear(100, {"name": "next"})
    assert scenes.take(50) == {}
    assert scenes.take(100) == {"name": "next"}
