"""The commands of each group: what they ask of the person and show. `hub/cli.py` puts them together."""
