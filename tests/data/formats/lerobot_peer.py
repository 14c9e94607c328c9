"""Runs in the environment of the lerobot package: reads a dataset with it, or records one. No module of ours here.

lerobot_peer.py read ROOT OUT.npz      every item of the dataset, field by field, and a shuffled batch
lerobot_peer.py record ROOT            two episodes with a video and a picture camera, as a robot would record them
"""

import sys

import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset


def read(root: str, out: str) -> None:
    dataset = LeRobotDataset("local/peer", root=root, video_backend="pyav")
    items = [dataset[i] for i in range(len(dataset))]
    found = {key: np.stack([np.asarray(item[key]) for item in items]) for key in items[0] if key != "task"}
    found["task"] = np.array([item["task"] for item in items])
    found["n_episodes"] = np.array(dataset.num_episodes)
    found |= {f"stats/{key}": np.asarray(facts["mean"]) for key, facts in dataset.meta.stats.items()}
    ahead = LeRobotDataset(
        "local/peer", root=root, video_backend="pyav", delta_timestamps={"action": [0.0, 1 / dataset.fps]}
    )
    found["action_chunk"] = np.stack([np.asarray(ahead[i]["action"]) for i in range(len(ahead))])
    found["action_is_pad"] = np.stack([np.asarray(ahead[i]["action_is_pad"]) for i in range(len(ahead))])
    batch = next(iter(torch.utils.data.DataLoader(dataset, batch_size=4, shuffle=True)))
    found["batch_index"], found["batch_action"] = batch["index"].numpy(), batch["action"].numpy()
    np.savez(out, **found)


def record(root: str) -> None:
    picture = {"shape": (64, 64, 3), "names": ["height", "width", "channels"]}
    features = {
        "observation.state": {"dtype": "float32", "shape": (2,), "names": ["a", "b"]},
        "action": {"dtype": "float32", "shape": (2,), "names": ["a", "b"]},
        "observation.images.film": {"dtype": "video", **picture},
        "observation.images.still": {"dtype": "image", **picture},
        "next.success": {"dtype": "bool", "shape": (1,), "names": None},
    }
    dataset = LeRobotDataset.create("local/peer", 10, features, root=root, use_videos=True)
    for episode, n_rows in enumerate((6, 4)):
        for t in range(n_rows):
            frame = np.full((64, 64, 3), (40 + 20 * t, 100, 50 + 60 * episode), np.uint8)
            dataset.add_frame(
                {
                    "observation.state": np.array([t, episode], np.float32),
                    "action": np.array([t + 1, -episode], np.float32),
                    "observation.images.film": frame,
                    "observation.images.still": frame,
                    "next.success": np.array([episode == 1 and t == n_rows - 1]),
                    "task": f"task {episode}",
                }
            )
        dataset.save_episode()
    dataset.finalize()


if __name__ == "__main__":
    {"read": read, "record": record}[sys.argv[1]](*sys.argv[2:])
