"""What was said and done before the arm stopped: kept in a ring, written to a folder when a stop is seen.

box = BlackBox(BlackBoxRules())
box.add("joint_states", cdr, heard_ns)          # every message, undecoded
box.stop("force above the hard limit", now_ns, now_s)
capture = box.due(now_ns, now_s)                # None, until a little was heard after the stop
write(run_dir / "black_box", capture, types, facts, made_at)
"""

from o2o_robot.black_box.box import BlackBox, BlackBoxRules, Capture, Raw
from o2o_robot.black_box.stops import StopWatch
from o2o_robot.black_box.write import FACTS, MESSAGES, PICTURE, TopicType, write

__all__ = [
    "FACTS",
    "MESSAGES",
    "PICTURE",
    "BlackBox",
    "BlackBoxRules",
    "Capture",
    "Raw",
    "StopWatch",
    "TopicType",
    "write",
]
