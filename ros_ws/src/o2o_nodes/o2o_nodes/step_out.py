"""Says every step of a session: kept on disk first where somebody must not miss one, and said again to who did."""

from __future__ import annotations

import uuid

from o2o_msgs import msg as m
from rclpy.exceptions import ROSInterruptException
from rclpy.serialization import deserialize_message, serialize_message

from o2o_nodes import convert, qos
from o2o_nodes.node import STEADY, HouseNode
from o2o_robot.delivery import Ledger
from o2o_robot.spool import Spool
from o2o_robot.types import Mode, Step


class StepOut:
    """steps = StepOut(node, resume=False); steps.publish(step, Mode.ONLINE); steps.lacking -> {} when all have all."""

    def __init__(self, node: HouseNode, *, resume: bool) -> None:
        self._node = node
        keepers = [name for name in node.setting("step_keepers", [""], "nodes that must have every step safe") if name]
        max_mb = node.setting("spool_mb", 2048, "of disk for steps that are not safe yet; full: no episode begins")
        self._ledger = Ledger(keepers)
        self._spool: Spool | None = None
        self.n_published = 0  # transitions said by this process
        self._unsaid = 0
        self._tally = 0  # as the spool's, where there is none
        if keepers and node.run_dir is not None:
            self._spool = Spool.open(
                node.run_dir / "spool", run=uuid.uuid4().hex, resume=resume, max_bytes=int(max_mb) << 20
            )
        self._out = node.create_publisher(m.Step, "step", qos.RECORD)
        node.create_subscription(m.StepAck, "step_ack", self._on_ack, qos.RECORD)

    @property
    def n_readers(self) -> int:
        return int(self._out.get_subscription_count())

    @property
    def n_transitions(self) -> int:
        """Transitions of the whole run: steps whose next one was said too. What the learner has received by now."""
        return self._spool.tally if self._spool is not None else self._tally

    def last(self) -> m.Step | None:
        """The newest step that was kept, of this process or of the one before it."""
        record = self._spool.last() if self._spool is not None else None
        return None if record is None else deserialize_message(record.data, m.Step)

    def lacking(self) -> dict[str, int]:
        """Who must have every step -> how many it has not received; empty when all have all."""
        return self._ledger.lacking(self._spool.next_number) if self._spool is not None else {}

    def is_full(self, more: int) -> bool:
        """Whether `more` steps might not find room before somebody has made the old ones safe."""
        return self._spool is not None and self._spool.is_full(more)

    def publish(self, step: Step, mode: Mode) -> None:
        message = convert.step_message(step, mode.value)
        self.n_published += not step.is_last
        tally = self.n_transitions + (step.index > 0)
        if self._spool is None:
            self._tally = tally
            self._out.publish(message)
            return
        message.run, message.number = self._spool.run, self._spool.next_number
        data = serialize_message(message)
        self._spool.append(data, tally=tally)  # before it is said: nobody ever has a step that a crash forgets
        if step.is_last and not self._node.lockstep:  # 15 ms: nothing to a robot that is reset, much to a simulator
            self._spool.sync()
        self._say(data)

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()

    def summary(self) -> dict[str, int]:
        said_again, spool = self._ledger.said_again, self._spool
        return {"steps_said_again": said_again, "steps_kept_mb": round(spool.n_bytes / 2**20) if spool else 0}

    def _say(self, data: bytes) -> None:
        """A writer whose history is full (a reader that stands still) refuses: the step is said again later."""
        try:
            self._out.publish(data)
        except ROSInterruptException:
            raise
        except Exception as problem:
            self._unsaid += 1
            if self._unsaid == 1:
                self._node.get_logger().warning(f"a step could not be said, it will be again: {problem}")

    def _on_ack(self, ack: m.StepAck) -> None:
        if self._spool is None or ack.run not in ("", self._spool.run):
            return
        head = self._spool.next_number
        now_s = STEADY.now().nanoseconds * 1e-9
        again = self._ledger.acknowledged(
            ack.reader, received=int(ack.received), durable=int(ack.durable), head=head, now_s=now_s
        )
        if again and again.start < self._spool.first_number:
            self._node.get_logger().error(
                f"{ack.reader} asks for step {again.start}, kept are those from {self._spool.first_number} on: it has "
                "lost what it said was safe; begin a new run from its checkpoint"
            )
            return
        for record in self._spool.read(again.start, again.stop) if again else ():
            self._say(record.data)
        self._spool.forget(self._ledger.durable)
