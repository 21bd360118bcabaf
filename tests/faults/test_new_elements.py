"""What is new to a receiver, which gives it an id of its own: written once, and what refers to it finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.children import SINKS, SOURCE
from tests.faults.house import house

pytestmark = pytest.mark.long


def test_what_refers_to_something_new(tmp_path: Path) -> None:
    """Measures that name a goal and evaluations that name a measure, all new to the sinks, are written once each.

    It is mapping and merging that find the references, whatever the database.
    """
    with house(tmp_path, 3) as (other, hub, _):
        other.order(SOURCE, link=True)
        hub.rest()
        assert other.lacking() == []
        bodies = [each["body"] for name in SINKS for each in other.order(name)["records"].values()]
        for body in bodies:
            keys = {element["id"]: element for name in ("goals", "measures") for element in body[name]}
            assert [keys[each["goal"]]["text"][:5] for each in body["measures"]] == ["Mål 1", "Mål 2"]
            assert [keys[each["measure"]]["text"][:12] for each in body["evaluations"]] == [
                "Lesegruppe 1",
                "Lesegruppe 1",
                "Lesegruppe 2",
            ]
