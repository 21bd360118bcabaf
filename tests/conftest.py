"""What all tests share: official schemas, real databases, and no test that is silently left out in CI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis  # noqa: F401 - its pytest plugin imports it at the end otherwise, when threads of tests may still compile
import pytest

from hub.store.database import Database, open_database
from tests.processes import own_process
from tests.stores import PostgresServer, postgresql_binaries, private_postgresql

CHECKOUT = Path(__file__).resolve().parents[1]
IN_CI = os.environ.get("CI") == "true"


@pytest.fixture(autouse=True)
def as_a_process() -> Iterator[None]:
    """Take back what a test, or a command that it ran, set up for its process."""
    with own_process():
        yield


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Give the folder with the official schemas and examples, which are not part of the project."""
    folder = Path(os.environ.get("STAFETTHUB_REFERENCE_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no reference data: set STAFETTHUB_REFERENCE_DATA to the folder with the official schemas")
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """Give a private PostgreSQL that runs as long as the tests do, with the database `migrated` to copy."""
    binaries = postgresql_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL: install it, on Debian and Ubuntu by apt-get install postgresql")
    with private_postgresql(binaries) as server:
        server.execute("CREATE DATABASE migrated")
        _migrate(server.url("migrated"))
        yield server


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an SQLite file that was migrated once, to copy."""
    path = tmp_path_factory.mktemp("store") / "migrated.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def store() -> str:
    """Tell which database a test gets; folders whose tests run on both say so themselves."""
    return "sqlite"


@pytest.fixture
def path(tmp_path: Path, migrated: Path) -> Path:
    """Give an SQLite database of the test's own. Who asks for a file runs on SQLite alone."""
    return Path(shutil.copy(migrated, tmp_path / "hub.db"))


@pytest.fixture
def url(store: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the address of a migrated, empty database of the test's own."""
    if store == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('path')}"
        return
    server: PostgresServer = request.getfixturevalue("postgresql")
    with server.database("migrated") as made:
        yield made


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    """Give that database, open."""
    db = open_database(url)
    yield db
    db.close()


def _migrate(url: str) -> None:
    db = open_database(url)
    db.migrate()
    db.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a skipped test a failed one in CI, with its reason."""
    report = yield
    _fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Make a module skipped while it is collected a failed one in CI, with its reason."""
    report = yield
    _fail_skipped(report)
    return report


def _fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"In CI nothing may be skipped. {reason}"
