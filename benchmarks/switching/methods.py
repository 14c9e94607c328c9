"""The compared methods: what each is pretrained by, what it runs online, and how it crosses the switch.

Sizes are common to all. `wsrl` is the published one: after Cal-QL, SAC at four critic steps a step, no offline data, a
frozen warm-up, and no max-target backup online. The variants each change one thing at the switch. The learning rates
are three times the usual ones, since the budgets are a hundredth of the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from o2o_robot.algorithms.config import AlgoConfig
from o2o_robot.algorithms.switch_plan import SwitchPlan
from o2o_robot.errors import ConfigError
from o2o_robot.presets import preset

SIZES: dict[str, Any] = {
    "critic_widths": (128, 128),
    "actor_widths": (128, 128),
    "state_latent": 0,
    "batch_size": 128,
    "n_sampled_actions": 4,
    "precision": "f32",
    "critic_lr": 1e-3,
    "actor_lr": 1e-3,
    "temperature_lr": 1e-3,
}
FAST: dict[str, Any] = {"utd": 4.0, "critic_steps": 4}
WARMUP_STEPS = 500
AT_ONCE = SwitchPlan(warmup_steps=0)
WARM = SwitchPlan(warmup_steps=WARMUP_STEPS)
RECALIBRATED = replace(WARM, recalibrate_updates=400, anchor_updates=1000)
CORESET, CORESET_SHARE = 0.05, 0.1


@dataclass(frozen=True)
class Method:
    """pretrained: the preset trained offline first, None from scratch. online, plan: what runs after the switch.

    append: the offline data lie in the online replay (as IQL has it). coreset: the part of the offline data, by whole
    episodes, that online.offline_share draws from; 1 is all of them.
    """

    name: str
    label: str
    pretrained: str | None
    online: AlgoConfig
    plan: SwitchPlan = field(default_factory=SwitchPlan)
    append: bool = False
    coreset: float = 1.0


def sized(name: str, **differing: Any) -> AlgoConfig:
    """A preset at the benchmark's sizes."""
    return replace(preset(name), **(SIZES | differing))


def published() -> Iterable[Method]:
    calql, retained = sized("calql"), {"offline_share": 0.5}
    yield Method("cql", "CQL, half offline", "cql", sized("cql", **retained), AT_ONCE)
    yield Method("calql", "Cal-QL, half offline", "calql", sized("calql", **retained), AT_ONCE)
    yield Method("iql", "IQL, data appended", "iql", sized("iql"), AT_ONCE, append=True)
    yield Method("sac", "SAC from scratch", None, sized("sac", **FAST), WARM)
    rlpd = sized("rlpd", n_critics=5, **FAST)
    yield Method("rlpd", "RLPD from scratch", None, rlpd, WARM)
    yield Method("calql_no_retention", "Cal-QL, no offline data", "calql", calql, AT_ONCE)
    yield Method("wsrl", "WSRL", "calql", wsrl(), WARM)


def variants() -> Iterable[Method]:
    continuous = replace(wsrl(), max_target_backup=True)
    anchored = replace(wsrl(), anchor_weight=1.0)
    few = replace(wsrl(), offline_share=CORESET_SHARE)
    by_criterion = replace(WARM, warmup_precision=0.08)
    yield Method("wsrl_no_warmup", "WSRL without warm-up", "calql", wsrl(), AT_ONCE)
    yield Method("wsrl_h1", "WSRL + same target rule (H1)", "calql", continuous, WARM)
    yield Method("wsrl_h3", "WSRL + warm-up by criterion (H3)", "calql", wsrl(), by_criterion)
    yield Method("wsrl_h4", "WSRL + 5 % coreset (H4)", "calql", few, WARM, coreset=CORESET)
    yield Method("wsrl_h1_h4", "WSRL + H1 and H4", "calql", replace(few, max_target_backup=True), WARM, coreset=CORESET)
    yield Method("wsrl_h1_h2_h4", "WSRL + H1, H2 and H4", "calql", all_three(), RECALIBRATED, coreset=CORESET)
    yield Method("steady", "ours: WSRL + critic first (H2)", "calql", anchored, RECALIBRATED)


def wsrl() -> AlgoConfig:
    """WSRL's online phase with Cal-QL's own learning rates: SAC, four critic steps to one of the policy."""
    return sized("calql", cql_alpha=0.0, calibrate=False, max_target_backup=False, **FAST)


def all_three() -> AlgoConfig:
    """WSRL with the same target rule, the critic first, a trust region that is let go, and a small coreset."""
    return replace(wsrl(), max_target_backup=True, anchor_weight=1.0, offline_share=CORESET_SHARE)


def methods() -> dict[str, Method]:
    """All of them by name, in the order of the table."""
    return {method.name: method for method in (*published(), *variants())}


PUBLISHED = tuple(method.name for method in published())


def choose(names: Iterable[str] | None) -> list[Method]:
    """The methods of these names, all where None. ConfigError lists the known ones."""
    known = methods()
    wrong = [name for name in names or () if name not in known]
    if wrong:
        raise ConfigError(f"no method '{wrong[0]}'; there are {', '.join(known)}")
    return [known[name] for name in (names or known)]


def method_named(name: str) -> Method:
    """ConfigError lists the known ones."""
    return choose([name])[0]
