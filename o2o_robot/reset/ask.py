"""Home by a person's hands."""

from __future__ import annotations

from dataclasses import dataclass

from o2o_robot.reset.orders import Ask, Ended, Felt, Talk

USUAL = "bring the arm and the scene to their start"


@dataclass(frozen=True)
class AskPerson:
    """Says what is to be done, in words of the cell's own and what went wrong, and waits for the answer."""

    what: str = USUAL
    name: str = "ask"

    def run(self, felt: Felt) -> Talk:
        return (yield from self.because("", felt))

    def because(self, why: str, felt: Felt) -> Talk:
        """The same, telling first why it is asked."""
        words = f"{why}: {self.what}" if why else self.what
        felt = yield Ask(f"{words}, then call reset_node/reset_done")
        return Ended(felt.trouble, felt)
