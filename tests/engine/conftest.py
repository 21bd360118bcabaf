"""Every test of engines that asks for a database runs on both, each with the engine that belongs to it."""

from __future__ import annotations

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give both databases to the tests of both engines, the own tests of one that which they name STORES."""
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store", getattr(metafunc.module, "STORES", ["sqlite", "postgresql"]))
