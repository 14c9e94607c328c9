"""The one door to MuJoCo: chooses off-screen EGL rendering where nothing else was asked for, then imports it."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")

import mujoco

__all__ = ["mujoco"]
