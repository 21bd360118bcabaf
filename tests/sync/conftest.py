"""One sandbox for all tests of sync, and for each test a house of its own: emptied systems and a new database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hub.connectors.base import Connector
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.server import Sandbox
from hub.sandbox.world import World
from hub.store.database import Database, open_database
from hub.store.sealing import TenantKeys, new_key_file, read_key_file
from tests.sync.house import MORNING, TODAY, House, State, Time, connectors, empty


@pytest.fixture(scope="session")
def the_time() -> Time:
    """The one clock that sandbox, connectors and hub are given."""
    return Time()


@pytest.fixture(scope="session")
def the_sandbox(the_time: Time) -> Iterator[Sandbox]:
    """Both systems, running for the whole session."""
    with Sandbox(World(seed=1, today=TODAY.isoformat()), bytes(32), the_time.now) as running:
        yield running


@pytest.fixture(scope="session")
def real_connectors(the_sandbox: Sandbox, the_time: Time) -> Iterator[Mapping[str, Connector]]:
    """The real connectors to them."""
    made = connectors(the_sandbox, the_time)
    yield made
    for connector in made.values():
        connector._http.close()  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> TenantKeys:
    path = tmp_path_factory.mktemp("keys") / f"{MUNICIPALITY_ORGNR}.json"
    new_key_file(path)
    return read_key_file(path, MUNICIPALITY_ORGNR)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sync") / "migrated.db"
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


@pytest.fixture(scope="session")
def states() -> dict[str, State]:
    """What houses were brought to once, for all tests that begin there."""
    return {}


@pytest.fixture
def house(
    the_sandbox: Sandbox,
    the_time: Time,
    real_connectors: Mapping[str, Connector],
    db: Database,
    keys: TenantKeys,
    tmp_path: Path,
    states: dict[str, State],
) -> House:
    """A municipality with empty systems, an empty database and an empty archive, on the morning of 21 November."""
    empty(the_sandbox.world)
    the_time.at = MORNING
    return House(the_sandbox, real_connectors, db, keys, the_time, tmp_path, states)
