"""An MJCF from elsewhere: no file outside its folder, no plugin, no size that no robot has."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

pytest.importorskip("o2o_sim.engine", reason="needs mujoco")
from o2o_robot.errors import ConfigError
from o2o_sim.model_check import MAX_MODEL_BYTES, check_model

SECRET = "/etc/passwd"
DEEP = 20_000
HOSTILE = {
    "a file of the system": (f'<include file="{SECRET}"/>', "outside"),
    "a file above": ('<include file="../secret.xml"/>', "outside"),
    "a file above, by another way": ('<include file="parts/../../secret.xml"/>', "outside"),
    "a link to a file above": ('<include file="link.xml"/>', "outside"),
    "a mesh of the system": (f'<asset><mesh name="m" file="{SECRET}"/></asset>', "outside"),
    "a texture of the system": (f'<asset><texture name="t" fileright="{SECRET}"/></asset>', "outside"),
    "meshes from a folder of the system": ('<compiler meshdir="/etc"/><asset><mesh file="passwd"/></asset>', "outside"),
    "meshes from a folder above": ('<compiler assetdir="../.."/>', "outside"),
    "a file named by a file": ('<include file="nested.xml"/>', "outside"),
    "a model within a model": (f'<asset><model name="m" file="{SECRET}"/></asset>', "outside"),
    "a plugin": ('<extension><plugin plugin="mujoco.elasticity.cable"/></extension>', "plugin"),
    "memory": ('<size memory="900G"/>', "memory"),
    "memory without measure": ('<size memory="' + "9" * 5000 + '"/>', "memory"),
    "memory that is no number": ('<size memory="-1"/>', "memory"),
    "old memory": ('<size nstack="99999999999"/>', "parts"),
    "copies": ('<worldbody><replicate count="1000000000"><geom size="1"/></replicate></worldbody>', "parts"),
    "a grid": ('<worldbody><body><flexcomp name="f" count="9999 9999 9999"/></body></worldbody>', "parts"),
    "a texture": ('<asset><texture builtin="flat" width="900000" height="900000"/></asset>', "parts"),
    "a field": ('<asset><hfield name="h" nrow="900000" ncol="900000" size="1 1 1 1"/></asset>', "parts"),
    "not XML": ("<worldbody>", "not XML"),
    "nested": ("<body>" * DEEP, "not XML"),
}
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><mujoco>&b;</mujoco>'


def written(folder: Path, inside: str) -> Path:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (folder / "secret.xml").write_text("<mujoco/>")
    if not (home / "link.xml").exists():
        (home / "link.xml").symlink_to(folder / "secret.xml")
    (home / "nested.xml").write_text(f'<mujocoinclude><include file="{SECRET}"/></mujocoinclude>')
    (home / "robot.xml").write_text(f"<mujoco>{inside}</mujoco>")
    return home / "robot.xml"


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_in_one_line_and_little_memory(tmp_path, name):
    inside, says = HOSTILE[name]
    path = written(tmp_path, inside)
    started_s = time.process_time()
    tracemalloc.start()
    with pytest.raises(ConfigError, match=says) as refused:
        check_model(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 6000
    assert peak < 64 << 20
    assert time.process_time() - started_s < 10.0


@pytest.mark.parametrize("text", [LAUGHS, "<mujoco/>\0", '<?xml version="1.0" encoding="UTF-16"?><mujoco/>'])
def test_xml_that_says_more_than_a_model_is_refused(tmp_path, text):
    (tmp_path / "robot.xml").write_text(text)
    with pytest.raises(ConfigError):
        check_model(tmp_path / "robot.xml")


def test_models_that_name_each_other_and_models_without_end_come_to_one(tmp_path):
    check_model(written(tmp_path, '<include file="robot.xml"/>'))
    with (tmp_path / "home" / "large.xml").open("wb") as large:
        large.truncate(MAX_MODEL_BYTES + 1)
    with pytest.raises(ConfigError, match="MB of XML"):
        check_model(written(tmp_path, '<include file="large.xml"/>'))


def test_what_models_of_robots_have_is_taken(tmp_path):
    path = written(tmp_path, "")
    (path.parent / "assets" / "visual").mkdir(parents=True)
    (path.parent / "assets" / "visual" / "link0.obj").write_text("v 0 0 0")
    check_model(
        written(
            tmp_path,
            '<!-- a comment --><compiler meshdir="assets/visual"/><size memory="50M"/>'
            '<asset><mesh file="link0.obj"/><texture builtin="checker" width="512" height="512"/></asset>',
        )
    )
