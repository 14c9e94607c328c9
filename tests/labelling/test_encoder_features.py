"""What a pretrained encoder makes of last frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from label_examples import a_store
from rich.console import Console

from o2o_robot.errors import CheckpointError, DataError

torch = pytest.importorskip("torch")

from o2o_robot.algorithms.config import AlgoConfig  # noqa: E402
from o2o_robot.algorithms.encoder_checkpoint import EncoderFacts, save_encoder, shape_of  # noqa: E402
from o2o_robot.algorithms.networks import build_encoder  # noqa: E402
from o2o_robot.algorithms.representation import ContrastConfig  # noqa: E402
from o2o_robot.labelling.by_classifier import judge_store  # noqa: E402
from o2o_robot.labelling.encoder_features import encoder_features, stacked  # noqa: E402
from o2o_robot.types import ObservationSpec  # noqa: E402

torch.set_num_threads(1)
CONVS = ((8, 4, 4), (8, 3, 2))


def saved(folder, *, kind: str = "conv", side: int = 16, frame_stack: int = 1):
    """A random encoder of one wrist camera as `o2o pretrain-encoder` leaves it, and the encoder itself."""
    config = replace(AlgoConfig(), encoder=kind, convs=CONVS, image_latent=12, frame_stack=frame_stack)
    spec = ObservationSpec(cameras=("wrist",), image_size=side, proprio=(("q_rad", 7),))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = build_encoder(config, spec)
    facts = EncoderFacts(shape_of(config, spec), ContrastConfig(), steps=0)
    save_encoder(folder / "encoder", encoder, facts, provenance={})
    return encoder


@pytest.mark.parametrize(("kind", "side"), [("conv", 16), ("resnet10", 64)])
@pytest.mark.parametrize("frame_stack", [1, 2])
def test_the_features_are_the_saved_encoders_latents(tmp_path, kind, side, frame_stack):
    encoder = saved(tmp_path, kind=kind, side=side, frame_stack=frame_stack).eval()
    images = np.random.default_rng(0).integers(0, 255, (3, side, side, 3)).astype(np.uint8)
    with torch.no_grad():
        maps = encoder.features({"wrist": torch.from_numpy(stacked(images, frame_stack))})
        expected = encoder.camera_latents(maps)["wrist"].numpy()
    for folder in (tmp_path, tmp_path / "encoder"):
        assert encoder_features(folder)({"wrist": images, "other": images}) == pytest.approx(expected, abs=1e-5)


def test_stacked_frames_are_the_ones_before_oldest_first():
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1).repeat(3, axis=3)
    assert stacked(images, 2)[:, 0, 0, ::3].tolist() == [[0, 0], [0, 1], [1, 2]]


def test_frames_that_do_not_fit_the_encoder_are_refused_by_name(tmp_path):
    saved(tmp_path)
    features = encoder_features(tmp_path)
    with pytest.raises(DataError, match="looks at wrist, the episodes hold front"):
        features({"front": np.zeros((3, 16, 16, 3), np.uint8)})
    with pytest.raises(DataError, match=r"frames of wrist are \(32, 32\), the encoder's 16x16"):
        features({"wrist": np.zeros((3, 32, 32, 3), np.uint8)})


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="pretrain-encoder"):
        encoder_features(tmp_path)


def test_a_classifier_on_an_encoders_latents_tells_success_from_failure(tmp_path):
    saved(tmp_path)
    with a_store(tmp_path / "s.zarr", "sf" * 12 + "SF") as store:
        rng, console = np.random.default_rng(0), Console(quiet=True)
        judged = judge_store(store, encoder_features(tmp_path), 0.9, rng, console=console)
    assert judged.probability["000024"] > 0.8 > 0.2 > judged.probability["000025"]
