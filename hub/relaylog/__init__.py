"""The canonical relay log and its rules: pure values and functions, no network, clock or disk."""
