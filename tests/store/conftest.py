"""Every test of the store runs on both databases, with the keys of a made-up municipality."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.store.sealing import TenantKeys, new_key_file, read_key_file

TENANT = "100000008"
"""A made-up organisation number whose control digit is right; none is given out that starts with 1 or 2."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give SQLite and PostgreSQL to who asks for a database, SQLite alone to who asks for its file."""
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store", ["sqlite"] if "path" in metafunc.fixturenames else ["sqlite", "postgresql"])


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / f"{TENANT}.json"
    path.parent.mkdir()
    new_key_file(path)
    return path


@pytest.fixture
def keys(key_file: Path) -> TenantKeys:
    return read_key_file(key_file, TENANT)
