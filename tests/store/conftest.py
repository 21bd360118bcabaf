"""A real database for each test, copied from one that was migrated once, and the keys of a made-up municipality."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.store.database import Database, open_database
from hub.store.sealing import TenantKeys, new_key_file, read_key_file

TENANT = "100000008"
"""A made-up organisation number whose control digit is right; none is given out that starts with 1 or 2."""


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "migrated.db"
    db = open_database(f"sqlite:///{path}")
    db.migrate()
    db.close()
    return path


@pytest.fixture
def path(tmp_path: Path, migrated: Path) -> Path:
    return Path(shutil.copy(migrated, tmp_path / "hub.db"))


@pytest.fixture
def db(path: Path) -> Iterator[Database]:
    db = open_database(f"sqlite:///{path}")
    yield db
    db.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / f"{TENANT}.json"
    path.parent.mkdir()
    new_key_file(path)
    return path


@pytest.fixture
def keys(key_file: Path) -> TenantKeys:
    return read_key_file(key_file, TENANT)
