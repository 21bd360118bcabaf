"""The fault proxy and the sinks themselves: each does what its name says, or the fault tests show nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.children import SINKS, SOURCE, Tree, national_ids, texts, world
from tests.faults.house import OtherSide
from tests.faults.proxy import Proxy, Rule, cut, delay, drip, half_body, lose_answer, status, twice


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherSide]:
    """Give a running other side with five children."""
    with OtherSide(tmp_path_factory.mktemp("other"), 5) as running:
        yield running


def _put(port: int, sink: str, key: str, version: str = "1", **body: object) -> httpx.Response:
    headers = {"Idempotency-Key": key, "If-Match": f'"{version}"'}
    url = f"http://127.0.0.1:{port}/{sink}/relaylogs/{sink}-00000"
    return httpx.put(url, json=body, headers=headers, trust_env=False)


def _list(port: int, system: str = SOURCE, **query: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}/{system}/relaylogs", params={"limit": "2", **query}, trust_env=False)


def test_the_children_are_made_up_and_alike_at_each_run() -> None:
    """Every system has a record of each child with the same synthetic national id, and a record has 45 leaves."""
    ids = [number for number, _ in national_ids(50)]
    assert len(set(ids)) == 50
    assert all(81 <= int(number[2:4]) <= 92 for number in ids)
    systems = world(50)
    for records in systems.values():
        assert [body["subject"]["national_id"] for body in records.values()] == ids
    body = systems[SOURCE][f"{SOURCE}-00000"]
    assert sum(map(_leaves, (body[name] for name in ("goals", "measures", "evaluations")))) >= 45
    assert len(texts(body)) == 7


def _leaves(value: object) -> int:
    if isinstance(value, dict):
        return sum(map(_leaves, value.values()))
    return sum(map(_leaves, value)) if isinstance(value, list) else 1


def test_a_listing_in_pages(other: OtherSide) -> None:
    """Five records in pages of two: the last page alone is complete, and orders spoil the page that they name."""
    pages: list[Tree] = []
    while not pages or pages[-1]["next"]:
        pages.append(_list(other.port, **({"cursor": pages[-1]["next"]} if pages else {})).json())
    assert [(len(page["records"]), page["complete"], page["total"]) for page in pages] == [
        (2, False, 5),
        (2, False, 5),
        (1, True, 5),
    ]
    other.order(SOURCE, skip_page=2)
    assert len(_list(other.port, cursor="2").json()["records"]) == 1
    other.order(SOURCE, skip_page=None, repeat_page=2)
    assert _list(other.port, cursor="2").json()["records"] == pages[0]["records"]
    other.order(SOURCE, repeat_page=None)


def test_the_three_kinds_of_sinks(tmp_path: Path) -> None:
    """One refuses a used key and an old version, one takes everything and can be read, one can't even be read."""
    with OtherSide(tmp_path, 1) as other:
        for sink in SINKS:
            assert _put(other.port, sink, "k-1").status_code == 200
        again = [_put(other.port, sink, "k-1", "2").status_code for sink in SINKS]
        assert again == [409, 200, 200]
        assert _put(other.port, "refuses_key", "k-2", "1").status_code == 412
        reads = [
            httpx.get(f"http://127.0.0.1:{other.port}/{sink}/relaylogs/{sink}-00000").status_code for sink in SINKS
        ]
        assert reads == [200, 200, 405]
        assert [len(other.journal(sink)) for sink in SINKS] == [1, 2, 2]
        assert [len(other.attempts(sink)) for sink in SINKS] == [3, 2, 2]
        assert [line["record"] for line in other.doubles()] == ["look_up_only-00000", "neither-00000"]


def test_faults_by_number(other: OtherSide) -> None:
    """The request that a rule names meets its fault, and those before and after it don't."""
    named = status(429, {"Retry-After": "5"})
    rules = (
        Rule(cut, "cut", numbers=frozenset({2})),
        Rule(half_body, "half", numbers=frozenset({2})),  # counts what the first rule let by
        Rule(named, "peace", numbers=frozenset({2})),
    )
    with Proxy(other.port, rules) as proxy:
        assert _list(proxy.port).status_code == 200
        with pytest.raises(httpx.TransportError):
            _list(proxy.port)
        with pytest.raises(httpx.RemoteProtocolError):
            _list(proxy.port)
        reply = _list(proxy.port)
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "5")
        assert _list(proxy.port).status_code == 200
        assert [seen.fault for seen in proxy.seen] == ["", "cut", "half", "peace", ""]


def test_late_and_slow(other: OtherSide) -> None:
    """A delay holds the whole answer back; a drip sends it byte by byte."""
    with Proxy(other.port) as proxy:
        for fault in (delay(0.1), drip(0.0001)):
            proxy.rules = (Rule(fault, "slow"),)
            before = time.monotonic()
            assert _list(proxy.port).json()["total"] == 5
            assert time.monotonic() - before >= 0.1


def test_what_is_handed_on_and_not_told(tmp_path: Path) -> None:
    """A lost answer and a request that comes twice are both seen in the sink's journal, with the key in the proxy's."""
    with OtherSide(tmp_path, 1) as other, Proxy(other.port, [Rule(lose_answer, "lost", method="PUT")]) as proxy:
        with pytest.raises(httpx.TransportError):
            _put(proxy.port, "neither", "k-1")
        proxy.rules = (Rule(twice, "twice", method="PUT"),)
        assert _put(proxy.port, "neither", "k-2").json()["version"] == "3"
        assert [line["key"] for line in other.journal("neither")] == ["k-1", "k-2", "k-2"]
        assert [(seen.key, seen.fault) for seen in proxy.seen] == [("k-1", "lost"), ("k-2", "twice")]


def test_a_share_by_seed(other: OtherSide) -> None:
    """A share of requests is the same at each run of the same seed, and about as large as it says."""

    def met(seed: int) -> list[int]:
        rule = Rule(cut, "cut", share=0.1, seed=seed)
        return [number for number in range(1000) if rule.meets("GET", "/")]

    assert met(1) == met(1) != met(2)
    assert 60 < len(met(1)) < 140
    assert other.port
