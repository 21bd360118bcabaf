"""One sandbox for all tests of sync, and for each test a house of its own: emptied systems and a new database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hub.connectors.base import Connector
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.server import Sandbox
from hub.sandbox.world import World
from hub.store.database import Database
from hub.store.sealing import TenantKeys, new_key_file, read_key_file
from tests.sync.house import MORNING, TODAY, House, State, Time, connectors, empty


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give SQLite to every test, and PostgreSQL to the long ones; SQLite alone to who asks for its file."""
    if "store" in metafunc.fixturenames:
        other = [] if "path" in metafunc.fixturenames else [pytest.param("postgresql", marks=pytest.mark.long)]
        metafunc.parametrize("store", ["sqlite", *other])


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
    store: str,
) -> Iterator[House]:
    """A municipality with empty systems, an empty database and an empty archive, on the morning of 21 November.

    States are kept as SQLite files, so that on PostgreSQL each test prepares its own.
    """
    empty(the_sandbox.world)
    the_time.at = MORNING
    known = states if store == "sqlite" else {}
    house = House(the_sandbox, real_connectors, db, keys, the_time, tmp_path, known)
    yield house
    house.mend()
