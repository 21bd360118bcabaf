"""A small sandbox for every test: real servers on loopback, a fixed day, and clients that hold a token."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest

from hub.sandbox.door import Clock
from hub.sandbox.samspill import TOKEN_PATH as CONNECT_PATH
from hub.sandbox.server import Sandbox, open_key, open_world
from hub.sandbox.vigilo import TOKEN_PATH

TODAY = date(2026, 11, 21)
MORNING = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture
def instants() -> list[datetime]:
    """What the sandbox's clock has shown; it stands still at the last until a test adds one."""
    return [MORNING]


@pytest.fixture
def clock(instants: list[datetime]) -> Clock:
    """The sandbox's clock."""
    return lambda: instants[-1]


@pytest.fixture
def sandbox(tmp_path: Path, clock: Clock) -> Iterator[Sandbox]:
    """Twenty children in both systems, on a folder of their own."""
    with Sandbox(open_world(tmp_path, 20, 1, TODAY), open_key(tmp_path), clock) as running:
        yield running


@pytest.fixture(scope="session")
def still_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for all tests in which nothing is accepted, so that it stays as it was made."""
    folder = tmp_path_factory.mktemp("still")
    with Sandbox(open_world(folder, 20, 1, TODAY), open_key(folder), lambda: MORNING) as running:
        yield running


def _client(base_url: str, token_path: str, form: dict[str, str]) -> httpx.Client:
    answer = httpx.post(base_url + token_path, data={"grant_type": "client_credentials", **form})
    return httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {answer.json()['access_token']}"})


@pytest.fixture
def vigilo(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client of Vigilo with every scope."""
    with _client(sandbox.urls["vigilo"], TOKEN_PATH, sandbox.credentials["vigilo"]) as client:
        yield client


@pytest.fixture
def samspill(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client of Samspill for the right tenant."""
    with _client(sandbox.urls["samspill"], CONNECT_PATH, sandbox.credentials["samspill"]) as client:
        yield client


@pytest.fixture(scope="session")
def still_vigilo(still_sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client of the Vigilo in which nothing is accepted."""
    with _client(still_sandbox.urls["vigilo"], TOKEN_PATH, still_sandbox.credentials["vigilo"]) as client:
        yield client


@pytest.fixture(scope="session")
def still_samspill(still_sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client of the Samspill in which nothing is accepted."""
    with _client(still_sandbox.urls["samspill"], CONNECT_PATH, still_sandbox.credentials["samspill"]) as client:
        yield client
