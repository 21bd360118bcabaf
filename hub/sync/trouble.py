"""What goes wrong with the store, as against a mistake in the hub: nobody's row is to blame, and it is taken again."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

from hub.store.leases import LeaseLost

STORE_TROUBLE: tuple[type[Exception], ...] = (OperationalError, InterfaceError, InternalError, NoConnectionLeft)
"""Busy, full, read-only, gone, or no connection left: the work keeps its lease until it passes, and is done again."""

PASSED_ON: tuple[type[Exception], ...] = (LeaseLost, *STORE_TROUBLE)
"""What ends no row either, because another has it now or will."""
