"""Adam's moments as named tensors, and back: all of them or none, each into the weight it belongs to.

Keys are OPTIMISER.INDEX.{step,exp_avg,exp_avg_sq}, INDEX counting the optimiser's parameters. A parameter that has not
been stepped yet has no moments, before as after.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from o2o_robot.errors import CheckpointError

Optimisers = Mapping[str, torch.optim.Adam]
_KEYS = {"step", "exp_avg", "exp_avg_sq"}


def as_tensors(optimisers: Optimisers) -> dict[str, Tensor]:
    """The state of all optimisers, by key."""
    return {
        f"{name}.{index}.{key}": torch.as_tensor(value)
        for name, optimiser in optimisers.items()
        for index, moments in optimiser.state_dict()["state"].items()
        for key, value in moments.items()
    }


def counts(optimisers: Optimisers) -> dict[str, int]:
    """How many parameters of each optimiser have moments."""
    return {name: len(optimiser.state_dict()["state"]) for name, optimiser in optimisers.items()}


def restore(
    optimisers: Optimisers,
    saved: Mapping[str, Tensor],
    networks: nn.Module,
    *,
    expected: Mapping[str, int] | None = None,
    where: str,
) -> None:
    """Put `saved` back. CheckpointError names each weight whose moments are missing, foreign or of another shape.

    expected: the `counts` at the time of saving. networks: who names the weights.
    """
    names = {id(parameter): name for name, parameter in networks.named_parameters()}
    state: dict[str, dict[int, dict[str, Tensor]]] = {name: {} for name in optimisers}
    bad = []
    for path, value in saved.items():
        owner, index, key = [*path.split("."), "", "", ""][:3]
        parameters = optimisers[owner].param_groups[0]["params"] if owner in optimisers else []
        if not index.isdecimal() or not int(index) < len(parameters):
            bad.append(f"has {path}, which is no parameter's that this learner trains")
            continue
        parameter = parameters[int(index)]
        name = f"{owner}'s moments of {names.get(id(parameter), index)}"
        if key != "step" and value.shape != parameter.shape:
            bad.append(f"{name} have shape {tuple(value.shape)}, the weights {tuple(parameter.shape)}")
        elif not torch.isfinite(value).all():
            bad.append(f"{name} hold a non-finite number")
        state[owner].setdefault(int(index), {})[key] = _laid_out_as(parameter, value)
    bad += _missing(state, expected)
    if bad:
        raise CheckpointError(f"{where}: does not fit the optimisers: {'; '.join(bad)}")
    for owner, moments in state.items():
        groups = optimisers[owner].state_dict()["param_groups"]
        optimisers[owner].load_state_dict({"state": moments, "param_groups": groups})


def _missing(state: Mapping[str, Mapping[int, Mapping[str, Tensor]]], expected: Mapping[str, int] | None) -> list[str]:
    bad = [
        f"lacks {owner}.{index}.{key}"
        for owner, moments in state.items()
        for index, found in moments.items()
        for key in sorted(_KEYS - set(found))
    ]
    if expected is None:
        return bad
    for owner in sorted({*state, *expected}):
        found_n, wanted = len(state.get(owner, {})), expected.get(owner, 0)
        if found_n != wanted and owner in state:
            bad.append(f"lacks moments of '{owner}': {found_n} parameters have them, {wanted} had")
        elif found_n != wanted:
            bad.append(f"has moments of '{owner}', which this learner does not train")
    return bad


def _laid_out_as(parameter: Tensor, moment: Tensor) -> Tensor:
    """The moment in the memory layout of its weights (channels_last for convolutions).

    Fused Adam walks both in memory order: a moment in another layout would be applied to the wrong weights.
    """
    if moment.shape != parameter.shape:
        return moment  # the step count
    return torch.empty_like(parameter, requires_grad=False).copy_(moment)
