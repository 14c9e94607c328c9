"""Which arm a recording is of, where contracts differ in nothing but the names of its joints."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from o2o_robot.data.bag import Bag
from o2o_robot.data.bags.mcap_file import Topic
from o2o_robot.data.contract import Contract, resolve
from o2o_robot.data.decode import Types
from o2o_robot.errors import DataError

TYPE = "sensor_msgs/msg/JointState"


def speaks_of(bag: Bag) -> Callable[[Contract], bool]:
    """Whether the first message of each JointState topic names every joint that a contract asks of it."""
    topics: Mapping[str, Topic] = {name: topic for name, topic in bag.topics().items() if topic.type_name == TYPE}
    named = _first_names(bag, topics)

    def fits(contract: Contract) -> bool:
        there = resolve(contract, bag.topics())
        asked = [each for each in contract.state.values() if each.joints and each.default is None]
        return all(set(each.joints) <= named.get(there[each.topic], set(each.joints)) for each in asked)

    return fits


def _first_names(bag: Bag, topics: Mapping[str, Topic]) -> dict[str, set[str]]:
    """Topic -> the names in its first message; without those that nobody can read, which ingesting will tell."""
    named: dict[str, set[str]] = {}
    types = Types(dict(topics))
    for message in bag.messages(topics):
        if message.topic not in topics or message.topic in named:
            continue
        try:
            named[message.topic] = set(types.message(message.topic, message.data).name)
        except DataError:
            return named
        if len(named) == len(topics):
            break
    return named
