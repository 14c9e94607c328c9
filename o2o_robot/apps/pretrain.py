"""Learn a policy from an episode store: `o2o pretrain data/peg.zarr --out runs/pretrain --steps 2000`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from o2o_robot import config as settings
from o2o_robot.algorithms import checkpoint
from o2o_robot.algorithms.actor_critic import ActorCritic
from o2o_robot.algorithms.config import AlgoConfig, use_bfloat16
from o2o_robot.algorithms.metrics import MetricsLog
from o2o_robot.algorithms.offline import pretrain
from o2o_robot.algorithms.phases import Phase
from o2o_robot.data.episode import full_spec
from o2o_robot.data.provenance import git_revision, versions
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.data.returns import RewardTransform, Tail
from o2o_robot.data.store import EpisodeStore
from o2o_robot.diagnostics.calibration import Calibration, bound_alarm, calibration
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.jsonfile import write_json
from o2o_robot.presets import preset as named_preset
from o2o_robot.types import Batch, ObservationSpec

PREFERRED_PROPRIO = ("tool_position_m", "q_rad")


def main(
    store: Annotated[Path, tyro.conf.Positional],
    *,
    out: Path,
    steps: int = 2000,
    preset: str = "calql",
    seed: int = 0,
    settings_file: Path | None = None,
    cameras: tuple[str, ...] = (),
    proprio: tuple[str, ...] = (),
    reward_scale: float = 1.0,
    reward_bias: float = -1.0,
    discount: float = 0.97,
    tail: Tail = "stationary",
    threads: int | None = None,
) -> int:
    """Pretrain on logged episodes. OUT gets checkpoint/, metrics.jsonl, tensorboard/ and summary.json.

    Args:
        store: the episode store (`o2o ingest` makes one).
        out: the run folder to make.
        steps: number of updates.
        preset: calql, cql, sac, ... (presets.py).
        seed: seeds the networks, the batches and the noise.
        settings_file: YAML of AlgoConfig settings that replace the preset's.
        cameras: which cameras the policy looks at; all of the store's unless told.
        proprio: which proprioception fields it reads; tool_position_m, else q_rad, else all, unless told.
        reward_scale: the critic learns scale * reward + bias ...
        reward_bias: ... and -1 turns 0/1 rewards into -1 per step until success.
        discount: of future rewards, per step.
        tail: what stands for the future of an episode that was cut short: stationary, zero or invalid.
        threads: CPU threads; the machine's cores unless told.
    """
    console = Console()
    if threads is not None:
        torch.set_num_threads(threads)
    config = _settings(preset, settings_file)
    transform = RewardTransform(reward_scale, reward_bias, discount)
    with EpisodeStore.open(store) as episodes:
        spec = choose_spec(episodes, cameras=cameras, proprio=proprio)
        replay = ReplayBuffer.from_store(episodes, spec, transform=transform, tail=tail)
        provenance = {
            "store": str(store),
            "fingerprint": episodes.fingerprint(),
            "episodes": len(episodes),
            "steps": episodes.n_steps,
        }
    _say_what(console, config, spec, replay, provenance)
    started = time.monotonic()
    with MetricsLog(out) as log, _progress(console, steps) as tick:
        learner = pretrain(replay, config, steps=steps, seed=seed, on_log=lambda k, m: tick(k, log.write(k, m)))
    wall_s = time.monotonic() - started
    found = measure(learner, replay, seed=seed)
    provenance |= {"seed": seed, "tail": tail, "versions": versions(), "git_revision": git_revision()}
    folder = checkpoint.save(out / "checkpoint", learner, phase=Phase.PRETRAIN, provenance=provenance)
    write_json(out / "summary.json", _summary(learner, provenance, found, steps=steps, wall_s=wall_s))
    _say_result(console, found, folder, steps=steps, wall_s=wall_s)
    return 0


def measure(learner: ActorCritic, replay: ReplayBuffer, *, seed: int, n: int = 1024) -> Calibration:
    """Q against Monte-Carlo returns at about n transitions of the replay (D4)."""
    rng = np.random.default_rng((seed, 1 << 32))
    parts = [_values(learner, replay.sample(128, rng)) for _ in range(max(1, n // 128))]
    return calibration(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def choose_spec(
    store: EpisodeStore, *, cameras: tuple[str, ...] = (), proprio: tuple[str, ...] = ()
) -> ObservationSpec:
    """What to look at, by what the store's first episode holds; DataError where it lacks what was asked."""
    if len(store) == 0:
        raise DataError(f"{store.path} holds no episode; ingest recordings first")
    episode = store.read(0)
    _require(cameras, tuple(episode.images), "camera")
    _require(proprio, tuple(episode.state), "proprioception field")
    fields = proprio or next(((name,) for name in PREFERRED_PROPRIO if name in episode.state), tuple(episode.state))
    seen = dataclasses.replace(
        episode,
        images={name: episode.images[name] for name in cameras or tuple(episode.images)},
        state={name: episode.state[name] for name in fields},
    )
    return full_spec(seen)


def _require(asked: tuple[str, ...], there: tuple[str, ...], what: str) -> None:
    for name in asked:
        if name not in there:
            raise DataError(f"{what} '{name}' is not in the store, which has: {', '.join(there) or 'none'}")


def _settings(preset: str, path: Path | None) -> AlgoConfig:
    """The preset, with the YAML file's settings in place of its own."""
    config = named_preset(preset)
    if path is None:
        return config
    changes = yaml.safe_load(path.read_text()) or {}
    if not isinstance(changes, dict):
        raise ConfigError(f"{path} holds a {type(changes).__name__}; it must map setting names to values")
    return settings.build(AlgoConfig, settings.as_mapping(config) | changes, where=str(path))


def _values(learner: ActorCritic, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q(s, pi(s)), Q(s, a_data) and the return, each (B,)."""
    q_policy, q_data = learner.values(batch)
    return q_policy.cpu().numpy(), q_data.cpu().numpy(), batch.mc_return


@contextmanager
def _progress(console: Console, steps: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
    """A bar with the losses beside it; gives the function that moves it, which also passes on the bound alarm."""
    columns = (TextColumn("pretrain"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[numbers]}"), console=console) as progress:
        bar = progress.add_task("pretrain", total=steps, numbers="")
        warned = False

        def tick(step: int, values: dict[str, float]) -> None:
            nonlocal warned
            shown = [
                f"{name} {values[name]:.2f}" for name in ("td_loss", "cql_gap", "q_data", "entropy") if name in values
            ]
            progress.update(bar, completed=step, numbers="  ".join(shown))
            alarm = bound_alarm(values.get("bound_rate/policy", 0.0))
            if alarm and step > 200 and not warned:  # early on every critic is wrong
                console.print(f"[yellow]update {step}: {alarm}")
                warned = True

        yield tick


def _summary(
    learner: ActorCritic, provenance: dict[str, Any], found: Calibration, *, steps: int, wall_s: float
) -> dict[str, Any]:
    return {
        **provenance,
        "updates": steps,
        "wall_s": round(wall_s, 2),
        "ms_per_update": round(1e3 * wall_s / steps, 2),
        "precision": "bf16" if use_bfloat16(learner.config.precision) else "f32",
        "threads": torch.get_num_threads(),
        "calibration": found._asdict(),
        "config": settings.as_mapping(learner.config),
        "reward": settings.as_mapping(learner.transform),
        "observation": settings.as_mapping(learner.spec),
    }


def _say_what(
    console: Console, config: AlgoConfig, spec: ObservationSpec, replay: ReplayBuffer, data: dict[str, Any]
) -> None:
    side = spec.image_size
    seen = [f"{name} {side}x{side}" for name in spec.cameras] + [f"{name} ({size})" for name, size in spec.proprio]
    console.print(f"{data['episodes']} episodes, {data['steps']} steps, fingerprint {data['fingerprint']}")
    console.print(f"observation: {', '.join(seen)}; action: {replay.n_action}")
    console.print(f"precision {'bf16' if use_bfloat16(config.precision) else 'f32'}, {torch.get_num_threads()} threads")


def _say_result(console: Console, found: Calibration, folder: Path, *, steps: int, wall_s: float) -> None:
    console.print(f"{steps} updates in {wall_s:.1f} s ({1e3 * wall_s / steps:.1f} ms each)")
    console.print(
        f"Q against Monte-Carlo returns: calibrated {found.calibrated:.0%}, gap {found.gap:+.2f}, "
        f"slope {found.slope:.2f}, rank correlation {found.spearman:.2f}"
    )
    console.print(f"checkpoint: {folder}")


if __name__ == "__main__":
    raise SystemExit(tyro.cli(main))
