"""Simulated systems and synthetic children, so that the hub can be tried without a vendor and without a real child."""
