"""Settings are frozen dataclasses; a mapping (YAML, JSON) becomes one here, and a misspelt key is an error."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

import cattrs

from o2o_robot.errors import ConfigError, O2OError

T = TypeVar("T")
_CONVERTER = cattrs.Converter(forbid_extra_keys=True)


def build(cls: type[T], settings: Mapping[str, Any], *, where: str = "settings") -> T:
    """A `cls` from a mapping. Raises ConfigError naming the key, what is allowed and the nearest spelling."""
    _refuse_unknown(cls, settings, where)
    try:
        return _CONVERTER.structure(settings, cls)
    except ConfigError:
        raise
    except Exception as problem:  # cattrs groups many kinds; the user needs one line
        reasons = "; ".join(_own_words(problem) or cattrs.transform_error(problem))
        raise ConfigError(f"{where}: {reasons}") from None


def _own_words(problem: BaseException) -> list[str]:
    """The lines of ours in what cattrs raised, which calls them unknown errors."""
    if isinstance(problem, O2OError):
        return [str(problem)]
    return [line for one in getattr(problem, "exceptions", ()) for line in _own_words(one)]


def as_mapping(settings: Any) -> dict[str, Any]:
    """The JSON-able mapping that `build` turns back into an equal object."""
    return dict(_CONVERTER.unstructure(settings))


def fingerprint(settings: Any) -> str:
    """A short hash of every setting, the same for equal settings on any machine."""
    text = json.dumps(as_mapping(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def changed(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """Every setting that differs between two objects of one class: name -> (before, after)."""
    old, new = as_mapping(before), as_mapping(after)
    return {name: (old[name], new[name]) for name in old if old[name] != new[name]}


def _refuse_unknown(cls: type, settings: Mapping[str, Any], where: str) -> None:
    allowed = [f.name for f in dataclasses.fields(cls)]
    for key in settings:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ConfigError(f"{where}: unknown setting '{key}'{hint} (allowed: {', '.join(allowed)})")
