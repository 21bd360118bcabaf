"""The same work done by the hub and by its peers, each in a process of its own that prints what it took."""
