"""When a log goes to the archive: at its end, and where the municipality says so at intervals while it goes on.

Each time is an entry of its own in the archive, with a key that tells which of the two it is.
"""

from __future__ import annotations

from hub.relaylog.codes import LogStatus

GOING_ON = frozenset({LogStatus.ACTIVE, LogStatus.PAUSED})
"""A log in one of these has begun and has no end: it is archived at the interval. A paused one is easily forgotten."""

PERIODIC_KEY = "relay:periodisk:"
"""How the key of each entry of a log that goes on begins; one of a closed log begins otherwise."""

_CLOSING_KEY = "relay:avslutning:"


def entry_key(log_id: str, revision: int, *, periodic: bool) -> str:
    """Return the key by which archives know one archiving of a log. `log_id` is the hub's own."""
    return f"{PERIODIC_KEY if periodic else _CLOSING_KEY}{log_id}:{revision}"


def is_periodic(key: str) -> bool:
    """Tell whether a key is that of a log that went on when it was archived."""
    return key.startswith(PERIODIC_KEY)
