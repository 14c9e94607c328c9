"""docs/safety.md says what the code says."""

from pathlib import Path

from o2o_robot.safety import tables

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "safety.md").read_text()


def test_the_page_shows_the_limits_profiles_and_reasons_that_the_code_has():
    for table in (tables.limits_table(), tables.profiles_table(), tables.reasons_table()):
        assert table in PAGE, "print them anew: python -m o2o_robot.safety.tables"


def test_the_page_calls_the_guard_no_certified_safety_function():
    assert "not a certified safety function" in PAGE
