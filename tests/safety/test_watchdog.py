import pytest

from o2o_robot.errors import LimitError
from o2o_robot.safety.watchdog import Watchdog


def test_a_watchdog_that_was_never_fed_has_expired():
    assert Watchdog(1.0, clock=lambda: 0.0).expired


def test_a_watchdog_expires_after_its_timeout_and_not_before():
    now = [0.0]
    dog = Watchdog(0.2, clock=lambda: now[0])
    dog.feed()
    now[0] = 0.2
    assert not dog.expired
    now[0] = 0.21
    assert dog.expired
    dog.feed()
    assert not dog.expired


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_timeout_that_could_never_bark_or_always_would_is_refused(timeout_s):
    with pytest.raises(LimitError, match="timeout_s"):
        Watchdog(timeout_s, clock=lambda: 0.0)
