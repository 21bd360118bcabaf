"""Stafetthub: reads every relay-log template into one model, merges, shares by consent, and archives with proof."""
