"""Pictures of the simulated world, made when asked for."""

from __future__ import annotations

import numpy as np

from o2o_robot.errors import ConfigError
from o2o_sim.engine import mujoco


class Eyes:
    """Renders named cameras as (size, size, 3) uint8 RGB. The first picture opens the GL context, `close` frees it.

    Raises ConfigError at the first picture where this machine cannot render.
    """

    def __init__(self, model: mujoco.MjModel, size: int) -> None:
        self._model, self._size = model, size
        self._renderer: mujoco.Renderer | None = None

    def see(self, data: mujoco.MjData, camera: str) -> np.ndarray:
        """One picture, newly allocated."""
        renderer = self._renderer or self._open()
        renderer.update_scene(data, camera)
        return renderer.render()

    def take_textures(self) -> None:
        """Draw with the model's textures as they are now; without this a change to them is not seen."""
        if self._renderer is None or self._renderer._gl_context is None:
            return
        self._renderer._gl_context.make_current()  # mujoco.Renderer has no public way to it
        for texture in range(self._model.ntex):
            mujoco.mjr_uploadTexture(self._model, self._renderer._mjr_context, texture)

    def _open(self) -> mujoco.Renderer:
        try:
            self._renderer = mujoco.Renderer(self._model, self._size, self._size, max_geom=200)
        except (mujoco.FatalError, ImportError, RuntimeError) as problem:
            raise ConfigError(
                f"no off-screen rendering: {problem}; install libegl1, and import o2o_sim before mujoco "
                "(or export MUJOCO_GL=egl before Python starts)"
            ) from None
        for flag in ("mjRND_SHADOW", "mjRND_REFLECTION", "mjRND_SKYBOX", "mjRND_HAZE", "mjRND_FOG"):
            self._renderer.scene.flags[getattr(mujoco.mjtRndFlag, flag)] = False
        return self._renderer

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
