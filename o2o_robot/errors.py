"""Every error a user can cause, each a repair note: the thing, its value, what is allowed, what to try."""


class O2OError(Exception):
    """Base of all errors that are shown to the user as one line, without a traceback."""


class ConfigError(O2OError):
    """A setting is misspelt, of the wrong type, or out of range."""


class LimitError(O2OError):
    """A safety limit was built from impossible numbers."""


class DataError(O2OError):
    """A recording cannot be read, or does not hold what its contract promises."""


class StoreError(O2OError):
    """An episode store is missing, locked, of another schema, or full."""


class CheckpointError(O2OError):
    """A checkpoint is missing, damaged, or does not fit what it is loaded into."""


class ArmError(O2OError):
    """The arm, or what stands for it, does not answer as its contract says."""


class DeviceError(O2OError):
    """A person's device is not there, or does not show what it should."""


class GraphError(O2OError):
    """A process of the robot's graph could not start, or ended when it should not have."""


class ParallelError(O2OError):
    """Another process of a data-parallel run ended, or does not answer."""
