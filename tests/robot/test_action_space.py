"""The number of action values is one fact, held against both sides."""

from __future__ import annotations

import numpy as np
import pytest

from o2o_robot.errors import ConfigError
from o2o_robot.robot.action_space import SPACES, has_gripper, make_space, require_values


@pytest.mark.parametrize("name", SPACES)
def test_a_space_takes_as_many_values_as_its_name_says_and_only_one_with_a_gripper_moves_it(name):
    space = make_space(name, scale_m=0.02, open_m=0.05)
    require_values(space.n_action, name, who="a test")
    assert space.scale_m == 0.02
    opens = space.opening_m(np.ones(space.n_action))
    assert opens == (0.05 if has_gripper(name) else None)


@pytest.mark.parametrize(
    ("n", "space", "hint"), [(4, "delta_position", "delta_position_gripper"), (7, "delta_position", "so many")]
)
def test_another_number_of_values_is_refused_with_who_how_many_and_what_to_set(n, space, hint):
    with pytest.raises(ConfigError, match=rf"policy_node proposes {n} values.*takes 3.*{hint}"):
        require_values(n, space, who="policy_node")
