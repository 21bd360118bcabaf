"""What people see in a browser. No log-in yet, so only on the computer that the hub runs on: ids and counts."""
