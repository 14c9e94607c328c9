import pytest

from o2o_robot.errors import LimitError
from o2o_robot.safety.budget import Budget, BudgetRules
from o2o_robot.safety.reason import Reason

RULES = BudgetRules(
    interventions_per_episode=3, interventions_per_hour=5, force_events_per_episode=1, force_events_per_hour=2
)


def budget(rules: BudgetRules = RULES) -> tuple[Budget, list[float]]:
    now_s = [0.0]
    return Budget(rules, lambda: now_s[0]), now_s


def test_within_its_budget_a_run_goes_on_and_actions_as_asked_cost_nothing():
    spent, _ = budget()
    for _ in range(100):
        spent.note(0)
    for _ in range(3):
        spent.note(Reason.WORKSPACE)
    assert spent.why_paused == ""


def test_a_step_that_was_only_shortened_or_refused_for_a_person_is_no_intervention():
    spent, _ = budget()
    for _ in range(100):
        spent.note(Reason.STEP_SIZE | Reason.SPEED)
        spent.note(Reason.HOLD)
        spent.note(Reason.TAKEOVER | Reason.HOLD)
    assert spent.why_paused == ""
    for _ in range(4):
        spent.note(Reason.STEP_SIZE | Reason.JOINT_MOTION)
    assert spent.why_paused


def test_one_intervention_over_the_episodes_budget_pauses_and_says_what_and_how_many():
    spent, _ = budget()
    for _ in range(4):
        spent.note(Reason.WORKSPACE)
    assert spent.why_paused.startswith("4 interventions of the guard in this episode, allowed 3;")


def test_a_new_episode_counts_anew_but_the_hour_does_not():
    spent, _ = budget()
    for _ in range(2):
        spent.start_episode()
        for _ in range(3):
            spent.note(Reason.WORKSPACE)
    assert spent.why_paused.startswith("6 interventions of the guard in an hour, allowed 5;")


def test_what_happened_more_than_an_hour_ago_is_forgotten():
    spent, now_s = budget()
    for hour in range(4):
        now_s[0] = hour * 3601.0
        spent.start_episode()
        for _ in range(3):
            spent.note(Reason.WORKSPACE)
    assert spent.why_paused == ""


def test_a_contact_that_lasts_is_one_force_event_wherever_it_begins():
    spent, _ = budget()
    spent.note_tick(Reason.FORCE)
    for _ in range(10):
        spent.note_tick(Reason.FORCE)
    assert spent.why_paused == ""
    spent.note_tick(0)
    spent.note_tick(Reason.FORCE_HARD)
    assert spent.why_paused.startswith("2 force events of the guard in this episode, allowed 1;")


def test_a_pause_lasts_over_episodes_until_a_person_forgives():
    spent, _ = budget()
    for _ in range(4):
        spent.note(Reason.WORKSPACE)
    first = spent.why_paused
    spent.start_episode()
    spent.note(Reason.WORKSPACE)
    assert spent.why_paused == first
    spent.forgive()
    spent.note(Reason.WORKSPACE)
    assert spent.why_paused == ""


def test_a_budget_of_zero_is_any_number():
    spent, _ = budget(BudgetRules(0, 0, 0, 0))
    for _ in range(1000):
        spent.note(Reason.FORCE)
        spent.note(0)
    assert spent.why_paused == ""


def test_a_negative_budget_is_refused():
    with pytest.raises(LimitError, match="force_events_per_hour must be >= 0"):
        BudgetRules(force_events_per_hour=-1)
