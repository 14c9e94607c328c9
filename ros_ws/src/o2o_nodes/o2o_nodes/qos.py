"""Quality of service by purpose (REP-2003; sensor readers best effort, except where physics waits for each message)."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

COMMAND = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
SENSOR_OUT = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Steps and events are the data set: none may be lost, a slow reader makes the writer wait.
RECORD = QoSProfile(depth=0, history=HistoryPolicy.KEEP_ALL, reliability=ReliabilityPolicy.RELIABLE)

# A verdict is part of an episode's record, and a recorder may be matched only after the first was published: it gets
# those of the last minutes then. Its other readers take what is new.
VERDICT_OUT = QoSProfile(
    depth=2000, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
VERDICT_RECORD = QoSProfile(
    depth=0,
    history=HistoryPolicy.KEEP_ALL,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def sensor_in(*, lockstep: bool) -> QoSProfile:
    """How a node listens to a sensor: best effort in real time, reliable where a lost message would stop physics."""
    reliability = ReliabilityPolicy.RELIABLE if lockstep else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=5, reliability=reliability)
