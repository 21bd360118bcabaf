"""What municipal IT holds in hand: the configuration, the log lines, and what tells how the hub is doing."""
