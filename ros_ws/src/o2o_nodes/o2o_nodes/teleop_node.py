"""A person's device, or what stands in for one: demonstrates as the session's actor, or takes over beside a policy."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from o2o_nodes.countdown import countdown
from o2o_nodes.deeds import Deeds
from o2o_nodes.device_actor import DeviceActor
from o2o_nodes.hand_out import HandOut
from o2o_nodes.node import HouseNode, run
from o2o_nodes.session import Session
from o2o_nodes.simulated_words import SimulatedWords
from o2o_nodes.teleop_ears import hear_device
from o2o_nodes.teleop_settings import n_action, read_device
from o2o_robot.teleop.device import Moment
from o2o_robot.teleop.open_device import NEEDS_TASK
from o2o_robot.vitals import Value, scalars
from o2o_sim.teleop.simulated import Simulated


class TeleopNode(HouseNode):
    def __init__(self) -> None:
        super().__init__("teleop_node")

    def open(self) -> None:
        self._name, self._device, self._operator = read_device(self)
        self._held = ExitStack()
        self._held.enter_context(self._device)
        self._topics = hear_device(self, self._device)
        judge = (
            self.setting("truth_topic", "", "where the twin says what it knows while another judges") or "task_state"
        )
        beside = self.setting("beside_policy", False, "take over from a policy; else this node runs the session")
        self._deeds = Deeds(self, own_session=not beside)
        self._words: SimulatedWords | None = None
        if beside and isinstance(self._device, Simulated):
            self._words = SimulatedWords(self, self._device, truth=judge, session="policy_node")
        self._hands: HandOut | None = None
        self._session: Session | None = None
        if beside:
            judged = judge if self._name in NEEDS_TASK else ""
            self._hands = HandOut(self, self._device, self._operator, self._deeds.do, judge=judged)
        else:
            self._actor = DeviceActor(self._device, self._operator, n_action(self), self._deeds.do)
            ready = countdown(self, self._tell, lambda: self._session is None or self._session.desk.is_ending)
            self._session = Session(self, self._actor, ready=ready, n_action=n_action(self))

    def start(self) -> None:
        if self._hands is not None:
            self._hands.start()
        if self._session is not None:
            self._session.start()
            self._watch_buttons()

    def stop(self) -> None:
        if self._hands is not None:
            self._hands.stop()

    def close(self) -> None:
        self._held.close()
        if self._session is not None:
            self._session.close()

    def summary(self) -> dict[str, Any]:
        if self._session is not None:
            return self._session.summary()
        assert self._hands is not None
        said = self._words.summary() if self._words is not None else {}
        return {"device": self._name, "takeovers": self._hands.takeovers, "steps_held": self._hands.steps_held, **said}

    def readings(self) -> dict[str, Value]:
        if self._hands is not None:
            held = {"is_held": int(self._hands.is_held), "takeovers": self._hands.takeovers}
            return {"device": self._name, **held, "steps_held": self._hands.steps_held}
        assert self._session is not None
        return {"device": self._name, "steps_held": self._actor.steps_held, **scalars(self._session.summary())}

    def trouble(self) -> list[str]:
        silent = [topic for topic in self._topics if not self.count_publishers(topic)]
        unheard = [f"{self._name}: nobody publishes {', '.join(silent)}; start its driver"] if silent else []
        return [*unheard, *([self._device.trouble] if self._device.trouble else [])]

    def _tell(self, what: str) -> None:
        if self._session is not None:
            self._session.desk.tell("waiting", what)

    def _watch_buttons(self) -> None:
        """A person's buttons count between two looks, and between two episodes. What draws from a seed is asked at
        its looks alone.
        """
        if self._name not in NEEDS_TASK:
            hz = self.setting("rate_hz", 30.0, "how often the device is read in real time")
            self.create_beat("buttons", 1.0 / hz, self._look_at_buttons)

    def _look_at_buttons(self) -> None:
        moment = Moment(time.monotonic())
        self._deeds.do(self._operator.see(self._device.read(moment), moment).deeds)


def main() -> None:
    run(TeleopNode)
