"""What is compared: the same person with every label right, with some wrong, and one who never takes over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

WATCHES_ONLY = {"simulated.patience_steps": 1_000_000, "simulated.off_course_m": 1000.0}
DEMONSTRATOR = {"simulated.noise": 0.3, "simulated.bias_m": 0.016, "simulated.distracted": 0.1, "simulated.speed": 0.5}
"""As poor as the demo's expert on purpose: nearly half of its episodes miss, which a classifier needs to see."""


@dataclass(frozen=True)
class Arm:
    """wrong_labels: share of the episodes that are labelled wrong, of demonstrations and online alike."""

    name: str
    title: str
    wrong_labels: float = 0.0
    person: dict[str, Any] = field(default_factory=dict)


ARMS = (
    Arm("right", "labels right"),
    Arm("wrong", "5 % of the labels wrong", wrong_labels=0.05),
    Arm("alone", "never taken over, labels right", person=WATCHES_ONLY),
)


@dataclass(frozen=True)
class Sizes:
    """How much of everything; the demo's settings, made smaller where minutes count."""

    clearance_m: float = 0.010
    demo_episodes: int = 80
    classifier_steps: int = 300
    precision: tuple[float, ...] = (0.98, 0.95, 0.9, 0.8)  # the first that the labels allow
    offline_steps: int = 500
    warmup_steps: int = 300
    online_steps: int = 1200
    intervention_share: float = 0.5
    save_every: int = 300
    eval_episodes: int = 30


DEMO_SEEDS, ONLINE_SEEDS, EVALUATION_SEEDS = 0, 200_000, 900_000
SEEDS_A_RUN = 1_000_000
