"""Learn a policy from an episode store: `o2o pretrain data/peg.zarr --out runs/pretrain --steps 2000`.

A run that was stopped goes on with the same words and `--resume`, to the same result. Several processes share each
batch under `torchrun --standalone --nproc-per-node N -m o2o_robot.apps.pretrain data/peg.zarr --out runs/pretrain`.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from o2o_robot import cli
from o2o_robot import config as settings
from o2o_robot.algorithms import checkpoint, parallel
from o2o_robot.algorithms.actor_critic import ActorCritic, Metrics
from o2o_robot.algorithms.config import AlgoConfig, use_bfloat16
from o2o_robot.algorithms.encoder_checkpoint import fill_encoder
from o2o_robot.algorithms.metrics import MetricsLog
from o2o_robot.algorithms.offline import prepare, pretrain
from o2o_robot.algorithms.phases import Phase
from o2o_robot.data.episode import full_spec
from o2o_robot.data.provenance import git_revision, versions
from o2o_robot.data.replay import ReplayBuffer
from o2o_robot.data.returns import RewardTransform, Tail
from o2o_robot.data.store import EpisodeStore
from o2o_robot.diagnostics.calibration import Calibration, calibration
from o2o_robot.diagnostics.monitor import Monitor, Reading, reward_range
from o2o_robot.diagnostics.probe_file import NAME as PROBE_FILE
from o2o_robot.diagnostics.probe_file import save_probe
from o2o_robot.errors import ConfigError, DataError
from o2o_robot.jsonfile import write_json
from o2o_robot.nets.cached_replay import CachedReplay
from o2o_robot.nets.features import FeatureCache
from o2o_robot.nets.memory import keep_freed_memory
from o2o_robot.presets import preset as named_preset
from o2o_robot.types import Batch, ObservationSpec
from o2o_robot.yamlfile import read_yaml

WATCH_EVERY, N_PROBE = 200, 256  # updates from one reading to the next, rows of the watched batch
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
    save_every: int = 500,
    resume: bool = False,
    cache: Path | None = None,
    encoder: Path | None = None,
    features: Path | None = None,
    ahead: int = 2,
    device: Literal["cpu", "cuda"] = "cpu",
) -> int:
    """Pretrain on logged episodes. OUT gets checkpoint/, metrics.jsonl, alarms.jsonl, tensorboard/ and summary.json.

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
        save_every: updates from one checkpoint to the next.
        resume: go on with the run in OUT from its last checkpoint; start it where there is none.
        cache: a folder for the decoded frames; they are then read from there as needed and not held in memory.
        encoder: the run folder of `o2o pretrain-encoder` whose encoder to start from.
        features: a folder for a frozen trunk's outputs (freeze_trunk: true); no update then runs the convolutions.
        ahead: batches that a thread draws beforehand; 0 draws each when it is due.
        device: cpu, or cuda for a GPU.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    keep_freed_memory()
    config = read_settings(preset, settings_file)
    transform = RewardTransform(reward_scale, reward_bias, discount)
    own_device = parallel.own_device(device)
    with parallel.open_group(own_device) as group:
        parallel.share(config, group.size)
        claim(out, resume=resume)
        group.wait()  # all have looked before the first one writes there
        console = Console(quiet=not group.is_first)
        with EpisodeStore.open(store) as episodes:
            spec = choose_spec(episodes, cameras=cameras, proprio=proprio)
            with group.in_turn():
                replay = ReplayBuffer.from_store(episodes, spec, transform=transform, tail=tail, cache=cache)
            origin = Origin(episodes.fingerprint(), seed, tail)
            provenance = {
                "store": str(store),
                "episodes": len(episodes),
                "steps": episodes.n_steps,
                "processes": group.size,
                "versions": versions(),
                "git_revision": git_revision(),
                **settings.as_mapping(origin),
                "encoder": None if encoder is None else str(encoder),
            }
        _say_what(console, config, spec, replay, provenance)
        if (out / "checkpoint").exists():
            learner = take_up(out / "checkpoint", replay, config, origin, steps=steps, device=own_device)
        else:
            learner = prepare(replay, config, seed=seed, device=own_device)
            if encoder is not None:
                fill_encoder(learner.networks.encoder, config, spec, encoder)
        with group.in_turn():
            seen = replay if features is None else with_features(replay, learner, features, origin)
        done, started = learner.n_updates, time.monotonic()

        def save(learner: ActorCritic) -> None:
            if group.is_first:
                checkpoint.save(out / "checkpoint", learner, phase=Phase.PRETRAIN, provenance=provenance)

        monitor = watch_offline(learner, replay, out, seed=seed) if group.is_first else None
        with _log(console, out, learner, monitor, steps=steps, done=done, resume=resume, group=group) as on_log:
            pretrain(
                seen,
                config,
                steps=steps,
                seed=seed,
                on_log=on_log,
                learner=learner,
                save_every=save_every,
                on_save=save,
                group=group,
                ahead=ahead,
            )
        if group.is_first and not (done == steps and (out / "summary.json").exists()):
            save(learner)
            wall_s = time.monotonic() - started
            found = measure(learner, replay, seed=seed)
            write_json(out / "summary.json", _summary(learner, provenance, found, made=steps - done, wall_s=wall_s))
            _say_result(console, found, out / "checkpoint", made=steps - done, wall_s=wall_s)
        group.wait()
    return 0


@dataclass(frozen=True)
class Origin:
    """What the updates of a run depend on beside its settings; kept in the checkpoint's provenance."""

    fingerprint: str
    seed: int
    tail: str


def claim(out: Path, *, resume: bool) -> None:
    """ConfigError where `out` holds a run already and is not to be gone on with."""
    held = [name for name in ("checkpoint", "metrics.jsonl", "summary.json") if (out / name).exists()]
    if held and not resume:
        raise ConfigError(
            f"{out} holds a run already ({held[0]}); add --resume to go on with it, or choose another --out"
        )


def take_up(
    folder: Path, replay: ReplayBuffer, config: AlgoConfig, origin: Origin, *, steps: int, device: str
) -> ActorCritic:
    """The learner where the run's last checkpoint left it; CheckpointError names what is not as it was then."""
    facts, then, where = checkpoint.read_facts(folder), checkpoint.read_provenance(folder), str(folder)
    before = Origin(**{field.name: then.get(field.name, "unknown") for field in dataclasses.fields(Origin)})
    checkpoint.refuse_changes(before, origin, where=where)
    checkpoint.refuse_changes(facts.config, config, where=where)
    checkpoint.refuse_changes(facts.spec, replay.spec, where=where)
    checkpoint.refuse_changes(facts.transform, replay.transform, where=where)
    if facts.n_updates > steps:
        raise ConfigError(f"{folder} has made {facts.n_updates} updates, --steps {steps} asks for fewer")
    return checkpoint.load(folder, device=device)


def with_features(replay: ReplayBuffer, learner: ActorCritic, folder: Path, origin: Origin) -> CachedReplay:
    """The replay with its frames as the learner's frozen trunk sees them, computed once and kept in `folder`."""
    columns = (TextColumn("features"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        bar = progress.add_task("features", total=None)
        cache = FeatureCache.open(
            folder,
            learner.networks.encoder,
            replay,
            store=origin.fingerprint,
            pad=learner.config.crop_pad,
            on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    return CachedReplay(replay, cache)


def watch_offline(learner: ActorCritic, replay: ReplayBuffer, out: Path, *, seed: int) -> Monitor:
    """A monitor of a fixed batch of the data, which is kept in OUT for fine-tuning to watch too."""
    rng = np.random.default_rng((seed, 1 << 33))
    probe = replay.sample(N_PROBE, rng, chunk=learner.config.chunk, frame_stack=learner.config.frame_stack)
    save_probe(out / PROBE_FILE, probe)
    monitor = Monitor(every=WATCH_EVERY, reward_range=reward_range(probe), folder=out, seed=seed)
    monitor.watch(learner, "offline", probe)
    return monitor


def measure(learner: ActorCritic, replay: ReplayBuffer, *, seed: int, n: int = 1024) -> Calibration:
    """Q against Monte-Carlo returns at about n transitions of the replay (D4)."""
    rng = np.random.default_rng((seed, 1 << 32))
    chunk, stack = learner.config.chunk, learner.config.frame_stack
    batches = [replay.sample(128, rng, chunk=chunk, frame_stack=stack) for _ in range(max(1, n // 128))]
    parts = [_values(learner, batch) for batch in batches]
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


def read_settings(preset: str, path: Path | None) -> AlgoConfig:
    """The preset, with the YAML file's settings in place of its own."""
    config = named_preset(preset)
    if path is None:
        return config
    try:
        changes = read_yaml(path) or {}
    except OSError as problem:
        raise ConfigError(f"cannot read the settings {path}: {problem.strerror}; check the path") from None
    if not isinstance(changes, dict):
        raise ConfigError(f"{path} holds a {type(changes).__name__}; it must map setting names to values")
    return settings.build(AlgoConfig, settings.as_mapping(config) | changes, where=str(path))


def _values(learner: ActorCritic, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q(s, pi(s)), Q(s, a_data) and the return, each (B,)."""
    q_policy, q_data = learner.values(batch)
    return q_policy.cpu().numpy(), q_data.cpu().numpy(), batch.mc_return


@contextmanager
def _log(
    console: Console,
    out: Path,
    learner: ActorCritic,
    monitor: Monitor | None,
    *,
    steps: int,
    done: int,
    resume: bool,
    group: parallel.Group,
) -> Iterator[Callable[[int, Metrics], None]]:
    """Gives the function that writes numbers down, tells alarms and moves the bar; in the first process alone."""
    if monitor is None or not group.is_first:
        yield lambda step, metrics: None
        return
    with MetricsLog(out, resume_at=done if resume else None) as log, _progress(console, steps, done) as tick:

        def on_log(step: int, metrics: Metrics) -> None:
            reading = monitor(learner) if monitor.is_due(step) or step == steps else Reading({}, [], [])
            values: dict[str, Tensor | float] = {**metrics, **reading.metrics}
            tick(step, log.write(step, values))
            for alarm in reading.fresh:
                console.print(f"[yellow]update {step}: {alarm}")

        yield on_log


@contextmanager
def _progress(console: Console, steps: int, done: int) -> Iterator[Callable[[int, dict[str, float]], None]]:
    """A bar with the losses beside it; gives the function that moves it."""
    columns = (TextColumn("pretrain"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[numbers]}"), console=console) as progress:
        bar = progress.add_task("pretrain", total=steps, completed=done, numbers="")

        def tick(step: int, values: dict[str, float]) -> None:
            shown = [
                f"{name} {values[name]:.2f}" for name in ("td_loss", "cql_gap", "q_data", "entropy") if name in values
            ]
            progress.update(bar, completed=step, numbers="  ".join(shown))

        yield tick


def _summary(
    learner: ActorCritic, provenance: dict[str, Any], found: Calibration, *, made: int, wall_s: float
) -> dict[str, Any]:
    """summary.json; the times are of the `made` updates of this process, which may have gone on with a stopped run."""
    return {
        **provenance,
        "updates": learner.n_updates,
        "wall_s": round(wall_s, 2),
        "ms_per_update": round(1e3 * wall_s / max(1, made), 2),
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


def _say_result(console: Console, found: Calibration, folder: Path, *, made: int, wall_s: float) -> None:
    console.print(f"{made} updates in {wall_s:.1f} s ({1e3 * wall_s / max(1, made):.1f} ms each)")
    console.print(
        f"Q against Monte-Carlo returns: calibrated {found.calibrated:.0%}, gap {found.gap:+.2f}, "
        f"slope {found.slope:.2f}, rank correlation {found.spearman:.2f}"
    )
    console.print(f"checkpoint: {folder}")


if __name__ == "__main__":
    raise SystemExit(cli.main(["pretrain", *sys.argv[1:]]))
