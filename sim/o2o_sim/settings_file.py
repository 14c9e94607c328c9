"""Settings of the twin out of YAML: a shipped file by its name, or a file of one's own by its path."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from o2o_robot.config import build
from o2o_robot.errors import ConfigError
from o2o_robot.yamlfile import read_yaml

T = TypeVar("T")


def settings_from(cls: type[T], name_or_path: str, shipped: Path) -> T:
    """A `cls` (a frozen dataclass of dataclasses). Raises ConfigError naming the key that is wrong."""
    path = shipped / f"{name_or_path}.yaml" if name_or_path in names(shipped) else Path(name_or_path)
    settings = _read(path, names(shipped))
    _build_parts(cls, settings, str(path))
    return build(cls, settings, where=str(path))


def names(shipped: Path) -> tuple[str, ...]:
    """The shipped files, by name."""
    return tuple(sorted(path.stem for path in shipped.glob("*.yaml")))


def _read(path: Path, allowed: tuple[str, ...]) -> Mapping[str, Any]:
    try:
        settings = read_yaml(path) or {}
    except OSError:
        raise ConfigError(f"no settings '{path}'; give the path of a file, or one of {', '.join(allowed)}") from None
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{path} holds {type(settings).__name__}, not a map of settings")
    return settings


def _build_parts(cls: Any, settings: Mapping[str, Any], where: str) -> None:
    """Build what is nested first, for an error that names the nested key."""
    types = typing.get_type_hints(cls)
    for key, value in settings.items():
        part = types.get(key)
        if isinstance(value, Mapping) and dataclasses.is_dataclass(part):
            _build_parts(part, value, f"{where}: {key}")
            build(part, value, where=f"{where}: {key}")  # type: ignore[arg-type]
