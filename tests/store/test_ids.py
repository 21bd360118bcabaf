"""The hub's own ids: UUIDs that tell when they were made, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from hub.store.ids import new_id

AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
INSTANTS = st.integers(0, 10**16).map(lambda since: AT + timedelta(microseconds=since))


@given(INSTANTS)
def test_an_id_is_a_uuid_of_its_millisecond(at: datetime) -> None:
    """It is a UUID of version 7 as others read it, and begins with the time in milliseconds."""
    made = UUID(new_id(lambda: at))
    assert (made.variant, made.version) == (RFC_4122, 7)
    assert made.int >> 80 == int(at.timestamp() * 1000)


def test_ids_of_one_instant_differ_and_later_ones_come_after() -> None:
    """A thousand made at once are all different, and every one made later sorts after all of them."""
    early = {new_id(lambda: AT) for _ in range(1000)}
    late = {new_id(lambda: AT + timedelta(milliseconds=1)) for _ in range(1000)}
    assert len(early) == len(late) == 1000
    assert max(early) < min(late)


def test_every_other_bit_is_random() -> None:
    """All but the time, the version and the variant are once set and once not."""
    made = [UUID(new_id(lambda: AT)).int for _ in range(200)]
    ever, always = 0, (1 << 128) - 1
    for one in made:
        ever, always = ever | one, always & one
    assert (ever & ~always).bit_count() == 74
