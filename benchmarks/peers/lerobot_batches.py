"""Runs in LeRobot's environment: milliseconds for a batch of random items of its dataset class.

`python lerobot_batches.py DATASET BATCH`. Each item asks for the frame at its time and the next one, as a transition
needs; items are taken one after another, as one worker of its data loader would.
"""

import json
import random
import sys
import time

from lerobot.datasets.lerobot_dataset import LeRobotDataset

root, batch = sys.argv[1], int(sys.argv[2])
plain = LeRobotDataset("local/bench", root=root, video_backend="pyav")
pair = [0.0, 1.0 / plain.fps]
keys = [key for key in plain.features if key.startswith("observation.")]
dataset = LeRobotDataset("local/bench", root=root, video_backend="pyav", delta_timestamps={key: pair for key in keys})
chance = random.Random(0)
spans = []
for _ in range(3):
    picked = [chance.randrange(len(dataset)) for _ in range(batch)]
    started = time.perf_counter()
    items = [dataset[i] for i in picked]
    spans.append(1e3 * (time.perf_counter() - started))
print(json.dumps({"ms": sorted(spans)[1], "items": len(items)}))
