import numpy as np
import torch

from o2o_robot.nets.encoder import ObservationEncoder, random_crop
from o2o_robot.nets.ensemble import EnsembleQ
from o2o_robot.types import ObservationSpec


def _images(batch: int = 6, side: int = 16) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    return {name: torch.from_numpy(rng.integers(0, 256, (batch, side, side, 3), np.uint8)) for name in ("a", "b")}


def test_a_crop_is_what_padding_by_the_edge_and_slicing_gives() -> None:
    images = _images()
    offset = torch.tensor([[0, 8], [8, 0], [4, 4], [1, 7], [3, 2], [5, 6]])
    cropped = random_crop(images, offset, pad=4)
    for name, image in images.items():
        padded = np.pad(image.numpy(), ((0, 0), (4, 4), (4, 4), (0, 0)), mode="edge")
        for b, (y, x) in enumerate(offset.tolist()):
            assert np.array_equal(cropped[name][b].numpy(), padded[b, y : y + 16, x : x + 16])


def test_the_middle_offset_leaves_the_image_as_it_was_and_the_input_is_never_written() -> None:
    images = _images()
    before = {name: image.clone() for name, image in images.items()}
    cropped = random_crop(images, torch.full((6, 2), 4), pad=4)
    random_crop(images, torch.zeros(6, 2, dtype=torch.long), pad=4)
    for name, image in before.items():
        assert torch.equal(cropped[name], image)
        assert torch.equal(images[name], image)


def test_values_of_many_actions_at_a_state_are_those_of_each_action_alone() -> None:
    torch.manual_seed(0)
    critic = EnsembleQ(3, 10, 2, (16, 16), layer_norm=True)
    z, action = torch.randn(4, 10), torch.randn(4, 7, 2)
    together = critic(z, action)
    for k in range(7):
        torch.testing.assert_close(together[:, :, k], critic(z, action[:, k : k + 1])[:, :, 0])


def test_members_of_the_ensemble_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    critic = EnsembleQ(2, 10, 2, (16, 16), layer_norm=True)
    critic(torch.randn(4, 10), torch.randn(4, 1, 2))[0].sum().backward()
    for parameter in critic.parameters():
        assert parameter.grad[0].abs().sum() > 0
        assert parameter.grad[1].abs().sum() == 0


def test_a_field_that_never_moved_is_centred_but_not_blown_up() -> None:
    spec = ObservationSpec((), 0, (("q_rad", 2),))
    encoder = ObservationEncoder(spec, ((8, 4, 4),), image_latent=4, state_latent=4)
    encoder.state.set_statistics(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.5]))
    assert encoder.state.std.tolist() == [1.0, 0.5]
    assert torch.isfinite(encoder({}, torch.tensor([[1.0 + 1e-6, 2.5]]))).all()
