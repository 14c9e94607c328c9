"""A suggested contract as the YAML text that a person reads, changes and passes to `o2o ingest --contract`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import yaml

from o2o_robot.config import as_mapping

if TYPE_CHECKING:
    from o2o_robot.data.suggest.suggest import Suggestion

_ALWAYS = ("topic", "kind", "field", "side", "by")  # shown even where they are the default: they are what one changes
_FIRST = ("name", "task", "rate_hz", "tolerance_s", "images", "state", "action")
_NESTED = ("images", "state")


def as_yaml(suggestion: Suggestion) -> str:
    """The text; `load_contract` of it gives suggestion.contract again."""
    lines = ["# Written by `o2o ingest --suggest` from what one recording holds: check it before you build on it."]
    contract, comments = suggestion.contract, suggestion.comments
    settings = {setting.name: setting for setting in dataclasses.fields(contract)}
    for setting in (settings[name] for name in dict.fromkeys([*_FIRST, *settings])):
        value = getattr(contract, setting.name)
        if setting.name in _NESTED and value:
            lines.append(_line(f"{setting.name}:", comments.get(setting.name, "")))
            lines += [
                _line(f"  {_flow(name)}: {_flow(_told(each))}", comments.get(f"{setting.name}.{name}", ""))
                for name, each in value.items()
            ]
        elif value != _default(setting):
            lines.append(_line(f"{setting.name}: {_flow(_told(value))}", comments.get(setting.name, "")))
    if suggestion.unused:
        lines.append("# Not used (type where it could be, number of messages):")
        lines += [_line("", f"  {name}: {what}") for name, what in suggestion.unused.items()]
    return "\n".join(lines) + "\n"


def _told(value: Any) -> Any:
    """A setting as plain data, without what is as it comes anyway."""
    if not dataclasses.is_dataclass(value):
        return value
    told = as_mapping(value)
    return {
        each.name: told[each.name]
        for each in dataclasses.fields(value)
        if each.name in _ALWAYS or getattr(value, each.name) != _default(each)
    }


def _default(setting: dataclasses.Field[Any]) -> Any:
    if setting.default_factory is not dataclasses.MISSING:
        return setting.default_factory()
    return setting.default


def _flow(value: Any) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=10**9, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _line(text: str, comment: str) -> str:
    said = " ".join(comment.split())  # names come from foreign files: a comment stays on its line
    if not said:
        return text
    return f"{text}   # {said}" if text else f"#   {said}"
