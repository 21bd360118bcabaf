"""A clock that tests set, a sandbox for all tests of a module, and the real connectors speaking to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from hub.connectors.http import Clock
from hub.sandbox.server import Sandbox
from hub.sandbox.world import make_world

TODAY = date(2026, 11, 21)


@dataclass
class Time:
    """Time as tests set it: waiting takes none, moves the present on, and is written down in `slept`."""

    at: datetime = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Give the present."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)

    def clock(self) -> Clock:
        """Give it as the hub takes it; seconds that only grow are the machine's."""
        return Clock(self.now, time.monotonic, self.sleep)


@pytest.fixture
def moment() -> Time:
    return Time()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Thirty children in both systems; what a module's tests change stays for those after them."""
    with Sandbox(
        make_world(30, 1, today=TODAY), bytes(32), lambda: datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    ) as running:
        yield running
