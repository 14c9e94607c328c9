"""Every test that the safety specification names, and where it is. A renamed or deleted one is missed here."""

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SHAPED, IN_TIME, GUARD = "safety/test_guard_shaped.py", "safety/test_guard_in_time.py", "safety/test_guard.py"
ROS_SHAPED, ENDS, FAULTS = "ros/test_arm_shaped.py", "ros/test_arm_ends.py", "ros/test_twin_faults.py"

SPECIFIED = {
    "NaN and infinity in each field of a target": (
        GUARD,
        "test_a_number_that_is_not_finite_in_any_field_of_the_target",
    ),
    "NaN and infinity in each field of a state": (GUARD, "test_a_number_that_is_not_finite_in_any_field_of_the_state"),
    "wrong size": (GUARD, "test_a_target_of_the_wrong_shape_is_refused"),
    "wrong size, frame, source, huge, through ROS": (ROS_SHAPED, "test_a_hostile_action_is_refused_counted"),
    "stale, future, backward stamp of a command": (IN_TIME, "test_a_command_that_is_wrong_about_itself_is_refused"),
    "stale stamp of a state": (IN_TIME, "test_a_state_stamped_in_the_past_is_stale"),
    "clock paused": (IN_TIME, "test_a_paused_ros_clock_does_not_hide_a_dead_driver"),
    "clock jumped": (IN_TIME, "test_a_clock_that_jumps_back_stops_the_arm"),
    "joint states frozen": (IN_TIME, "test_a_driver_that_repeats_its_values_under_new_stamps"),
    "joint states dropped": (IN_TIME, "test_a_state_that_stopped_coming_stops_the_arm"),
    "joint states reordered, with extra joints": (FAULTS, "test_joints_in_another_order_or_company"),
    "joint states of wrong sizes": (ENDS, "test_joint_states_of_wrong_sizes_are_no_states"),
    "out of the box in each of six faces": ("safety/test_limits.py", "test_no_target_lies_beyond_any_of_the_six_faces"),
    "each face from full speed": (SHAPED, "test_driven_at_full_speed_to_any_face_it_stops_before_it"),
    "a joint's limit from full speed": (SHAPED, "test_a_joint_driven_at_its_limit_from_full_speed"),
    "bounds at every tick, whatever is asked": ("safety/test_guard_fuzz.py", "test_no_attack_breaks_a_law_of_motion"),
    "bounds of the published stream": (ROS_SHAPED, "test_the_published_stream_keeps_its_bounds"),
    "idempotence": (GUARD, "test_what_the_guard_let_through_it_lets_through_again_unchanged"),
    "policy crash": ("ros/test_process_death.py", "test_the_arm_holds_when_what_commands_it_is_killed"),
    "recorder crash, deadman, stop time and distance": (ROS_SHAPED, "test_from_full_speed_the_arm_stands_within"),
    "learner killed": (ROS_SHAPED, "test_a_lost_learner_is_told_of_and_does_not_stop_the_arm"),
    "reflex latched until reset": (ROS_SHAPED, "test_what_a_reflex_latched_stays_so_until_a_person_resets"),
    "takeover without a jump": (ROS_SHAPED, "test_a_person_takes_over_and_hands_back_without_a_jump"),
    "takeover without a jump, in lockstep": ("safety/test_takeover.py", "test_no_step_jumps_at_takeover"),
    "publisher exclusivity": (ENDS, "test_a_second_publisher_on_a_topic_that_moves_the_arm"),
    "parameters that are NaN, inverted, negative": (ENDS, "test_a_wrong_setting_ends_the_node_at_configure"),
    "deactivate in motion": (ENDS, "test_deactivated_in_motion_the_arm_brakes_within_its_bounds"),
}


@pytest.mark.parametrize("what", SPECIFIED)
def test_what_the_specification_asks_for_is_tested_by_name(what):
    file, test = SPECIFIED[what]
    assert f"def {test}" in (TESTS / file).read_text()
