"""What a key at the prompt does, and who is asked for it. teleop's keyboard has the same letters."""

from __future__ import annotations

KEYS = {
    "s": "success",
    "f": "failure",
    "d": "discard",
    "p": "pause",
    "r": "resume",
    "e": "end",
    "h": "hold",
    "a": "arm",
    "enter": "reset_done",
    "space": "estop",
}
LABELS = ("success", "failure", "discard")
TRIGGERS = {  # {} is the session's node
    "pause": "{}/pause",
    "resume": "{}/resume",
    "end": "{}/end",
    "hold": "arm_node/hold",
    "arm": "arm_node/arm",
    "estop": "arm_node/estop",
    "reset_done": "reset_node/reset_done",
}
LEGEND = "keys: SPACE stop · h hold · a go on · s success · f failure · d discard · p pause · r resume · e end"
