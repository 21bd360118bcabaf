"""Lost answers from the simulated Vigilo and Samspill, which can be looked up: each change is made once and sent once.

Between the hub and each system stands a proxy; what was taken in is counted in the simulated systems themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from threading import Event

import pytest

from hub.sandbox.children import Cast
from hub.sandbox.municipality import SAMSPILL_SCOPE, VIGILO_ORG_ID, VISMA_TENANT_ID
from hub.sandbox.samspill import TOKEN_PATH as CONNECT_PATH
from hub.sandbox.server import Sandbox
from hub.sandbox.stories import shared_level_2
from hub.sandbox.vigilo import TOKEN_PATH
from hub.sandbox.vigilo_shape import instant
from hub.sandbox.world import World, _enter, _open_units
from tests.faults.children import Tree
from tests.faults.house import TENANT, House, scale, show, wait_for
from tests.faults.proxy import Proxy, Rule, hold, lose_answer

pytestmark = pytest.mark.long

VERBS = {"vigilo": "PATCH", "samspill": "PUT"}
"""How a change is sent to each system."""


class Town(House):
    """A hub whose connections lead, each through a proxy, to the simulated Vigilo and Samspill."""

    sandbox: Sandbox

    def _connection(self, name: str, port: int) -> Tree:
        url = f"http://127.0.0.1:{port}"
        keys, secret = self.sandbox.credentials[name], self.folder / f"{name}.secret"
        secret.write_text(keys["client_secret"], "ascii")
        shared = {
            "system": name,
            "mapping": f"{name}/stafettlogg",
            "client_id": keys["client_id"],
            "client_secret": f"${{file:{secret}}}",
            "page_size": self.page_size,
            "verified_ids": True,
            "first_contact": "send",
            "deliver": True,
            "confirmed": {"by": "Prøvelederen", "on": "2026-01-01"},
        }
        vigilo = {
            "base_url": url,
            "token_url": url + TOKEN_PATH,
            "org_id": VIGILO_ORG_ID,
            "services": ["kindergarten", "school", "after_school"],
            "readers": "unit",
        }
        samspill = {
            "base_url": f"{url}/api",
            "token_url": url + CONNECT_PATH,
            "tenant_id": VISMA_TENANT_ID,
            "organisation_number": TENANT,
            "scope": SAMSPILL_SCOPE,
            "services": ["health_station", "school_health", "midwife", "nav_refugee", "coordinating_unit", "family"],
            "readers": ["health_station", "family"],
        }
        return {**shared, **(vigilo if name == "vigilo" else samspill)}


@contextmanager
def town(folder: Path, count: int, database: str) -> Iterator[tuple[World, Town, dict[str, Proxy]]]:
    """Give systems with `count` children whose logs both of them have, a hub at rest between them, and the proxies."""
    today = datetime.now(UTC).date()
    world = World(seed=1, today=today.isoformat())
    _open_units(world, today)
    for number in range(count):
        cast = Cast(Random(f"faults/{number}"), today, number, 0)  # noqa: S311 - the same children at each run
        _enter(world, shared_level_2.__name__, shared_level_2(cast))
    with ExitStack() as stack:
        Town.sandbox = sandbox = stack.enter_context(Sandbox(world, b"made for one test"))
        ports = {name: int(url.rpartition(":")[2]) for name, url in sandbox.urls.items()}
        proxies = {name: stack.enter_context(Proxy(port)) for name, port in ports.items()}
        hub = stack.enter_context(Town(folder / "hub", {name: each.port for name, each in proxies.items()}, database))
        hub.rest()
        world.received.clear()
        for proxy in proxies.values():
            proxy.seen.clear()
        yield world, hub, proxies


def _write(world: World, name: str, number: int) -> None:
    """Let a system's own user write anew in each record what the other system is to be told."""
    notes, text, version, changed = {
        "vigilo": ("notat", "tekst", "versjon", "modifiedTime"),
        "samspill": ("notes", "text", "version", "changedAt"),
    }[name]
    with world.lock:
        for record in getattr(world, name).values():
            record[notes][0][text] = f"Solskinn sang med i ring, runde {number}."
            record[version] += 1
            record[changed] = instant(datetime.now(UTC))


def _written(world: World, number: int) -> Counter[str]:
    """Give in how many records of each system the other one's text of a round stands once."""
    said, found = f"runde {number}.", Counter[str]()
    with world.lock:
        for log in world.vigilo.values():
            theirs = [note for note in log["notat"] if said in note["tekst"] and note["id"] != log["notat"][0]["id"]]
            found["vigilo"] += len(theirs) == 1
        for plan in world.samspill.values():
            theirs = [note for note in plan["notes"] if said in note["text"] and note is not plan["notes"][0]]
            found["samspill"] += len(theirs) == 1
    return found


def test_lost_answers(tmp_path: Path, url: str) -> None:
    """A change whose answer is lost is looked up and counts as done: each is sent once, and taken in once."""
    count, share = scale(full=500, short=10), scale(full=2, short=40) / 100
    with town(tmp_path, count, url) as (world, hub, proxies):
        for seed, (name, proxy) in enumerate(proxies.items(), 1):
            proxy.rules = (Rule(lose_answer, "lost", method=VERBS[name], share=share, seed=seed),)
            _write(world, name, 1)
        hub.rest()
        lost = {name: len(proxy.met("lost")) for name, proxy in proxies.items()}
        show("lost answers of the vendors", changes=count * len(VERBS), **lost)
        assert all(lost.values())
        assert _sent(proxies) == _both(Counter({1: count}))
        assert _received(world) == _both(Counter({1: count}))
        assert _written(world, 1) == _both(count)
        assert {name: hub.deliveries(name) for name in VERBS} == _both(Counter(done=2 * count))


def test_killed_between_sent_and_recorded(tmp_path: Path, url: str) -> None:
    """A hub that dies while both systems have taken a change in and not answered sends neither again."""
    times = scale(full=50, short=1)
    with town(tmp_path, 1, url) as (world, hub, proxies):
        for number in range(1, times + 1):
            freed, received = Event(), {name: Event() for name in VERBS}
            for name, proxy in proxies.items():
                proxy.rules = (Rule(hold(received[name], freed), "held", method=VERBS[name]),)
                _write(world, name, number)
            hub.queue()
            process = hub.start("run")
            wait_for(lambda told=received: all(each.is_set() for each in told.values()), 60, hub.log)  # type: ignore[misc]
            hub.kill(process)
            freed.set()
            for proxy in proxies.values():
                proxy.rules = ()
            hub.rest()
            assert _written(world, number) == _both(1)
        show("killed between sent and recorded at the vendors", times=times)
        assert _sent(proxies) == _both(Counter({1: times}))
        assert _received(world) == _both(Counter({times: 1}))
        assert {name: hub.deliveries(name) for name in VERBS} == _both(Counter(done=1 + times))


def _both(found: object) -> dict[str, object]:
    return dict.fromkeys(VERBS, found)


def _sent(proxies: dict[str, Proxy]) -> dict[str, Counter[int]]:
    """Give for each system how many changes were sent how often: each has a key of its own."""
    sent = {name: Counter(seen.key for seen in proxies[name].seen if seen.method == VERBS[name]) for name in VERBS}
    return {name: Counter(keys.values()) for name, keys in sent.items()}


def _received(world: World) -> dict[str, Counter[int]]:
    """Give for each system how many records it took how many changes in of."""
    with world.lock:
        found = {name: Counter(each.record_id for each in world.received if each.system == name) for name in VERBS}
    return {name: Counter(taken.values()) for name, taken in found.items()}
