"""YAML from anywhere, read in bounded time and memory: the one reader of the house."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from o2o_robot.errors import ConfigError

MAX_BYTES = 1 << 18
MAX_DEPTH = 32
MAX_PARTS = 100_000  # words, lists and mappings; each is an object of some hundred bytes
MAX_PLAIN = 1000  # characters of a word without quotes: only those may be numbers, and "1:1:1:..." is one in base 60
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where it is built in: 10 times as fast


def read_yaml(path: Path, *, max_bytes: int = MAX_BYTES) -> Any:
    """A file's content in plain types: mappings, lists, words, numbers, dates; None where it is empty.

    Refused with a ConfigError of one line: what is no YAML or no text, tags (objects of Python's among them), aliases
    (a few lines of them become gigabytes), nesting past MAX_DEPTH (PyYAML recurses into it), more than
    MAX_PARTS, unquoted words past MAX_PLAIN. A missing file is an OSError.
    """
    with path.open("rb") as file:  # no more than that is ever read, whatever the path names
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ConfigError(f"{path} has more than {max_bytes} bytes; no settings have, give another file")
    try:
        text = data.decode()
        for fault in _faults(text):
            raise ConfigError(f"{path}: {fault}")
        return yaml.load(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, OverflowError) as problem:
        raise ConfigError(f"{path} is not YAML that is read here ({' '.join(str(problem).split())[:200]})") from None


def read_map(path: Path, *, what: str, example: str) -> dict[str, Any]:
    """A file of settings. what: it is, in words; example: of how one begins. ConfigError where there is none such."""
    try:
        settings = read_yaml(path)
    except OSError as problem:
        raise ConfigError(f"cannot read the {what} {path}: {problem.strerror}; check the path") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{path} holds {type(settings).__name__}, not a map; it starts like '{example}'")
    return settings


class PlainDumper(yaml.SafeDumper):
    """Writes out what stands in two places twice: neither we nor ROS read aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _faults(text: str) -> Iterator[str]:
    """What is not read although it is YAML, told from events, which need neither memory nor recursion."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if number > MAX_PARTS:
            yield f"has more than {MAX_PARTS} words; no settings have, give another file"
        if tag := getattr(event, "tag", None):
            yield f"has the tag {str(tag)[:80]}; plain numbers, words, lists and mappings are read"
        if isinstance(event, yaml.AliasEvent):
            yield f"has aliases (*{event.anchor}); write out what they stand for"
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            yield f"is nested more than {MAX_DEPTH} deep; write it flatter"
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and len(event.value) > MAX_PLAIN:
            yield f"has an unquoted word of {len(event.value)} characters, at most {MAX_PLAIN} are read; quote it"
