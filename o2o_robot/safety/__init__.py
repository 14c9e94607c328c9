"""What stands between any command and the motors: numpy only.

It reduces damage. It is not a certified safety function: emergency stop, protective stop, torque limits and collision
reflexes stay in the robot's own controller.
"""
