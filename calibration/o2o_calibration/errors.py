"""What a calibration says when it cannot vouch for its result."""

from o2o_robot.errors import O2OError


class CalibrationError(O2OError):
    """A measurement is too poor, too little, or outside its own error bound; the text says what to record instead."""
