"""What the commands do, one thing a module: serve, sync, wipe, remind, check. Each is given a hub that is open."""
