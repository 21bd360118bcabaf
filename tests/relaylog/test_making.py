"""Values made without validation are what validation and copying would have made."""

from __future__ import annotations

from hypothesis import given, settings

from hub.relaylog.making import changed
from hub.relaylog.model import COLLECTIONS, RelayLog
from tests.relaylog.strategies import logs


@settings(deadline=None, max_examples=50)
@given(logs())
def test_a_changed_value_is_what_copying_makes(log: RelayLog) -> None:
    """A changed log and its changed elements equal pydantic's own copies and their JSON; what they came of stays."""
    before = log.model_dump_json()
    changes = {name: tuple(changed(one, {"id": "x"}) for one in getattr(log, name)) for name in COLLECTIONS}
    copies = {name: tuple(one.model_copy(update={"id": "x"}) for one in getattr(log, name)) for name in COLLECTIONS}
    after, copied = changed(log, {**changes, "id": "y"}), log.model_copy(update={**copies, "id": "y"})
    assert after == copied
    assert hash(after) == hash(copied)
    assert after.model_dump_json() == copied.model_dump_json()
    assert RelayLog.model_validate_json(after.model_dump_json()) == after
    assert log.model_dump_json() == before
