"""The operator's web page: what is known of a run, who has control, and the buttons. No ROS in here."""
