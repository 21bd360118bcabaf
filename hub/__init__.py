"""Stafetthub: reads every relay-log template into one model, merges, shares by consent, and archives with proof."""

__version__ = "0.1.0"
