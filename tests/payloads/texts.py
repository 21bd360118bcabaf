"""Texts that travel through every payload: Norwegian and Sámi letters, quotes, delimiters, controls."""

from __future__ import annotations

from hypothesis import strategies as st

LETTERS = "abcæøåÆØÅčđŋšŧžČĐŊŠŦŽáa\u0301a\u030ao\u0308 \u00a0;,\t\"'<>&|:/~{}[]()-_.0123456789\u2028€𝄞"
TEXTS = st.text(st.sampled_from(LETTERS + "\n\r\x00\x07\x1b\x85"), max_size=12)
CLEAN = st.text(st.sampled_from(LETTERS + "\n"), max_size=12)
"""Texts without control characters but line feed and tab, for formats that can't hold others."""
