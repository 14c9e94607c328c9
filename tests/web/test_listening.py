"""The socket of a page: a port that is taken, one that cannot be, and the address that is printed."""

from __future__ import annotations

import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.web.listening import address, listen


def test_a_port_that_is_taken_is_named_or_gives_way_where_any_will_do():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: .*port 0 takes any"):
            listen("127.0.0.1", port)
        with listen("127.0.0.1", port, or_any=True) as other:
            assert other.getsockname()[1] != port
            assert address(other, "t") == f"http://127.0.0.1:{other.getsockname()[1]}/?token=t"


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("127.0.0.1", 99999, "must be 0 to 65535, got 99999"),
        ("no-such-host.invalid", 0, "cannot listen at no-such-host"),
    ],
)
def test_an_address_that_cannot_be_is_named(host, port, said):
    for or_any in (False, True):
        with pytest.raises(ConfigError, match=said):
            listen(host, port, or_any=or_any)
