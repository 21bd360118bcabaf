"""Answers that are lost, late or wrong: nothing is sent twice, and nothing concluded from half a listing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from hub.store.tables import cursors, deliveries, logs, proposals, records, runs
from tests.faults.children import SINKS, SOURCE, Tree
from tests.faults.house import House, OtherSide, house, scale, show
from tests.faults.proxy import Fault, Proxy, Rule, half_body, lose_answer, shortened, status
from tests.stores import PostgresServer

pytestmark = pytest.mark.long

PAGES = 100


def test_lost_answers(tmp_path: Path, url: str) -> None:
    """Where answers are lost, each change is taken in once, and all attempts at it bear one key.

    Each delivery ends with a receipt, also where a pull read the change before it was looked up; where the receiver
    can neither know keys nor be looked up, exactly those whose answer was lost wait for a person.
    """
    count, share = scale(full=2_000, short=50), scale(full=2, short=40) / 100
    with house(tmp_path, count, behind=SINKS, database=url) as (other, hub, proxies):
        for seed, proxy in enumerate(proxies.values(), 1):
            proxy.rules = (Rule(lose_answer, "lost", method="PUT", share=share, seed=seed),)
        hub.rest()
        lost = {name: len(proxy.met("lost")) for name, proxy in proxies.items()}
        keys = {name: {(line["record"], line["key"]) for line in other.attempts(name)} for name in SINKS}
        show("lost answers", changes=count * len(SINKS), **lost)
        assert all(lost.values())
        assert {name: len(found) for name, found in keys.items()} == dict.fromkeys(SINKS, count)
        assert {name: len(other.journal(name)) for name in SINKS} == dict.fromkeys(SINKS, count)
        assert other.lacking() == []
        held = lost.pop("neither")
        assert {name: hub.deliveries(name) for name in lost} == {name: Counter(done=count) for name in lost}
        assert hub.deliveries("neither") == Counter(done=count - held, held=held)
        c = deliveries.c
        receipts = hub.rows(select(c.receipt_ref).where(c.connection.like("%look_up_only"), c.state == "done"))
        assert sum(row[0].startswith("looked-up@") for row in receipts) == lost["look_up_only"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def listed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[OtherSide, House, Proxy]]:
    """Give a source whose listing of a hundred pages has been read once into a database of each kind."""
    size, folder = scale(full=100, short=2), tmp_path_factory.mktemp("pages")
    with ExitStack() as stack:
        database = ""
        if request.param == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgresql")
            database = stack.enter_context(server.database("migrated"))
        found = house(folder, PAGES * size, only=[SOURCE], behind=[SOURCE], page_size=size, database=database)
        other, hub, proxies = stack.enter_context(found)
        assert hub.hub("sync") == 0, hub.log()
        yield other, hub, proxies[SOURCE]


def _facts(hub: House) -> Tree:
    """Give what a bad listing may not change: the cursor, the records, and what is thought gone or closed."""
    moved = select(cursors.c.connection, cursors.c.value).where(cursors.c.connection.like(f"%{SOURCE}"))
    gone = select(records.c.foreign_id).where(records.c.missing_since.is_not(None))
    return {
        "cursor": hub.rows(moved),
        "records": hub.stored(SOURCE),
        "gone": hub.rows(gone),
        "proposals": hub.rows(select(proposals.c.proposal_id)),
        "status": sorted(hub.rows(select(logs.c.log_id, logs.c.status))),
    }


def _last_run(hub: House) -> tuple[str, str]:
    row = hub.rows(select(runs.c.state, runs.c.error_class).order_by(runs.c.queued_at.desc()).limit(1))[0]
    return str(row.state), str(row.error_class)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (status(200, {}, b"<p>Vedlikehold</p>", "text/html"), "not_json"),
        (status(200, {}), "empty_answer"),
        (status(200, {}, b'{"records": [], "next": null, "total": 0, "complete": true}'), "missing_pages"),
        (shortened, "broken_json"),
    ],
    ids=["html", "empty", "empty page", "truncated"],
)
def test_a_page_that_is_none(listed: tuple[OtherSide, House, Proxy], fault: Fault, code: str) -> None:
    """HTML, nothing, an empty page or half a page as the tenth of a hundred: the run is held, and nothing moves."""
    _, hub, proxy = listed
    before = _facts(hub)
    proxy.rules = (Rule(fault, "bad", method="GET", numbers=frozenset({10})),)
    assert hub.hub("sync") == 1
    assert _last_run(hub) == ("held", code)
    assert _facts(hub) == before


def test_a_page_whose_connection_breaks(listed: tuple[OtherSide, House, Proxy]) -> None:
    """A page that breaks off is asked for again in the same call, and the listing is whole."""
    _, hub, proxy = listed
    proxy.rules = (Rule(half_body, "half", method="GET", numbers=frozenset({10})),)
    assert hub.hub("sync") == 0, hub.log()
    assert len(proxy.met("half")) == 1


@pytest.mark.parametrize(("order", "code"), [("repeat_page", "repeated_page"), ("skip_page", "missing_pages")])
def test_a_page_that_is_another(listed: tuple[OtherSide, House, Proxy], order: str, code: str) -> None:
    """The ninth page again, or the eleventh, in the place of the tenth: the run is held, and nothing moves."""
    other, hub, proxy = listed
    proxy.rules, before = (), _facts(hub)
    other.order(SOURCE, **{order: 10})
    assert hub.hub("sync") == 1
    other.order(SOURCE, **{order: None})
    assert _last_run(hub) == ("held", code)
    assert _facts(hub) == before


def test_a_listing_that_is_whole_and_too_short(listed: tuple[OtherSide, House, Proxy]) -> None:
    """A complete listing with four in ten of yesterday's ids holds the run; no log is closed and none thought gone."""
    other, hub, proxy = listed
    proxy.rules, before = (), _facts(hub)
    other.order(SOURCE, shown=len(before["records"]) * 4 // 10)
    assert hub.hub("sync") == 1
    other.order(SOURCE, shown=None)
    assert _last_run(hub) == ("held", "listing_too_short")
    assert _facts(hub) == before
