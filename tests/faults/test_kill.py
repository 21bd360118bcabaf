"""Killed or ended at the worst moments: every record once in the store, nothing twice at a sink, nothing lost."""

from __future__ import annotations

from collections import Counter
from itertools import cycle
from math import ceil
from pathlib import Path
from random import Random

import pytest

from tests.faults.children import SINKS, SOURCE
from tests.faults.house import PATIENCE, assert_whole, house, scale, show, wait_for

pytestmark = pytest.mark.long

PAGE = 25
CLEAN_SECONDS = 10


def test_killed_at_random_points_of_a_sync(tmp_path: Path, url: str) -> None:
    """A sync killed again and again ends as one that was not: all is there once, and little was read twice."""
    count, kills = scale(full=10_000, short=150), scale(full=20, short=3)
    with house(tmp_path, count, page_size=PAGE, database=url) as (other, hub, _):
        whole = count * (1 + 2 * len(SINKS))  # a record of each system, and a delivery to each sink
        points = sorted(Random(4).sample(range(whole), kills))  # noqa: S311 - the same points at each run
        hub.queue()
        listings = Counter((SOURCE, *SINKS))
        for point in points:
            process = hub.start("run")
            wait_for(lambda at=point: hub.progress() >= at or not hub.at_work(), PATIENCE, hub.log)  # type: ignore[misc]
            hub.kill(process)
            hub.let_time_pass()
            listings[SOURCE] += 0 if hub.busy() else len(hub.queue(SOURCE))
        pages = {name: other.order(name)["pages"] for name in listings}
        hub.rest()
        stored = {name: hub.stored(name) for name in (SOURCE, *SINKS)}
        twice, lacking, held = other.doubles(), other.lacking(), hub.deliveries("neither")["held"]
        show(
            "killed in a sync",
            kills=kills,
            pages=sum(pages.values()),
            twice=len(twice),
            lacking=len(lacking),
            held=held,
        )
        assert stored == {name: sorted(other.order(name)["records"]) for name in (SOURCE, *SINKS)}
        assert twice == []
        assert [name for name in lacking if not name.startswith("neither")] == []
        assert len(lacking) <= held <= kills  # what nobody can look up is asked of a person, and not sent twice
        for name, begun in listings.items():  # each is read by itself: a kill may catch a page of every one on its way
            assert pages[name] <= begun * ceil(count / PAGE) + kills


def test_killed_between_sent_and_recorded(tmp_path: Path, url: str) -> None:
    """A change that was taken in while the hub died is neither sent again nor forgotten, whatever the sink offers."""
    times = scale(full=200, short=6)
    with house(tmp_path, times, database=url) as (other, hub, _):
        hub.rest()
        for number, sink in zip(range(times), cycle(SINKS), strict=False):
            other.order(SOURCE, edit=1, which=[number, number + 1])
            other.order(sink, hold=True)
            hub.queue(SOURCE)
            process = hub.start("run", "--workers", "1")  # so that nothing else is on its way
            assert other.told().startswith(f"received {sink}"), hub.log()
            hub.kill(process)
            other.order(sink, hold=None)
            hub.let_time_pass()
        hub.rest()
        held = hub.deliveries("neither")["held"]
        show("killed between sent and recorded", times=times, held_for_a_person=held)
        assert other.doubles() == []
        assert other.lacking() == []
        assert {name: len(other.journal(name)) for name in SINKS} == dict.fromkeys(SINKS, 2 * times)
        assert held == times // len(SINKS)  # those to the sink that offers nothing


def test_asked_to_end_in_a_sync(tmp_path: Path, url: str) -> None:
    """`hub run`, asked to end anywhere in a sync again and again, end well within ten seconds."""
    count, times = scale(full=500, short=60), scale(full=25, short=3)
    with house(tmp_path, count, page_size=PAGE, database=url) as (other, hub, _):
        hub.queue()
        took = []
        points = sorted(Random(12).sample(range(count * 5), times))  # noqa: S311 - the same points at each run
        for number, point in enumerate(points, 1):
            process = hub.start("run")
            wait_for(lambda begun=number: hub.told("hub:engine:started") == begun, 30, hub.log)  # type: ignore[misc]
            wait_for(lambda at=point: hub.progress() >= at or not hub.at_work(), PATIENCE, hub.log)  # type: ignore[misc]
            took.append(hub.stop(process, CLEAN_SECONDS))
            hub.let_time_pass()
            if not hub.busy():
                hub.queue(SOURCE)  # what was read and not yet routed is routed in the next run
        hub.rest()
        show("asked to end", times=times, slowest_seconds=round(max(took), 2))
        assert_whole(other, hub, held=times)
