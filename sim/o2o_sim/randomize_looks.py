"""Light and looks of a scene: what the pictures show, and nothing of what moves."""

from __future__ import annotations

import numpy as np

from o2o_robot.types import Array
from o2o_sim.engine import mujoco
from o2o_sim.randomize_config import LightSpread, LookSpread
from o2o_sim.spread import Draws, Spread, stream

LAMP, TABLE, FLOOR = "random lamp", "random table", "random floor"
PATTERN_PX = 128
FLOOR_M = -0.75  # a table's height below its top
ROBOT_GROUP = 2  # geoms of the arm and its tool, as the models draw them
_SIDE = Spread(0.0, 360.0)
_KIND = Spread(0.0, 3.0)


def add_looks(spec: mujoco.MjSpec) -> None:
    """Add what can be lit and painted: a lamp that is off, a white texture on the table, a black floor below it."""
    spec.worldbody.add_light(name=LAMP, type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, active=False, castshadow=False)
    texture = spec.add_texture(name=TABLE, type=mujoco.mjtTexture.mjTEXTURE_2D, nchannel=3)
    texture.width = texture.height = PATTERN_PX
    texture.data = np.full((PATTERN_PX, PATTERN_PX, 3), 255, np.uint8).tobytes()
    material = spec.add_material(name=TABLE, texuniform=False, specular=0.0)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = TABLE
    spec.geom("table").material = TABLE
    spec.worldbody.add_geom(
        name=FLOOR,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        pos=(0.5, 0, FLOOR_M),
        size=(4, 4, 1),
        rgba=(0, 0, 0, 1),
        contype=0,
        conaffinity=0,
        group=1,
    )


def light(model: mujoco.MjModel, draws: Draws, spread: LightSpread) -> None:
    """Draw the light, onto a nominal model."""
    headlight, lamp = model.vis.headlight, model.light(LAMP)
    colour = draws("light.brightness", spread.brightness) * draws("light.tint", spread.tint, (3,))
    headlight.ambient, headlight.diffuse = headlight.ambient * colour, headlight.diffuse * colour
    lamp.active = not spread.lamp.is_fixed or spread.lamp.low > 0
    lamp.diffuse = draws("light.lamp", spread.lamp) * colour
    lamp.specular = lamp.ambient = 0.0
    if not lamp.active:
        return
    tilt = np.deg2rad(draws("light.lamp_tilt_deg", spread.lamp_tilt_deg))
    side = np.deg2rad(draws("light.lamp_from_deg", _SIDE))
    lamp.dir = (np.sin(tilt) * np.cos(side), np.sin(tilt) * np.sin(side), -np.cos(tilt))


def looks(model: mujoco.MjModel, draws: Draws, spread: LookSpread) -> None:
    """Draw colours and the table's pattern, onto a nominal model. A renderer must be told to take the texture anew."""
    table, floor = model.geom("table").id, model.geom(FLOOR).id
    for thing, geoms in _things(model, but=(table, floor)).items():
        _tint(model, geoms, draws(f"looks.colour.{thing}", spread.colour, (3,)))
    _tint(model, [table], draws("looks.table", spread.table) * draws("looks.table_tint", spread.table_tint, (3,)))
    model.geom_rgba[floor, :3] = draws("looks.floor", spread.floor)
    contrast = float(draws("looks.pattern", spread.pattern))
    if contrast > 0:
        kind = int(draws("looks.pattern_kind", _KIND))
        _paint(model, pattern(kind, contrast, stream(draws.seed, "looks.pattern_pixels")))


def _things(model: mujoco.MjModel, but: tuple[int, ...]) -> dict[str, list[int]]:
    """Geoms that have one paint: the robot's together, and each object's."""
    things: dict[str, list[int]] = {}
    for geom in range(model.ngeom):
        if geom not in but:
            is_robot = model.geom_group[geom] == ROBOT_GROUP
            name = "robot" if is_robot else model.body(model.geom_bodyid[geom]).name
            things.setdefault(name, []).append(geom)
    return things


def _tint(model: mujoco.MjModel, geoms: list[int], factor: Array) -> None:
    model.geom_rgba[geoms, :3] = np.clip(model.geom_rgba[geoms, :3] * factor, 0, 1)


def pattern(kind: int, contrast: float, rng: np.random.Generator) -> Array:
    """A square (PATTERN_PX, PATTERN_PX, 3) uint8 of clouds (0), boards with a grain (1) or tiles (2).

    White where it is lightest, and nowhere darker than 1 - contrast.
    """
    shade = (_clouds, _grain, _tiles)[kind](rng)
    shade = (shade - shade.min()) / max(np.ptp(shade), 1e-9)
    hue = 1 - 0.3 * contrast * rng.random(3)  # the dark parts have a colour of their own
    return np.asarray(np.round(255 * (1 - contrast * shade[..., None] * hue)), np.uint8)


def _clouds(rng: np.random.Generator) -> Array:
    """Smooth noise of several sizes, fine ones fainter."""
    return sum((_smooth(rng.random((n, n))) / n**0.7 for n in (4, 8, 16, 32)), start=np.zeros((PATTERN_PX,) * 2))


def _grain(rng: np.random.Generator) -> Array:
    """Boards side by side, each of its own shade, streaked along."""
    n = int(rng.integers(3, 9))
    boards = rng.random(n)[np.arange(PATTERN_PX) * n // PATTERN_PX]
    streaks = _smooth(rng.random((32, 4)))
    return boards[:, None] + 0.5 * streaks


def _tiles(rng: np.random.Generator) -> Array:
    """Squares of two shades, with a little dirt."""
    n = int(rng.integers(4, 17))
    row = np.arange(PATTERN_PX) * n // PATTERN_PX
    return (row[:, None] + row) % 2 + 0.3 * _smooth(rng.random((16, 16)))


def _smooth(coarse: Array) -> Array:
    """A coarse grid, interpolated linearly to the pattern's size."""
    for _ in range(2):
        at = np.linspace(0, len(coarse) - 1, PATTERN_PX)
        coarse = np.array([np.interp(at, np.arange(len(coarse)), column) for column in coarse.T])
    return coarse


def _paint(model: mujoco.MjModel, image: Array) -> None:
    texture = model.texture(TABLE).id
    start = model.tex_adr[texture]
    model.tex_data[start : start + image.size] = image.ravel()
