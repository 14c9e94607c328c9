"""The twin: a MuJoCo arm, its cameras and its tasks. Importing it registers its Gymnasium ids."""

from importlib.util import find_spec

if find_spec("gymnasium") is not None:
    from o2o_sim.registration import register

    register()
