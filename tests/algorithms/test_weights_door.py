import contextlib

import numpy as np
import pytest
import torch
from offers import PRETRAINED, header_of, networks, offer, policy, probes, sealed, with_header

from o2o_robot.errors import CheckpointError, ConfigError
from o2o_robot.policy import weights_bytes
from o2o_robot.weights_door import Present, WeightsDoor
from o2o_robot.weights_form import Offer, TensorForm, require_form

PRESENT = Present(PRETRAINED, 0, 0)


def door(*, max_action_jump: float = 0.0) -> WeightsDoor:
    made = WeightsDoor(policy(), max_action_jump=max_action_jump)
    made.watch(probes())
    return made


def refused(bad: Offer, why: str, present: Present = PRESENT) -> None:
    with pytest.raises(CheckpointError, match=why) as caught:
        door().require(bad, present)
    assert "\n" not in str(caught.value)


def test_a_learners_next_weights_pass_and_their_jump_is_told():
    assert door().require(offer(8, 1), PRESENT) == 0.0
    assert door().require(offer(8, 1, bias=0.2), PRESENT) == pytest.approx(0.2, abs=0.02)


def test_the_acting_policy_is_not_touched_by_trying():
    acting = policy()
    before = acting.weights_bytes()
    made = WeightsDoor(acting, max_action_jump=0.0)
    made.watch(probes())
    made.require(offer(8, bias=1.0), PRESENT)
    assert acting.weights_bytes() == before
    assert acting.revision == PRETRAINED


@pytest.mark.parametrize("revision", [PRETRAINED, 0, -1, -(1 << 62), 1 << 60])
def test_only_newer_revisions_pass_and_none_that_would_shut_the_door_for_good(revision):
    refused(offer(revision), "not newer")


def test_a_learner_step_never_goes_back():
    refused(offer(9, 4), "another run's learner", Present(8, 5, 0))


def test_bytes_that_do_not_match_their_hash_are_not_parsed():
    whole = offer(8)
    refused(whole._replace(sha256="0" * 64), "sha256")
    refused(whole._replace(data=whole.data[:-1] + b"\0"), "sha256")
    refused(whole._replace(sha256=""), "sha256")


def test_what_goes_on_from_weights_that_were_given_up_is_refused():
    refused(offer(9, rollbacks=0), "has not gone back yet", Present(8, 0, 1))
    door().require(offer(9, rollbacks=1), Present(8, 0, 1))
    refused(sealed(weights_bytes(networks(), {"rollbacks": "-1"}), 9), "has not gone back")
    refused(sealed(weights_bytes(networks(), {"rollbacks": "9" * 400}), 9), "has not gone back")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(value):
    spoiled = networks()
    with torch.no_grad():
        spoiled.actor.head.mean.bias[1] = value
    refused(sealed(weights_bytes(spoiled), 8), "non-finite")


def test_finite_weights_whose_actions_are_not_are_refused():
    spoiled = networks()
    with torch.no_grad():
        for weights in spoiled.actor.parameters():
            weights.copy_(torch.where(torch.arange(weights.numel()).view(weights.shape) % 2 == 0, 3e38, -3e38))
    refused(sealed(weights_bytes(spoiled), 8), "not finite")


def test_actions_may_jump_as_far_as_the_bound_and_no_further():
    jump = door().require(offer(8, bias=0.5), PRESENT)
    assert door(max_action_jump=jump * 1.01).require(offer(8, bias=0.5), PRESENT) == jump
    with pytest.raises(CheckpointError, match="raise max_action_jump"):
        door(max_action_jump=jump * 0.99).require(offer(8, bias=0.5), PRESENT)
    assert door(max_action_jump=jump * 0.99).require(offer(8, bias=0.5), PRESENT, any_jump=True) == jump


def test_the_jump_is_measured_from_the_weights_that_act_now():
    acting = policy()
    made = WeightsDoor(acting, max_action_jump=0.4)
    made.watch(probes())
    for k in range(1, 6):  # each a small one, together far more than the bound
        made.require(offer(PRETRAINED + k, bias=0.3 * k), PRESENT)
        acting.set_weights(offer(0, bias=0.3 * k).data, revision=PRETRAINED + k)


def test_without_probes_any_finite_weights_pass():
    made = WeightsDoor(policy(), max_action_jump=0.01)
    assert np.isnan(made.require(offer(8, bias=3.0), PRESENT))


def test_probes_of_another_size_are_refused_in_one_line():
    with pytest.raises(CheckpointError, match="cannot act on the probes"):
        door().watch(probes()._replace(state=np.zeros((16, 2), np.float32)))
    with pytest.raises(CheckpointError, match="cannot act on the probes"):
        door().watch(probes()._replace(images={}))


@pytest.mark.parametrize("jump", [-0.1, 2.1, float("nan")])
def test_a_bound_that_cannot_be_is_refused(jump):
    with pytest.raises(ConfigError, match="max_action_jump"):
        door(max_action_jump=jump)


# --- the form ----------------------------------------------------------------------------------------------------
def _renamed(header):
    header["evil"] = header.pop("actor.head.mean.bias")


def _other_dtype(header):
    header["actor.head.mean.bias"]["dtype"] = "I32"


def _other_shape(header):
    header["actor.head.mean.bias"]["shape"] = [1, 3]


def _huge_shape(header):
    header["actor.head.mean.bias"]["shape"] = [1 << 40, 1 << 40]


def _one_more(header):
    header["evil"] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


def _one_less(header):
    del header["actor.head.mean.bias"]


def _offsets_outside(header):
    header["actor.head.mean.bias"]["data_offsets"] = [0, 1 << 40]


def _overlapping(header):
    header["actor.head.mean.bias"]["data_offsets"] = header["actor.head.spread.bias"]["data_offsets"]


def _metadata_of_numbers(header):
    header["__metadata__"] = {"rollbacks": 3}


SPOILED = [v for k, v in list(globals().items()) if k.startswith("_") and callable(v) and v.__module__ == __name__]


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__[1:])
def test_a_header_that_is_not_the_networks_is_refused(spoil):
    data = weights_bytes(networks())
    header = header_of(data)
    spoil(header)
    refused(sealed(with_header(data, header), 8), "weights of revision 8")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:7],
        lambda data: data[:-4],
        lambda data: data + b"\0",
        lambda data: data * 3,
        lambda data: (1 << 63).to_bytes(8, "little") + data[8:],
        lambda data: bytes(8) + data[8:],
        lambda data: with_header(data, b"[" * 6000),
        lambda data: with_header(data, b"not json"),
        lambda data: with_header(data, b"\xff\xfe"),
        lambda data: with_header(data, ["a", "list"]),
        lambda data: with_header(data, b'{"a": 1, "a": 2}'),
        lambda data: b"\x80\x04" + data[2:],
    ],
)
def test_bytes_that_are_no_weights_are_refused_in_one_line(spoil):
    refused(sealed(spoil(weights_bytes(networks())), 8), "weights of revision 8")


def test_a_thousand_spoiled_bytes_never_raise_anything_else():
    rng, data, subject = np.random.default_rng(0), weights_bytes(networks()), door()
    header = 8 + int.from_bytes(data[:8], "little")
    for _ in range(1000):
        spoiled = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            spoiled[int(rng.integers(header if rng.random() < 0.8 else len(data)))] = int(rng.integers(256))
        with contextlib.suppress(CheckpointError):
            subject.require(sealed(bytes(spoiled), 8), PRESENT)


def test_what_is_wanted_bounds_what_is_read():
    wanted = {"w": TensorForm("F32", (2, 3))}
    huge = (1 << 20).to_bytes(8, "little") + b" " * (1 << 20) + bytes(24)
    with pytest.raises(CheckpointError, match="a header of at most"):
        require_form(huge, wanted, where="x")


def test_a_name_twice_is_refused():
    entry = '"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'
    text = f"{{{entry}, {entry}}}".encode()
    with pytest.raises(CheckpointError, match="a name twice"):
        require_form(len(text).to_bytes(8, "little") + text + bytes(4), {"w": TensorForm("F32", (1,))}, where="x")
