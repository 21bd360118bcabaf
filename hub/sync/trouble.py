"""What goes wrong with the store, as against a mistake in the hub: nobody's row is to blame, and it is taken again."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

from hub.store.leases import LeaseLost

STORE_TROUBLE: tuple[type[Exception], ...] = (OperationalError, InterfaceError, InternalError)
"""Busy, full, read-only, or gone: the work keeps its lease until it passes, and is done again after it."""

PASSED_ON: tuple[type[Exception], ...] = (LeaseLost, *STORE_TROUBLE)
"""What ends no row either, because another has it now or will."""
