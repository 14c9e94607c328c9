"""Does every node live by the same clock?"""

from __future__ import annotations

from o2o_robot.preflight.facts import GraphFacts
from o2o_robot.preflight.finding import Finding, graded, unknown

_IS_THE_CLOCK = ("twin_node",)


def same_clock(graph: GraphFacts) -> Finding:
    """use_sim_time is true for all where there is a /clock (but for who publishes it), and false for all without."""
    what = "use_sim_time"
    told = {n.node: bool(n.parameters["use_sim_time"]) for n in graph.nodes if "use_sim_time" in n.parameters}
    asked = {node: value for node, value in told.items() if node.rpartition("/")[2] not in _IS_THE_CLOCK}
    if not asked:
        return unknown(what, "no node answered")
    wrong = sorted(node for node, value in asked.items() if value is not graph.has_clock)
    expected = "true, as there is a /clock" if graph.has_clock else "false, as there is no /clock"
    remedy = f"Set use_sim_time to {str(graph.has_clock).lower()} for {', '.join(wrong)}."
    measured = f"{len(wrong)} of {len(asked)} nodes differ" if wrong else f"the same in {len(asked)} nodes"
    return graded(what, measured, expected, remedy, red=bool(wrong))


def clock_of_the_robot(graph: GraphFacts, robot: str) -> Finding:
    """A real arm has no /clock: a simulator or a bag that plays in this domain would turn everybody's time."""
    what = "/clock"
    if robot != "twin":
        remedy = "Stop the simulator or the bag player in this domain, or change ROS_DOMAIN_ID."
        return graded(what, "published" if graph.has_clock else "none", "none", remedy, red=graph.has_clock)
    if not graph.has_clock:
        return unknown(what, "none; the twin is not running, or runs on wall time")
    slow = not 0.9 <= graph.clock_rate <= 1.1
    remedy = "Lower image size or rates, or free the machine: timing shows nothing about a real arm at another pace."
    return graded(what, f"{graph.clock_rate:.2f} s a second", "0.9 to 1.1", remedy, red=False, yellow=slow)
