"""Small robomimic files for the tests, as robomimic's own conversion script lays them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

N_ROWS = 6


def demo(n_rows: int = N_ROWS, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of one demonstration; row t of obs tells t, and next_obs[t] is obs[t + 1]."""
    rows = np.arange(n_rows + 1)
    eef = np.repeat(rows[:, None], 3, axis=1).astype(np.float64)
    frames = np.broadcast_to(rows.astype(np.uint8)[:, None, None, None], (n_rows + 1, 16, 16, 3))
    last = (rows[:-1] == n_rows - 1).astype(np.float64)
    return {
        "actions": np.random.default_rng(seed).uniform(-1, 1, (n_rows, 7)),
        "rewards": last,
        "dones": last.astype(np.int64),
        "states": np.zeros((n_rows, 32)),
        "obs/robot0_eef_pos": eef[:-1],
        "obs/agentview_image": frames[:-1],
        "next_obs/robot0_eef_pos": eef[1:],
        "next_obs/agentview_image": frames[1:],
    }


def write(path: Path, demos: dict[str, dict[str, Any]], *, without: tuple[str, ...] = (), **options: Any) -> Path:
    """A file of these demonstrations; arrays whose name starts with one of `without` are left out."""
    import h5py

    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        env = {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}}
        data.attrs["env_args"] = json.dumps(env)
        for name, arrays in demos.items():
            data.create_group(name).attrs["num_samples"] = len(arrays["actions"])
            for key, values in arrays.items():
                if not key.startswith(without or ("-",)):
                    data.create_dataset(f"{name}/{key}", data=values, **options)
    return path
