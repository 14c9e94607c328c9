"""What the messages of a recording are made of. The one file that knows rosbags' type system.

A type is looked up in what the recording itself embeds, then in the contract's folder of definitions, then in ROS 2's
own types of the release that recorded it (sensor_msgs/Range, for one, grew a field between Humble and Iron). Only the
types that are needed are built, from texts that may come from strangers: names are checked, sizes are bounded.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from o2o_robot.data.bags.foreign import one_line
from o2o_robot.data.bags.mcap_file import MAX_DEFINITION_BYTES, Topic
from o2o_robot.errors import DataError

Fields = tuple[list[Any], list[Any]]  # rosbags': constants, fields
Lookup = Callable[[str], Fields | None]
_MAX_PARTS = 100_000  # of one message once its types are unfolded
_TYPE_NAME = re.compile(r"[A-Za-z]\w*/(msg|srv|action)/[A-Za-z]\w*", re.ASCII)
_FIELD_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_SEPARATOR = "=" * 80 + "\n"
_EVENT = "_Event"
_STD_SRVS = {  # rosbags has no services; these are the ones that episodes are started with
    "std_srvs/srv/Empty": "---\n",
    "std_srvs/srv/SetBool": "bool data\n---\nbool success\nstring message\n",
    "std_srvs/srv/Trigger": "---\nbool success\nstring message\n",
}


def typestore(topics: Iterable[Topic]) -> Any:
    """A rosbags Typestore of the types of these topics, and of what they are made of. Raises DataError naming one."""
    return _typestore(frozenset(topics))


@functools.lru_cache(maxsize=16)
def _typestore(topics: frozenset[Topic]) -> Any:
    from rosbags.typesys.store import Typestore

    known: dict[str, Fields] = {}
    for topic in sorted(topics):
        for name, found in _closure(topic, _lookups(topic)).items():
            if _wire(known.setdefault(name, found)) != _wire(found):
                raise DataError(f"the recording defines {name} in two ways; ingest its topics apart")
    store = Typestore()
    try:
        store.register(known)
    except Exception as problem:  # generated from foreign text: any kind of error means the same
        raise DataError(f"the message definitions cannot be read ({one_line(problem)})") from None
    return store


def _wire(fields: Fields) -> list[Any]:
    """What of a definition decides about the bytes; an empty message has one field in one notation, none in another."""
    return [(name.lower(), desc) for name, desc in fields[1] if name != "structure_needs_at_least_one_member"]


def _lookups(topic: Topic) -> list[Lookup]:
    """Where to look for the types of a topic, the best place first."""
    own = _ros_types(topic.distro)
    try:
        embedded = _parse(topic.definition, topic.type_name, topic.definition_format)
    except Exception as problem:  # a parser over foreign text: any kind of error means the same
        if topic.type_name not in own:
            raise DataError(f"the definition of {topic.type_name} cannot be read ({one_line(problem)})") from None
        embedded = {}
    lookups: list[Lookup] = [embedded.get]
    if topic.definitions:
        lookups.append(functools.partial(_from_folder, Path(topic.definitions)))
    return [*lookups, own.get, _std_srv]


def _closure(topic: Topic, lookups: list[Lookup]) -> dict[str, Fields]:
    """The type of a topic and all it is made of, by name."""
    found: dict[str, Fields] = {}
    waiting = [topic.type_name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        fields = next((each for each in (lookup(name) for lookup in lookups) if each is not None), None)
        if fields is None:
            raise DataError(_not_defined(topic, name))
        _check_names(name, fields)
        found[name] = fields
        waiting += [part for _, desc in fields[1] if (part := _named(desc))]
    _check_size(topic.type_name, found)
    return found


def _not_defined(topic: Topic, name: str) -> str:
    needs = f"its type {name}" if name == topic.type_name else f"{name}, which its type {topic.type_name} is made of"
    where = name + (".srv" if name.endswith(_EVENT) else ".msg")
    return (
        f"topic {topic.name}: the recording does not define {needs}; put "
        f"{where.replace(_EVENT, '')} into a folder and name it as `definitions` in the contract"
    )


def _check_names(name: str, fields: Fields) -> None:
    """Names become Python: nothing but plain ones may pass."""
    names = [each[0] for each in (*fields[0], *fields[1])]
    wrong = [each for each in names if not _FIELD_NAME.fullmatch(each)]
    if wrong or not _TYPE_NAME.fullmatch(name):
        raise DataError(f"a message definition has the name {(wrong or [name])[0]!r}, which ROS does not allow")


def _check_size(root: str, types: Mapping[str, Fields]) -> None:
    """Raises DataError where a type holds itself, or is made of more than _MAX_PARTS parts."""
    from rosbags.interfaces import Nodetype

    n_parts: dict[str, int] = {}

    def count(name: str, above: tuple[str, ...]) -> int:
        if name in above or len(above) > 64:
            raise DataError(f"the definition of {root} is not read: {name} holds itself, or lies too deep")
        if name not in n_parts:
            n_parts[name] = 1 + sum(part(desc, (*above, name)) for _, desc in types[name][1])
        return n_parts[name]

    def part(desc: Any, above: tuple[str, ...]) -> int:
        kind, of = desc
        if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
            each = part(of[0], above)
            is_copied = of[0][0] == Nodetype.NAME or of[0][1][0] == "string"  # numbers are taken as one array
            return each * max(1, of[1]) if kind == Nodetype.ARRAY and is_copied else each
        return count(of, above) if kind == Nodetype.NAME else 1

    if count(root, ()) > _MAX_PARTS:
        raise DataError(f"the definition of {root} is not read: it is made of more than {_MAX_PARTS} parts")


def _named(desc: Any) -> str:
    """The message type that a field is, or is a list of; '' for numbers and texts."""
    from rosbags.interfaces import Nodetype

    kind, of = desc
    if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        kind, of = of[0]
    return str(of) if kind == Nodetype.NAME else ""


def _parse(text: str, type_name: str, form: str) -> dict[str, Fields]:
    """Every type that a definition text describes: ros2msg or ros2idl, of a message or of the events of a service."""
    from rosbags.typesys import get_types_from_idl, get_types_from_msg

    if not text or len(text) > MAX_DEFINITION_BYTES:
        return {}
    if type_name.endswith(_EVENT) and "/srv/" in type_name:
        return _event_types(text, type_name, form)
    if not form.endswith("idl"):
        return dict(get_types_from_msg(text, type_name))
    found: dict[str, Fields] = {}
    for section in text.split(_SEPARATOR):
        head, _, body = section.partition("\n")
        if head.startswith("MSG: "):
            package, _, short = head.removeprefix("MSG: ").strip().rpartition("/")
            found |= get_types_from_msg(body, f"{package.removesuffix('/msg')}/msg/{short}")
        elif section.strip():
            found |= get_types_from_idl(body if head.startswith("IDL: ") else section)
    return found


def _event_types(text: str, type_name: str, form: str) -> dict[str, Fields]:
    """What rosbag2 records of a service's calls (REP 2012): info, and the request and response where they were kept."""
    from rosbags.interfaces import Nodetype

    service = type_name.removesuffix(_EVENT)
    found = _parse(text, service, form) if form.endswith("idl") else _halves(text, service)
    parts: list[Any] = [
        (part.lower(), (Nodetype.SEQUENCE, ((Nodetype.NAME, f"{service}_{part}"), 1)))
        for part in ("Request", "Response")
    ]
    found[type_name] = ([], [("info", (Nodetype.NAME, "service_msgs/msg/ServiceEventInfo")), *parts])
    return found


def _halves(text: str, service: str) -> dict[str, Fields]:
    """Request and response of a .srv text, and the types that stand behind it. rosbags reads them as messages."""
    from rosbags.typesys import get_types_from_msg

    package, _, short = service.split("/")
    head, _, rest = text.partition(_SEPARATOR)
    request, _, response = re.sub(r"(?m)^---[ \t]*$", "---", head).partition("---")
    found: dict[str, Fields] = {}
    for part, body in (("Request", request), ("Response", response)):
        types = get_types_from_msg(body + "\n" + (_SEPARATOR + rest if rest else ""), f"{package}/msg/{short}_{part}")
        found[f"{package}/srv/{short}_{part}"] = types.pop(f"{package}/msg/{short}_{part}")
        found |= types
    return found


def _from_folder(folder: Path, name: str) -> Fields | None:
    """A type from <folder>/package/msg/Name.msg, package/srv/Name.srv or the .idl of either."""
    if not _TYPE_NAME.fullmatch(name):  # or it could lead out of the folder
        return None
    service = re.sub(r"_(Event|Request|Response)$", "", name) if "/srv/" in name else ""
    files = [(f"{name}.msg", name, "ros2msg"), (f"{name}.idl", name, "ros2idl")]
    if service:
        files += [(f"{service}.srv", service + _EVENT, "ros2msg"), (f"{service}.idl", service + _EVENT, "ros2idl")]
    for file, of, form in files:
        path = folder / file
        if path.is_file() and path.stat().st_size <= MAX_DEFINITION_BYTES:
            try:
                return _parse(path.read_text(), of, form).get(name)
            except Exception as problem:  # as for embedded texts
                raise DataError(f"{path}: cannot be read as a message definition ({one_line(problem)})") from None
    return None


def _std_srv(name: str) -> Fields | None:
    service = re.sub(r"_(Event|Request|Response)$", "", name)
    return _event_types(_STD_SRVS[service], service + _EVENT, "ros2msg").get(name) if service in _STD_SRVS else None


@functools.lru_cache(maxsize=16)
def _ros_types(distro: str) -> dict[str, Fields]:
    """ROS 2's own types in a release, the newest known for what that release does not have (or is not known)."""
    from rosbags.typesys import Stores, get_typestore

    newest = dict(get_typestore(Stores.LATEST).fielddefs)
    known = {store.value: store for store in Stores}
    store = known.get(f"ros2_{distro}")
    return newest if store is None else {**newest, **get_typestore(store).fielddefs}
