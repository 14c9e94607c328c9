"""Each step once and in order, over a wire that loses, between ends that die and come back."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from o2o_robot.delivery import Entry, Ledger, Turnstile


def test_only_the_step_that_is_due_passes_and_the_rest_is_counted_by_kind():
    gate = Turnstile()
    came = [("r", 0), ("r", 1), ("r", 1), ("r", 5), ("other", 2), ("other", 0), ("r", 2), ("r", 0)]
    entries = [gate.take(*one) for one in came]
    assert [e.name[0] for e in entries] == list("AADGFFAD")
    assert (gate.duplicates, gate.gaps, gate.foreign, gate.expected) == (2, 1, 2, 3)


def test_a_reader_that_came_late_knows_the_run_and_what_it_lacks():
    gate = Turnstile()
    assert gate.take("r", 7) is Entry.GAP
    assert (gate.run, gate.expected) == ("r", 0)


def test_a_new_run_begins_with_its_step_0_where_the_reader_takes_new_ones():
    gate = Turnstile("old", 40, adopts_new=True)
    assert gate.take("new", 3) is Entry.FOREIGN
    assert gate.take("new", 0) is Entry.ACCEPTED
    assert (gate.run, gate.expected) == ("new", 1)
    assert Turnstile("old", 40).take("new", 0) is Entry.FOREIGN


def test_steps_of_a_writer_that_keeps_nothing_pass_uncounted():
    gate = Turnstile("r", 4)
    assert gate.take("", 0) is Entry.ACCEPTED
    assert gate.expected == 4


def test_a_reader_that_is_coming_along_is_told_nothing_twice():
    ledger = Ledger(["a"])
    assert not ledger.acknowledged("a", received=0, durable=0, head=0, now_s=0.0)
    for second in range(1, 50):
        again = ledger.acknowledged("a", received=8 * second, durable=0, head=10 * second, now_s=float(second))
        assert not again


def test_a_reader_that_stands_still_is_told_again_from_where_it_stands():
    ledger = Ledger(["a"], patience_s=0.5)
    ledger.acknowledged("a", received=7, durable=0, head=7, now_s=0.0)
    assert not ledger.acknowledged("a", received=8, durable=0, head=20, now_s=1.0)
    assert ledger.acknowledged("a", received=8, durable=0, head=20, now_s=2.0) == range(8, 20)


def test_a_reader_that_is_back_at_its_checkpoint_is_told_at_once_and_a_window_at_a_time():
    ledger = Ledger(["a"], window=10)
    ledger.acknowledged("a", received=100, durable=50, head=100, now_s=0.0)
    assert ledger.acknowledged("a", received=75, durable=75, head=100, now_s=0.1) == range(75, 85)
    assert not ledger.acknowledged("a", received=80, durable=75, head=101, now_s=0.2)
    assert ledger.acknowledged("a", received=85, durable=75, head=102, now_s=0.3) == range(85, 95)
    assert ledger.acknowledged("a", received=95, durable=75, head=103, now_s=0.4) == range(95, 103)
    assert not ledger.acknowledged("a", received=104, durable=75, head=120, now_s=0.5), "the rest is on its way"


def test_nothing_counts_as_safe_before_every_keeper_said_so():
    ledger = Ledger(["a", "b"])
    assert Ledger([]).durable == 0
    ledger.acknowledged("a", received=9, durable=9, head=9, now_s=0.0)
    ledger.acknowledged("stranger", received=2, durable=1, head=9, now_s=0.0)
    assert ledger.durable == 0
    ledger.acknowledged("b", received=9, durable=4, head=9, now_s=0.0)
    assert ledger.durable == 4
    assert ledger.lacking(12) == {"a": 3, "b": 3}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 0.5), st.integers(1, 60))
def test_whatever_the_wire_loses_and_whenever_the_reader_dies_it_ends_with_every_step_once_and_in_order(
    seed, loss, window
):
    """A wire that loses steps and acknowledgements, a reader that falls back to its last checkpoint now and then."""
    rng = random.Random(seed)
    ledger, gate, said, n_steps = Ledger(["a"], window=window), Turnstile(), [], 120
    learned: list[int] = []
    saved: tuple[Turnstile, list[int]] = (Turnstile(), [])
    for tick in range(4000):
        if tick < n_steps:
            said.append(tick)
            wire = [tick]
        else:
            wire = []
        if tick % 10 == 0 and (tick > 2000 or rng.random() >= loss):
            head = len(said)
            wire += ledger.acknowledged("a", received=gate.expected, durable=len(saved[1]), head=head, now_s=tick / 10)
        for number in wire:
            if (tick > 2000 or rng.random() >= loss) and gate.take("r", number) is Entry.ACCEPTED:
                learned.append(number)
        if tick % 37 == 0:
            saved = (Turnstile("r", gate.expected), list(learned))
        if tick in (50, 130):
            gate, learned = Turnstile("r", saved[0].expected), list(saved[1])
    assert learned == list(range(n_steps))
    assert ledger.lacking(n_steps) == {}
