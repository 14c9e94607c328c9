"""A trained success classifier as a judge of whole episodes, for `o2o label --classify --reward`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from o2o_robot.labelling.features import Frames, Judge
from o2o_robot.reward.saved import load_classifier
from o2o_robot.types import Array


def reward_judge(folder: Path) -> Judge:
    """Each of an episode's last frames gets the highest probability among them: success may just have been reached.

    Raises CheckpointError where the folder holds no classifier, DataError at the first frames that do not fit it.
    """
    classifier = load_classifier(folder)

    def judge(frames: Frames) -> Array:
        probability = classifier.probability(frames)
        return np.full(len(probability), probability.max())

    return judge
