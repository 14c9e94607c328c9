"""Runs in robomimic's own environment: opens a file with its SequenceDataset and prints what it gives, as JSON."""

import json
import sys

import h5py
import robomimic.utils.env_utils as EnvUtils
import robomimic.utils.obs_utils as ObsUtils
from robomimic.envs.env_base import EnvType
from robomimic.utils.dataset import SequenceDataset

OBS = ("q_rad", "tool_position_m", "wrist_image", "front_image")


def dataset(path: str, key: str | None = None) -> SequenceDataset:
    return SequenceDataset(
        hdf5_path=path,
        obs_keys=OBS,
        dataset_keys=("actions", "rewards", "dones", "terminated", "truncated"),
        hdf5_cache_mode="low_dim",
        filter_by_attribute=key,
        load_next_obs=True,
    )


def row(item: dict) -> dict:
    """One step; pixels as they are stored, uint8, channels last."""
    seen, then = ({k: v[0] for k, v in item[name].items()} for name in ("obs", "next_obs"))
    return {
        "action": item["actions"][0].tolist(),
        "q_rad": seen["q_rad"].tolist(),
        "next_q_rad": then["q_rad"].tolist(),
        "pixel": int(seen["wrist_image"][0, 0, 0]),
        "next_pixel": int(then["wrist_image"][0, 0, 0]),
        **{key.removesuffix("s"): float(item[key][0]) for key in ("rewards", "terminated", "truncated")},
    }


def main(path: str) -> None:
    modalities = {"low_dim": ["q_rad", "tool_position_m"], "rgb": ["wrist_image", "front_image"]}
    ObsUtils.initialize_obs_utils_with_obs_specs({"obs": modalities})
    whole = dataset(path)
    with h5py.File(path) as file:
        env_meta = json.loads(file["data"].attrs["env_args"])
    facts = {
        "rows": [row(whole[i]) for i in range(len(whole))],
        "n_train": len(dataset(path, "train")),
        "n_valid": len(dataset(path, "valid")),
        "is_gym": EnvUtils.get_env_type(env_meta=env_meta) == EnvType.GYM_TYPE,
    }
    print(json.dumps(facts))


main(sys.argv[1])
