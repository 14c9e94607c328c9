"""Milliseconds per image update: ours beside a naive one. `python benchmarks/update_speed.py [--out FILE.json]`

Two 64x64 cameras, batch 128, two critics, 4 sampled actions of each kind, 3-d actions, float32 or bfloat16.
The naive variant is written as most PyTorch ports are: a float crop per image, a four-layer encoder at stride 1, the
frames encoded again for the actor, latents repeated once per sampled action, critics in a Python loop and called once
per kind of action, and every metric read back. One more row gives our code that same encoder, to tell the two apart.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from o2o_robot.algorithms import losses
from o2o_robot.algorithms.actor_critic import ActorCritic
from o2o_robot.data.provenance import machine, versions
from o2o_robot.data.returns import RewardTransform
from o2o_robot.presets import calql, preset
from o2o_robot.types import Batch, ObservationSpec

SPEC = ObservationSpec(("wrist", "front"), 64, (("tool_position_m", 3),))
TRANSFORM = RewardTransform(1.0, -1.0, 0.97)
BATCH = 128


def make_batch(rng: np.random.Generator) -> Batch:
    def images() -> dict[str, np.ndarray]:
        return {name: rng.integers(0, 256, (BATCH, 64, 64, 3), np.uint8) for name in SPEC.cameras}

    def rows(n: int) -> np.ndarray:
        return rng.uniform(-1, 1, (BATCH, n)).astype(np.float32)

    zeros = np.zeros(BATCH, np.float32)
    return Batch(images(), images(), rows(3), rows(3), rows(3), zeros, zeros > 0, zeros - 20)


class NaiveCalQL:
    """The same losses, the plain way."""

    def __init__(self, n: int = 4) -> None:
        self.n = n
        self.encoders = nn.ModuleList(_encoder() for _ in SPEC.cameras)
        self.critics, self.targets = (nn.ModuleList(_mlp(64 * 2 + 3 + 3, 1) for _ in range(2)) for _ in range(2))
        self.actor = _mlp(64 * 2 + 3, 6)
        self.critic_adam = torch.optim.Adam([*self.encoders.parameters(), *self.critics.parameters()], 3e-4)
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), 3e-4)

    def update(self, batch: Batch) -> dict[str, float]:
        z, z_next = self._encode(batch.images, batch.state), self._encode(batch.next_images, batch.next_state).detach()
        action, mc_return = torch.from_numpy(batch.action), torch.from_numpy(batch.mc_return)
        with torch.no_grad():
            a_next, w_next = self._act(z_next, self.n)
            a_here, w_here = self._act(z, self.n)
            best = losses.best_next(self._q(self.targets, z_next, a_next), torch.arange(2))
            target = losses.td_target(
                torch.from_numpy(batch.reward) - 1, torch.from_numpy(batch.terminated), best, 0.97
            )
        uniform = torch.rand(BATCH, self.n, 3) * 2 - 1
        values = losses.Values(*(self._q(self.critics, z, a) for a in (uniform, a_here, a_next)))
        densities = losses.LogDensities(torch.full((BATCH, self.n), -2.08), w_here, w_next)
        q_data = self._q(self.critics, z, action.unsqueeze(1)).squeeze(2)
        gap = losses.calibrated_gap(values, densities, q_data, mc_return).mean()
        critic_loss = losses.td_loss(q_data, target) + 5 * gap
        self.critic_adam.zero_grad()
        critic_loss.backward()
        self.critic_adam.step()
        a_pi, w_pi = self._act(self._encode(batch.images, batch.state).detach(), 1)
        actor_loss = (0.1 * w_pi - self._q(self.critics, z.detach(), a_pi).amin(0)).mean()
        self.actor_adam.zero_grad()
        actor_loss.backward()
        self.actor_adam.step()
        for target_parameter, parameter in zip(self.targets.parameters(), self.critics.parameters(), strict=True):
            target_parameter.data.mul_(0.99).add_(parameter.data, alpha=0.01)
        return {"critic": critic_loss.item(), "gap": gap.item(), "actor": actor_loss.item(), "q": q_data.mean().item()}

    def _encode(self, images: dict[str, np.ndarray], state: np.ndarray) -> Tensor:
        parts = []
        for encoder, name in zip(self.encoders, SPEC.cameras, strict=True):
            pixels = F.pad(torch.from_numpy(images[name]).permute(0, 3, 1, 2).float() / 255, (4, 4, 4, 4), "replicate")
            y, x = torch.randint(0, 9, (2, BATCH)).tolist()
            parts.append(encoder(torch.stack([pixels[b, :, y[b] : y[b] + 64, x[b] : x[b] + 64] for b in range(BATCH)])))
        return torch.cat([*parts, torch.from_numpy(state)], 1)

    def _act(self, z: Tensor, n: int) -> tuple[Tensor, Tensor]:
        mean, log_std = self.actor(z.repeat_interleave(n, 0)).chunk(2, -1)
        normal = torch.distributions.Normal(mean, log_std.clamp(-5, 1).exp())
        u = normal.rsample()
        log_prob = (normal.log_prob(u) - 2 * (0.6931 - u - F.softplus(-2 * u))).sum(-1)
        return torch.tanh(u).view(BATCH, n, 3), log_prob.view(BATCH, n)

    def _q(self, critics: nn.ModuleList, z: Tensor, action: Tensor) -> Tensor:
        n = action.shape[1]
        joint = torch.cat([z.repeat_interleave(n, 0), action.reshape(BATCH * n, 3)], 1)
        return torch.stack([critic(joint).view(BATCH, n) for critic in critics])


def _encoder() -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, stride in ((3, 2), (32, 1), (32, 1), (32, 1)):
        layers += [nn.Conv2d(n_in, 32, 3, stride), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 25 * 25, 64), nn.LayerNorm(64), nn.Tanh())


def _mlp(n_in: int, n_out: int) -> nn.Sequential:
    hidden = [nn.Linear(n_in, 256), nn.LayerNorm(256), nn.ReLU(), nn.Linear(256, 256), nn.LayerNorm(256), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(256, n_out))


def milliseconds(update: Callable[[Batch], object], batch: Batch, *, n: int) -> dict[str, float]:
    """Wall time, median and fastest of n updates after three; and the processor time of the median, over all threads.

    Processor time at --threads 1 is the figure to compare where other programs share the machine.
    """
    wall, processor = [], []
    for _ in range(n + 3):
        start = time.perf_counter(), time.process_time()
        update(batch)
        wall.append(1e3 * (time.perf_counter() - start[0]))
        processor.append(1e3 * (time.process_time() - start[1]))
    return {
        "median_ms": float(np.median(wall[3:])),
        "fastest_ms": min(wall[3:]),
        "cpu_ms": float(np.median(processor[3:])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "update_speed.json")
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    batch, rows = make_batch(np.random.default_rng(0)), {}
    for name in ("calql", "wsrl"):
        for precision in ("f32", "bf16"):
            config = replace(preset(name), precision=precision, batch_size=BATCH)
            learner = ActorCritic(config, SPEC, 3, TRANSFORM)
            rows[f"{name} {precision}"] = milliseconds(learner.update, batch, n=options.updates)
    naive = replace(calql(), precision="f32", convs=((32, 3, 2), (32, 3, 1), (32, 3, 1), (32, 3, 1)))
    rows["calql f32, four-layer stride-1 encoder"] = milliseconds(
        ActorCritic(naive, SPEC, 3, TRANSFORM).update, batch, n=max(3, options.updates // 6)
    )
    rows["naive calql f32"] = milliseconds(NaiveCalQL().update, batch, n=max(3, options.updates // 6))
    print(f"{'update':45s} {'median ms':>10s} {'fastest ms':>11s} {'CPU ms':>9s}")
    for name, row in rows.items():
        print(f"{name:45s} {row['median_ms']:10.1f} {row['fastest_ms']:11.1f} {row['cpu_ms']:9.1f}")
    where = machine() | {"threads": torch.get_num_threads()}
    options.out.write_text(json.dumps({"machine": where, "versions": versions(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
