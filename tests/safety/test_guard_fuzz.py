"""A small share of benchmarks/guard_fuzz.py, which runs a million ticks of the same attack."""

from adversary import Attack


def test_no_attack_breaks_a_law_of_motion_at_any_of_20_000_ticks_nor_moves_a_latched_arm():
    attack = Attack(seed=1)
    attack.run(20_000)
    assert attack.counts["accepted"] > 500
    assert attack.counts["latches"] > 0
    assert {"joint motion", "step size", "workspace", "joint position", "command not finite"} <= set(attack.reasons)
