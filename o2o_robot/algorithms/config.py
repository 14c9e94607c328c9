"""Every choice an update makes, in one frozen place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from o2o_robot.errors import ConfigError

Precision = Literal["auto", "f32", "bf16"]


@dataclass(frozen=True)
class AlgoConfig:
    """Settings of the one actor-critic; presets.py names the known combinations.

    Reward scale, bias and discount are not here: they live in the one RewardTransform that also made the returns.

    Architecture (fixed for the life of a checkpoint): n_critics, widths, layer norms, encoder and its sizes (convs are
    channels, kernel, stride; state_latent 0 hands the standardised state through), frame_stack, the actor's kind, its
    std_mode (exp, softplus: the spread depends on the state; uniform: one learned spread per dimension) and squash
    (tanh: a squashed Gaussian; mean: only the mean is squashed, as IQL has it), chunk (actions a decision, Q-chunking),
    gripper (discrete: the last action is chosen by a grasp critic), value_net (V(s), for IQL), feature_norm.
    TD target, td="soft": the minimum over a random subset of n_min target critics (REDQ; subset_replacement draws it
    with replacement); max_target_backup takes the best of n_sampled_actions next actions (CQL's max backup, QC's best
    of N), else one action is drawn; backup_entropy subtracts its log-density. td="iql": V(s') learned by expectile.
    td="none": no critic is trained and the policy's own gradient shapes the encoder (BC). q_bounds clips targets.
    Policy: policy_loss soft (SAC), awr, ddpg_bc, bc; bc_weight adds log-likelihood of the data to soft and ddpg_bc;
    anchor_weight adds the divergence from a frozen reference policy; update_actor False trains the critic alone.
    Conservatism: cql_alpha 0 is none; cql_lagrange_gap makes it a multiplier that holds the gap there (cql_alpha is
    where it starts); cql_importance False is CQL without densities; calibrate floors policy actions' values at the
    Monte-Carlo return (Cal-QL), calibrate_uniform the uniform ones too.
    target_entropy None means -n_action; it is the same in every preset, so that no phase switch moves it.
    utd: critic steps per environment step online; critic_steps: critic steps before each actor step; offline_share:
    what part of each mini-batch comes from retained offline data; intervention_share: what part comes from steps that a
    person moved (data/human.py). zero_grad_adam: step the actor's Adam with zero
    gradients in critic-only steps, which is what the JAX codes do; it lets their learning rates be compared.
    """

    n_critics: int = 2
    critic_widths: tuple[int, ...] = (256, 256)
    actor_widths: tuple[int, ...] = (256, 256)
    critic_layer_norm: bool = True
    actor_layer_norm: bool = True
    encoder: Literal["conv", "resnet10"] = "conv"
    convs: tuple[tuple[int, int, int], ...] = ((32, 4, 4), (32, 3, 2), (32, 3, 2))
    image_latent: int = 64
    state_latent: int = 32
    n_spatial: int = 8
    frame_stack: int = 1
    actor: Literal["gaussian", "flow"] = "gaussian"
    std_mode: Literal["exp", "softplus", "uniform"] = "exp"
    squash: Literal["tanh", "mean"] = "tanh"
    chunk: int = 1
    gripper: Literal["continuous", "discrete"] = "continuous"
    value_net: bool = False
    feature_norm: bool = False

    critic_lr: float = 3e-4
    actor_lr: float = 3e-4
    temperature_lr: float = 3e-4
    tau: float = 0.01
    batch_size: int = 128
    utd: float = 1.0
    critic_steps: int = 1
    update_actor: bool = True
    zero_grad_adam: bool = False
    freeze_trunk: bool = False
    offline_share: float = 0.0
    intervention_share: float = 0.0

    td: Literal["soft", "iql", "none"] = "soft"
    n_min: int = 2
    subset_replacement: bool = False
    backup_entropy: bool = False
    max_target_backup: bool = False
    q_bounds: tuple[float, float] | None = None

    policy_loss: Literal["soft", "awr", "ddpg_bc", "bc"] = "soft"
    actor_q: Literal["min", "mean"] = "min"
    bc_weight: float = 0.0
    anchor_weight: float = 0.0
    expectile: float = 0.7
    awr_beta: float = 3.0
    awr_clip: float = 100.0
    dual: Literal["exp", "softplus"] = "exp"
    initial_temperature: float = 0.1
    target_entropy: float | None = None

    cql_alpha: float = 0.0
    cql_lagrange_gap: float | None = None
    cql_importance: bool = True
    cql_clip: tuple[float, float] | None = None
    cql_temperature: float = 1.0
    n_sampled_actions: int = 4
    calibrate: bool = False
    calibrate_uniform: bool = False

    grasp_penalty: float = 0.02
    bonus: Literal["none", "rnd", "sera"] = "none"
    bonus_scale: float = 1.0

    crop_pad: int = 4
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        _check_ranges(self)
        _check_combinations(self)

    def entropy_target(self, n_action: int) -> float:
        """The entropy (nats) the temperature steers to; n_action counts every dimension of a decision."""
        return -float(n_action) if self.target_entropy is None else self.target_entropy

    @property
    def conservative(self) -> bool:
        """Whether the critic loss has a CQL term."""
        return self.cql_alpha > 0


def _check_ranges(config: AlgoConfig) -> None:
    if not 1 <= config.n_min <= config.n_critics:
        raise ConfigError(f"n_min must lie in 1..n_critics ({config.n_critics}), got {config.n_min}")
    if not 0 < config.tau <= 1:
        raise ConfigError(f"tau must lie in (0, 1], got {config.tau}; 0.005 to 0.02 is usual")
    if not 0 <= config.offline_share <= 1:
        raise ConfigError(f"offline_share must lie in [0, 1], got {config.offline_share}; RLPD uses 0.5, WSRL 0")
    if not 0 <= config.intervention_share <= 1:
        raise ConfigError(f"intervention_share must lie in [0, 1], got {config.intervention_share}; HIL-SERL keeps 0.5")
    if not 0 < config.expectile < 1:
        raise ConfigError(f"expectile must lie in (0, 1), got {config.expectile}; 0.7 to 0.9 is usual")
    positive = ("critic_lr", "actor_lr", "batch_size", "utd", "critic_steps", "n_sampled_actions", "cql_temperature")
    for name in (*positive, "initial_temperature", "chunk", "frame_stack", "n_spatial", "awr_clip"):
        value = getattr(config, name)
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name} must be > 0, got {value}")
    for name in (
        "cql_alpha",
        "crop_pad",
        "temperature_lr",
        "bc_weight",
        "anchor_weight",
        "awr_beta",
        "grasp_penalty",
        "bonus_scale",
        "state_latent",
    ):
        if not (math.isfinite(getattr(config, name)) and getattr(config, name) >= 0):
            raise ConfigError(f"{name} must be >= 0, got {getattr(config, name)}")
    for name in ("q_bounds", "cql_clip"):
        bounds = getattr(config, name)
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ConfigError(f"{name} must be (low, high) with low < high, got {bounds}")
    if not config.critic_widths or not config.actor_widths:
        raise ConfigError("critic_widths and actor_widths need at least one width, such as (256, 256)")


def _check_combinations(config: AlgoConfig) -> None:
    if (config.calibrate or config.calibrate_uniform) and config.cql_alpha == 0:
        raise ConfigError("calibrate=True does nothing while cql_alpha is 0; set cql_alpha (Cal-QL uses 5.0)")
    if config.cql_lagrange_gap is not None and config.cql_alpha == 0:
        raise ConfigError("cql_lagrange_gap needs cql_alpha > 0 to start the multiplier from (Cal-QL's code: 1.0)")
    if config.backup_entropy and config.max_target_backup:
        raise ConfigError("backup_entropy and max_target_backup do not combine; switch one of them off")
    if (config.td == "iql" or config.policy_loss == "awr") and not config.value_net:
        raise ConfigError("td='iql' and policy_loss='awr' need V(s); set value_net=True (preset iql does)")
    if config.td != "soft" and config.cql_alpha > 0:
        raise ConfigError(f"td='{config.td}' and cql_alpha > 0 do not combine: set cql_alpha=0, or td='soft' for CQL")
    if config.td == "none" and config.policy_loss != "bc":
        raise ConfigError(f"td='none' trains no critic, which policy_loss='{config.policy_loss}' needs; use 'bc'")
    if config.actor == "flow" and (config.policy_loss != "bc" or config.conservative or config.td == "iql"):
        raise ConfigError("actor='flow' is trained by policy_loss='bc' and td='soft' without cql_alpha (preset qc)")
    if config.actor == "flow" and (config.backup_entropy or config.anchor_weight):
        raise ConfigError("actor='flow' has no density: backup_entropy and anchor_weight must be off")
    if config.squash == "mean" and config.conservative:
        raise ConfigError("squash='mean' puts density outside [-1, 1]; CQL's samples need squash='tanh'")
    if config.bonus != "none" and config.calibrate and config.chunk > 1:
        raise ConfigError("calibrate with a bonus needs its returns step by step; use chunk=1, or calibrate=False")
    if config.gripper == "discrete" and config.chunk > 1:
        raise ConfigError("gripper='discrete' chooses one grasp a step; use chunk=1, or the continuous gripper")


ARCHITECTURE = (
    "n_critics",
    "critic_widths",
    "actor_widths",
    "critic_layer_norm",
    "actor_layer_norm",
    "encoder",
    "convs",
    "image_latent",
    "state_latent",
    "n_spatial",
    "frame_stack",
    "actor",
    "std_mode",
    "squash",
    "chunk",
    "gripper",
    "value_net",
    "feature_norm",
)


def use_bfloat16(precision: Precision, device: str = "cpu") -> bool:
    """Whether products run in bfloat16. "auto" asks the processor: AMX or AVX-512 bf16.

    It times nothing: a choice that depends on the load would make two runs of one seed differ.
    """
    if precision != "auto":
        return precision == "bf16"
    if device != "cpu":
        return True
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
