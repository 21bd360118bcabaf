"""Fault tests that ask for a database run on both; those of several processes on the one that they name STORES."""

from __future__ import annotations

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give SQLite and PostgreSQL to who asks for a database."""
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store", getattr(metafunc.module, "STORES", ["sqlite", "postgresql"]))
