"""Deliver: nothing is sent twice, nothing is claimed that the receiver did not say, and nothing that waits is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from hub.connectors.base import (
    Accepted,
    BadAnswer,
    Connector,
    ConnectorError,
    KeyUsed,
    Misconfigured,
    OutcomeUnknown,
    Outgoing,
    Refused,
    Repeat,
    SourceRecord,
    Stale,
    Unavailable,
    Waiting,
)
from hub.sandbox.stories import shared_conflict, shared_level_2
from hub.store.database import Database
from hub.store.leases import LEASE
from hub.store.tables import ConflictState, DeliveryState, conflicts, deliveries, element_keys
from hub.sync.deliver import PAUSES, Deliverer, Outcome
from hub.sync.gate import resume
from hub.sync.route import MOST_AN_HOUR, Router
from hub.sync.rows import SyncRows
from tests.sync.house import ARCHIVE, MAPPINGS, SAMSPILL, VIGILO, House, Stumbling

Tree = dict[str, Any]
NEWS = "Solskinn song på samlinga."


class Killed(BaseException):
    """The worker's process ends here."""


def _lost() -> OutcomeUnknown:
    return OutcomeUnknown("connection_lost", "the answer to a change was lost", "The hub looks it up")


def _taken_in_and_lost(real: Connector, outgoing: Outgoing) -> Accepted:
    real.update(outgoing)
    raise _lost()


def _lost_on_the_way(_real: Connector, _outgoing: Outgoing) -> Accepted:
    raise _lost()


def _failing(error: ConnectorError) -> Callable[[Connector, Outgoing], Accepted]:
    def fail(_real: Connector, _outgoing: Outgoing) -> Accepted:
        raise error

    return fail


def _settled(house: House) -> None:
    """Share one child's log between both systems until nothing is due, then let an hour pass."""

    def share() -> None:
        house.tell(shared_level_2)
        house.sync()

    house.once("settled", share)
    house.world.received.clear()
    for detour in house.detours.values():
        detour.sent.clear()
    house.time.after(hours=1)


def _news(house: House, text: str = NEWS) -> None:
    """Let the kindergarten write what Samspill is to be told."""
    house.vigilo()["notat"][0]["tekst"] = text
    house.saved(house.vigilo())
    house.pull(VIGILO)
    house.cycle.route()


def _due(house: House, connection: str = SAMSPILL) -> str:
    """Name the one delivery that is not ended."""
    open_states = {DeliveryState.READY, DeliveryState.SENDING, DeliveryState.UNKNOWN}
    (row,) = [row for row in house.rows(deliveries, connection=connection) if row.state in open_states]
    return str(row.delivery_id)


def _attempt(house: House, delivery_id: str) -> Outcome:
    return Deliverer(house.tenant, "worker-1").deliver(delivery_id)


def _row(house: House, delivery_id: str) -> Any:
    return house.rows(deliveries, delivery_id=delivery_id)[0]


def _told_once(house: House, text: str = NEWS) -> bool:
    """Tell whether Samspill holds the news once, having taken in one change."""
    notes = [note["text"] for note in house.samspill()["notes"]]
    return notes.count(text) == 1 and house.received("samspill") == ["P-10001"]


# --- sent --------------------------------------------------------------------------------------------------------


def test_what_is_sent_is_receipted_and_forgotten(house: House) -> None:
    """The row ends as done with the receiver's reference; its payload is wiped and its lease given back."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    assert _row(house, delivery_id).sealed_payload
    assert _attempt(house, delivery_id) is Outcome.SENT
    row = _row(house, delivery_id)
    assert (row.state, row.sealed_payload, row.lease_owner, row.error_class) == (DeliveryState.DONE, None, None, None)
    assert row.receipt_ref == f"P-10001@{house.samspill()['version']}"
    assert (row.sent_at, row.done_at, row.attempts) == (house.time.now(), house.time.now(), 1)
    assert _told_once(house)


def test_all_that_may_flow_flows_in_one_cycle_and_the_next_is_silent(house: House) -> None:
    """After a cycle over every story nothing is due, and another cycle reads everything as unchanged."""
    house.tell_all()
    done = [row.connection for row in house.rows(deliveries, state="done")]
    assert len(done) > 10
    assert set(done) == {VIGILO, SAMSPILL, ARCHIVE}
    again = house.sync()
    assert (again.sent, again.failed, again.archived) == ({}, {}, [])
    assert house.received() == []
    assert [row.lease_owner for row in house.rows(deliveries) if row.lease_owner] == []
    for pulled in again.pulls.values():
        assert pulled.counts["unchanged"] == pulled.counts["read"]


def test_keys_that_the_receiver_gives_are_learned(house: House) -> None:
    """A new element gets its key from the answer, so that a later edit changes it and makes no second one."""
    _settled(house)
    _news(house)
    house.deliver()
    given = {note["noteId"] for note in house.samspill()["notes"]}
    assert given == {row.foreign_key for row in house.rows(element_keys, connection=SAMSPILL, collection="notes")}
    house.time.after(hours=1)
    _news(house, "Solskinn song endå meir.")
    house.deliver()
    assert given == {note["noteId"] for note in house.samspill()["notes"]}
    assert "Solskinn song endå meir." in {note["text"] for note in house.samspill()["notes"]}


def test_the_own_echo_is_unchanged(house: House) -> None:
    """What was sent comes back in the next listing and is recognised."""
    _settled(house)
    _news(house)
    house.deliver()
    pulled = house.pull(SAMSPILL)
    assert (pulled.counts["unchanged"], pulled.counts["changed"]) == (1, 0)
    assert house.cycle.route() == 0


# --- the plan is made again --------------------------------------------------------------------------------------


def test_a_view_that_changed_after_routing_is_sent_as_it_is_now(house: House) -> None:
    """The delivery that was written down gives way, and one with the newer view goes instead."""
    _settled(house)
    _news(house)
    first = _due(house)
    house.vigilo()["notat"][0]["tekst"] = "Solskinn dansa."
    house.saved(house.vigilo())
    house.pull(VIGILO)
    assert _attempt(house, first) is Outcome.SUPERSEDED
    assert house.received() == []
    assert _attempt(house, _due(house)) is Outcome.SENT
    assert _told_once(house, "Solskinn dansa.")
    assert _row(house, first).sealed_payload is None


def test_a_consent_that_ran_out_since_routing_stops_the_bytes(house: House) -> None:
    """No event told of it: the gates are asked again on the day of the sending, and the hold says why."""
    house.tell(shared_level_2)
    for consent in house.vigilo()["samtykke"]:
        consent["gjeldTil"] = "22.11.2026"
    house.pull(VIGILO)
    house.pull(SAMSPILL)
    house.cycle.route()
    house.time.after(days=2)
    assert house.deliver().sent == {}
    assert house.received() == []
    assert {rule for _, rule in house.holds()} == {"consent_expired"}


def test_a_withdrawal_between_routing_and_sending_stops_the_bytes(house: House) -> None:
    """Pulled, and not yet routed, a withdrawal already holds."""
    _settled(house)
    _news(house)
    for consent in house.vigilo()["samtykke"]:
        consent.update({"status": "TREKT", "trekt": "21.11.2026"})
    house.saved(house.vigilo())
    house.pull(VIGILO)
    assert _attempt(house, _due(house)) is Outcome.SUPERSEDED
    assert house.received() == []
    assert {rule for _, rule in house.holds()} == {"consent_withdrawn"}


def test_news_that_was_taken_back_is_not_sent(house: House) -> None:
    """When the writer undoes the edit before it left, there is nothing to send."""
    _settled(house)
    before = house.vigilo()["notat"][0]["tekst"]
    _news(house)
    first = _due(house)
    _news(house, before)
    assert _row(house, first).state is DeliveryState.SUPERSEDED
    assert house.deliver().sent == {}


# --- stale -------------------------------------------------------------------------------------------------------


def test_a_record_that_changed_meanwhile_is_read_merged_and_sent_again(house: House) -> None:
    """The other side's edit and ours both stand in the end, and nobody's was overwritten."""
    _settled(house)
    _news(house)

    def somebody_saves_first(real: Connector, outgoing: Outgoing) -> Accepted:
        house.detours[SAMSPILL].update_by = None
        own = next(note for note in house.samspill()["notes"] if note["writtenBy"]["service"] == "helsestasjon")
        own["text"] = "Hørselen er bedre."
        house.saved(house.samspill())
        return real.update(outgoing)

    house.detours[SAMSPILL].update_by = somebody_saves_first
    assert _attempt(house, _due(house)) is Outcome.SUPERSEDED
    assert house.deliver().sent[SAMSPILL] == 1
    texts = {note["text"] for note in house.samspill()["notes"]}
    assert {NEWS, "Hørselen er bedre."} <= texts
    assert {NEWS, "Hørselen er bedre."} <= {note.text for note in house.log_of("P-10001").log.notes}


def test_a_record_saved_as_it_was_costs_no_attempt(house: House) -> None:
    """Only its version is another: the pull learns it, and the first attempt names it and goes through."""
    _settled(house)
    house.saved(house.samspill())
    house.pull(SAMSPILL)
    _news(house)
    assert house.deliver().sent == {SAMSPILL: 1}
    assert len(house.detours[SAMSPILL].sent) == 1
    assert _told_once(house)


def test_a_record_that_stays_locked_is_tried_later_and_not_in_a_ring(house: House) -> None:
    """The system calls the change stale and holds nothing newer, as when somebody has the log open: it waits."""
    _settled(house)
    _news(house)
    house.detours[SAMSPILL].update_by = _failing(Stale("stale", "the system answered HTTP 409", "merge"))
    assert house.deliver().failed == {SAMSPILL: 1}
    row = _row(house, _due(house))
    assert (row.state, row.error_class, row.due_at) == (DeliveryState.READY, "stale", house.time.now() + PAUSES[0])
    house.detours[SAMSPILL].update_by = None
    house.time.after(minutes=2)
    assert house.deliver().sent == {SAMSPILL: 1}
    assert _told_once(house)


def test_a_change_to_a_record_in_quarantine_waits_and_is_no_ring(house: House) -> None:
    """The newer record at the receiver cannot be taken in: one attempt a pause, and sent once it can be."""
    _settled(house)
    person = house.samspill()["mainPerson"]
    right, person["nationalId"] = person["nationalId"], "01810199999"
    house.saved(house.samspill())
    _news(house)
    assert house.deliver().failed == {SAMSPILL: 1}
    row = _row(house, _due(house))
    assert (row.state, row.error_class) == (DeliveryState.READY, "record_in_quarantine")
    assert row.due_at == house.time.now() + PAUSES[0]
    assert len(house.detours[SAMSPILL].sent) == 1
    person["nationalId"] = right
    house.saved(house.samspill())
    house.time.after(minutes=2)
    house.sync()
    assert _told_once(house)


def test_a_record_that_is_newer_each_time_is_no_ring(house: House) -> None:
    """A system that changes the version with every reading is left alone after twelve attempts in an hour."""
    _settled(house)
    _news(house)

    def newer_again(real: Connector, outgoing: Outgoing) -> Accepted:
        house.saved(house.samspill())
        return real.update(outgoing)

    house.detours[SAMSPILL].update_by = newer_again
    house.deliver()
    assert len(house.detours[SAMSPILL].sent) == MOST_AN_HOUR
    assert (SAMSPILL.rpartition("/")[2], "restless") in house.holds()
    house.detours[SAMSPILL].update_by = None
    house.time.at += timedelta(days=1)
    house.sync()
    assert _told_once(house)


def test_what_gave_way_is_routed_also_by_another_process(house: House) -> None:
    """The process ends between giving way and routing anew: the sweep sees that the log waits for that."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    house.vigilo()["notat"][0]["tekst"] = f"{NEWS} Og dansa."
    house.saved(house.vigilo())
    house.pull(VIGILO)

    def killed_while_routing() -> str:
        raise Killed

    with pytest.raises(Killed):
        Deliverer(replace(house.tenant, new_id=killed_while_routing), "worker-1").deliver(delivery_id)
    assert _row(house, delivery_id).state is DeliveryState.SUPERSEDED
    assert house.sync().sent[SAMSPILL] == 1


def test_a_stale_record_that_cannot_be_read_now_is_tried_later(house: House) -> None:
    """Without the newer record nothing can be merged, so the delivery waits."""
    _settled(house)
    _news(house)

    def down(_real: Connector, _record_id: str) -> SourceRecord:
        raise Unavailable("http_503", "the system answered HTTP 503", "try again")

    house.detours[SAMSPILL].update_by = _failing(Stale("stale", "the system answered HTTP 412", "merge"))
    house.detours[SAMSPILL].fetch_by = down
    assert _attempt(house, _due(house)) is Outcome.LATER
    assert _row(house, _due(house)).error_class == "http_503"


# --- unknown -----------------------------------------------------------------------------------------------------


def test_a_lost_answer_is_looked_up_and_found(house: House) -> None:
    """The receiver had taken the change in: it is done, with one change there and one sending here."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    house.detours[SAMSPILL].update_by = _taken_in_and_lost
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    row = _row(house, delivery_id)
    assert (row.state, row.due_at) == (DeliveryState.UNKNOWN, house.time.now() + PAUSES[0])
    assert row.sealed_payload
    house.time.after(minutes=1)
    assert _attempt(house, delivery_id) is Outcome.SENT
    row = _row(house, delivery_id)
    assert row.state is DeliveryState.DONE
    assert row.receipt_ref.startswith("looked-up@")
    assert _told_once(house)
    assert len(house.detours[SAMSPILL].sent) == 1
    house.time.after(hours=1)
    assert house.sync().sent == {}
    assert _told_once(house)


def test_a_change_that_never_arrived_is_sent_again_with_the_same_key(house: House) -> None:
    """The look finds the record as it was, and only then the same change goes again."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    house.detours[SAMSPILL].update_by = _lost_on_the_way
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    house.detours[SAMSPILL].update_by = None
    house.time.after(minutes=1)
    assert _attempt(house, delivery_id) is Outcome.LATER
    assert _attempt(house, delivery_id) is Outcome.SENT
    keys = {outgoing.key for outgoing in house.detours[SAMSPILL].sent}
    assert keys == {delivery_id}
    assert [entry.idempotency_key for entry in house.world.received] == [delivery_id]
    assert _told_once(house)


def test_an_unknown_outcome_stays_unknown_while_nobody_can_look(house: House) -> None:
    """A system that does not answer is asked again later and later; the change is not sent meanwhile."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)

    def down(_real: Connector, _record_id: str) -> SourceRecord:
        raise Unavailable("http_503", "the system answered HTTP 503", "try again", timedelta(hours=3))

    house.detours[SAMSPILL].update_by = _taken_in_and_lost
    house.detours[SAMSPILL].fetch_by = down
    _attempt(house, delivery_id)
    house.time.after(minutes=1)
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    assert _row(house, delivery_id).due_at == house.time.now() + timedelta(hours=3)
    house.time.after(hours=2)
    assert _attempt(house, delivery_id) is Outcome.TAKEN
    house.detours[SAMSPILL].fetch_by = None
    house.time.after(hours=1)
    assert _attempt(house, delivery_id) is Outcome.SENT
    assert _told_once(house)


def test_an_answer_that_is_none_leaves_the_outcome_unknown(house: House) -> None:
    """A page with status 200 after a change says nothing: it is looked up, neither failed nor sent again."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)

    def page(real: Connector, outgoing: Outgoing) -> Accepted:
        real.update(outgoing)
        raise BadAnswer("not_json", "HTTP 200 with a body that is not JSON", "ask")

    house.detours[SAMSPILL].update_by = page
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    house.time.after(minutes=1)
    assert _attempt(house, delivery_id) is Outcome.SENT
    assert _told_once(house)


def test_an_unknown_outcome_blocks_the_next_delivery(house: House) -> None:
    """Newer text waits until it is known what became of the older, and then flows."""
    _settled(house)
    _news(house)
    house.detours[SAMSPILL].update_by = _taken_in_and_lost
    _attempt(house, _due(house))
    house.detours[SAMSPILL].update_by = None
    _news(house, "Solskinn dansa.")
    assert house.states(SAMSPILL).count("unknown") == 1
    assert house.deliver().sent == {}
    house.time.after(minutes=1)
    house.deliver()
    house.deliver()
    notes = [note["text"] for note in house.samspill()["notes"]]
    assert (notes.count(NEWS), notes.count("Solskinn dansa.")) == (0, 1)
    assert len(notes) == len(set(notes))


def _new_note(house: House, text: str) -> Tree:
    """Let the kindergarten write a note that Samspill has never had."""
    note = {**house.vigilo()["notat"][0], "id": "vn-77", "tekst": text}
    house.vigilo()["notat"].append(note)
    house.saved(house.vigilo())
    house.pull(VIGILO)
    house.cycle.route()
    return note


def _edited(house: House, note: Tree) -> None:
    note["tekst"] = "Solskinn dansa."
    house.saved(house.vigilo())
    house.pull(VIGILO)
    house.cycle.route()


def _only_the_newest(house: House) -> None:
    """Check that both systems and the log hold the note once, as it was written last."""
    house.sync()
    for texts in (
        [note["text"] for note in house.samspill()["notes"]],
        [note["tekst"] for note in house.vigilo()["notat"]],
        [note.text for note in house.log_of("P-10001").log.notes],
    ):
        assert (texts.count(NEWS), texts.count("Solskinn dansa.")) == (0, 1)
    assert [row for row in house.rows(conflicts) if row.state is ConflictState.OPEN] == []


def test_an_echo_that_a_pull_finds_first_is_known_though_the_log_has_moved_on(house: House) -> None:
    """A new note whose answer was lost, edited here since, and read before it was looked up, stands once."""
    _settled(house)
    note = _new_note(house, NEWS)
    house.detours[SAMSPILL].update_by = _taken_in_and_lost
    _attempt(house, _due(house))
    house.detours[SAMSPILL].update_by = None
    _edited(house, note)
    house.time.after(minutes=1)
    house.pull(SAMSPILL)
    for _ in range(2):
        house.time.after(hours=1)
        house.sync()
    _only_the_newest(house)


def test_a_new_element_whose_answer_was_lost_is_known_again_after_an_edit(house: House) -> None:
    """Its key is learned from the look although its text has moved on here: there is one note and no double."""
    _settled(house)
    note = _new_note(house, NEWS)
    house.detours[SAMSPILL].update_by = _taken_in_and_lost
    _attempt(house, _due(house))
    house.detours[SAMSPILL].update_by = None
    _edited(house, note)
    house.time.after(minutes=1)
    assert _attempt(house, _due(house)) is Outcome.SENT
    _only_the_newest(house)


def test_a_new_element_that_is_edited_while_it_is_sent_is_known_again(house: House) -> None:
    """The answer tells the key of what was sent, not of what stands here by then."""
    _settled(house)
    note = _new_note(house, NEWS)

    def edited_meanwhile(real: Connector, outgoing: Outgoing) -> Accepted:
        house.detours[SAMSPILL].update_by = None
        accepted = real.update(outgoing)
        _edited(house, note)
        return accepted

    house.detours[SAMSPILL].update_by = edited_meanwhile
    assert _attempt(house, _due(house)) is Outcome.SENT
    _only_the_newest(house)


def test_what_the_receiver_had_changed_itself_outlives_a_lost_answer(house: House) -> None:
    """Its own edit, sent back to it with news, is not taken back where the log has moved on before the look."""
    _settled(house)
    _new_note(house, "Solskinn les.")
    house.sync()
    edited = next(one for one in house.samspill()["notes"] if one["text"] == "Solskinn les.")
    edited["text"] = "Solskinn dansa."
    house.saved(house.samspill())
    house.pull(SAMSPILL)
    _news(house)
    house.detours[SAMSPILL].update_by = _taken_in_and_lost
    _attempt(house, _due(house))
    house.detours[SAMSPILL].update_by = None
    _news(house, "Solskinn spelte.")
    house.time.after(minutes=1)
    house.pull(SAMSPILL)
    assert _attempt(house, _due(house)) is Outcome.SENT
    house.sync()
    assert "Solskinn dansa." in [one["text"] for one in house.samspill()["notes"]]
    assert "Solskinn dansa." in [one["tekst"] for one in house.vigilo()["notat"]]


def test_an_edit_there_does_not_pass_for_our_change(house: House) -> None:
    """The change never arrived, and somebody saved the record: it is newer, but ours is not in it, and goes again."""
    _settled(house)
    _news(house)
    house.detours[SAMSPILL].update_by = _lost_on_the_way
    delivery_id = _due(house)
    _attempt(house, delivery_id)
    house.detours[SAMSPILL].update_by = None
    house.samspill()["step"] = "2.9"
    house.saved(house.samspill())
    house.time.after(minutes=1)
    assert _attempt(house, delivery_id) is Outcome.SUPERSEDED
    assert house.deliver().sent[SAMSPILL] == 1
    assert _told_once(house)


def test_a_worker_that_died_while_sending_leaves_an_unknown_outcome(house: House, db: Database) -> None:
    """After its lease the row is freed as unknown, looked up, and found: one change at the receiver."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)

    def die(real: Connector, outgoing: Outgoing) -> Accepted:
        real.update(outgoing)
        raise Killed

    house.detours[SAMSPILL].update_by = die
    with pytest.raises(Killed):
        _attempt(house, delivery_id)
    assert _row(house, delivery_id).state is DeliveryState.SENDING
    rows = SyncRows(db, {house.tenant.organisation_number: house.tenant}, "worker-2")
    assert list(rows.sweep(house.time.now())) == []
    house.time.at += LEASE
    assert [task.row_id for task in rows.sweep(house.time.now())] == [delivery_id]
    assert _row(house, delivery_id).state is DeliveryState.UNKNOWN
    assert _attempt(house, delivery_id) is Outcome.SENT
    assert _told_once(house)


def test_a_worker_that_lost_its_delivery_writes_nothing_more(house: House, db: Database) -> None:
    """It slept through its lease: what it brings back is refused, and the row is looked up instead."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    rows = SyncRows(db, {house.tenant.organisation_number: house.tenant}, "worker-2")

    def sleep(real: Connector, outgoing: Outgoing) -> Accepted:
        accepted = real.update(outgoing)
        house.time.at += LEASE
        rows.sweep(house.time.now())
        return accepted

    house.detours[SAMSPILL].update_by = sleep
    assert _attempt(house, delivery_id) is Outcome.TAKEN
    assert _row(house, delivery_id).state is DeliveryState.UNKNOWN
    assert _attempt(house, delivery_id) is Outcome.SENT
    assert _told_once(house)


# --- refused and unavailable -------------------------------------------------------------------------------------


def test_what_is_refused_fails_and_is_seen(house: House) -> None:
    """The row ends as failed with the code, its payload is wiped, it is counted, and it is not tried again."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    house.detours[SAMSPILL].update_by = _failing(Refused("http_422", "the system answered HTTP 422", "look"))
    assert house.deliver().failed == {SAMSPILL: 1}
    row = _row(house, delivery_id)
    assert (row.state, row.error_class, row.sealed_payload) == (DeliveryState.FAILED, "http_422", None)
    house.time.after(days=1)
    house.sync()
    assert len(house.detours[SAMSPILL].sent) == 1


def test_what_was_refused_goes_again_when_there_is_something_else_to_say(house: House) -> None:
    """The new change is sent at once, which ends what failed before; so does it that the system says so itself."""
    _settled(house)
    before = house.vigilo()["notat"][0]["tekst"]
    _news(house)
    first = _due(house)
    house.detours[SAMSPILL].update_by = _failing(Refused("http_422", "the system answered HTTP 422", "look"))
    house.deliver()
    _news(house, "Solskinn dansa.")
    second = _due(house)
    house.deliver()
    assert [_row(house, each).state for each in (first, second)] == [DeliveryState.SUPERSEDED, DeliveryState.FAILED]
    own = next(note for note in house.samspill()["notes"] if note["text"] == before)
    own["text"] = "Solskinn dansa."
    house.saved(house.samspill())
    house.sync()
    assert _row(house, second).state is DeliveryState.SUPERSEDED
    assert len(house.detours[SAMSPILL].sent) == 2


def test_what_a_system_says_by_itself_is_agreed_at_once(house: House) -> None:
    """The text was copied there by hand, after what was sent had been refused: the next edit is no conflict."""
    _settled(house)
    before = house.vigilo()["notat"][0]["tekst"]
    _news(house)
    house.detours[SAMSPILL].update_by = _failing(Refused("http_422", "the system answered HTTP 422", "look"))
    house.deliver()
    house.detours[SAMSPILL].update_by = None
    next(note for note in house.samspill()["notes"] if note["text"] == before)["text"] = NEWS
    house.saved(house.samspill())
    house.sync()
    _news(house, "Solskinn dansa.")
    assert house.deliver().sent == {SAMSPILL: 1}
    assert house.rows(conflicts) == []
    assert _told_once(house, "Solskinn dansa.")


def test_one_log_that_fails_stops_no_other(house: House) -> None:
    """The other child's log is delivered in the same cycle."""
    house.tell(shared_level_2, shared_level_2)

    def refuse_first(real: Connector, outgoing: Outgoing) -> Accepted:
        if outgoing.before.id == "P-10001":
            raise Refused("http_422", "the system answered HTTP 422", "look")
        return real.update(outgoing)

    house.detours[SAMSPILL].update_by = refuse_first
    result = house.sync()
    assert result.sent[SAMSPILL] == 1
    assert result.failed[SAMSPILL] >= 1
    assert house.received("samspill") == ["P-10002"]


def test_what_changed_while_a_delivery_failed_is_not_forgotten(house: House) -> None:
    """An edit that came and was routed while the first change was on its way goes once that has ended."""
    _settled(house)
    _news(house)

    def edited_meanwhile(_real: Connector, _outgoing: Outgoing) -> Accepted:
        house.detours[SAMSPILL].update_by = None
        _news(house, "Solskinn dansa.")
        raise Refused("http_422", "the system answered HTTP 422", "look")

    house.detours[SAMSPILL].update_by = edited_meanwhile
    assert _attempt(house, _due(house)) is Outcome.FAILED
    house.sync()
    assert _told_once(house, "Solskinn dansa.")


def test_a_system_that_is_down_is_tried_later_and_later_and_then_held(house: House) -> None:
    """Five pauses, each longer, every attempt with the same key; after the last a person must look."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    house.detours[SAMSPILL].update_by = _failing(Unavailable("http_503", "the system answered HTTP 503", "try again"))
    for pause in PAUSES:
        assert _attempt(house, delivery_id) is Outcome.LATER
        assert _row(house, delivery_id).due_at == house.time.now() + pause
        assert _attempt(house, delivery_id) is Outcome.TAKEN
        house.time.at += pause
    assert _attempt(house, delivery_id) is Outcome.HELD
    row = _row(house, delivery_id)
    assert (row.state, row.error_class, row.attempts) == (DeliveryState.HELD, "http_503", 6)
    assert {outgoing.key for outgoing in house.detours[SAMSPILL].sent} == {delivery_id}


def test_a_system_is_not_called_before_it_asked_to_be(house: House) -> None:
    """`Retry-After` outranks the hub's own pause."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    peace = Unavailable("http_429", "the system answered HTTP 429", "wait", timedelta(minutes=40))
    house.detours[SAMSPILL].update_by = _failing(peace)
    house.deliver()
    house.detours[SAMSPILL].update_by = None
    house.time.after(minutes=39)
    assert _attempt(house, delivery_id) is Outcome.TAKEN
    house.time.after(minutes=1)
    assert _attempt(house, delivery_id) is Outcome.SENT


# --- conflicts ---------------------------------------------------------------------------------------------------


def _deadlines(house: House) -> list[str]:
    ours = next(m for m in house.vigilo()["tiltak"] if m["ansvarleg"]["teneste"] == "PPT")
    theirs = next(m for m in house.samspill()["activities"] if m["responsible"]["service"] == "ppt")
    return [ours["frist"], theirs["dueOn"]]


def test_a_conflict_freezes_one_field_and_the_rest_flows(house: House) -> None:
    """Both systems keep their own deadline of the disputed measure; all else reaches both."""
    told = house.tell(shared_conflict)[0]
    before = _deadlines(house)
    assert set(house.sync().sent) == {VIGILO, SAMSPILL}
    assert _deadlines(house) == before
    paths = sorted(row.path for row in house.rows(conflicts, state="open"))
    assert "measures[].deadline" in paths
    assert all(path.startswith("measures[].") for path in paths)
    assert {note.text for note in told.samspill[0].notes if note.part == "helse"} <= {
        note["tekst"].partition("] ")[2] for note in house.vigilo()["notat"]
    }
    assert house.sync().sent == {}


def _disputed(house: House) -> list[str]:
    return sorted(row.path for row in house.rows(conflicts, state="open"))


def test_a_conflict_that_comes_back_is_listed_again(house: House) -> None:
    """PPT's measure is shared with nobody, so a day that both had agreed on can be disputed anew."""
    house.tell(shared_conflict)
    house.sync()
    measure = next(m for m in house.vigilo()["tiltak"] if m["ansvarleg"]["teneste"] == "PPT")
    for day, disputed in ((".".join(reversed(_deadlines(house)[1].split("-"))), 0), ("24.12.2026", 1)):
        house.time.after(hours=1)
        measure["frist"] = day
        house.saved(house.vigilo())
        house.sync()
        assert _disputed(house).count("measures[].deadline") == disputed


def test_two_edits_of_one_text_wait_for_each_other_and_the_rest_flows(house: House) -> None:
    """Both services rewrote the concern they share: neither text reaches the other side, until they agree again."""
    _settled(house)
    ours, theirs = house.vigilo()["uro"][0], house.samspill()["concerns"][0]
    ours["skildring"], theirs["text"] = "Solskinn ler meir.", "Solskinn ler mer enn før."
    house.saved(house.samspill())
    house.vigilo()["notat"][0]["tekst"] = NEWS
    house.saved(house.vigilo())
    house.sync()
    assert _disputed(house) == ["concerns[].text"]
    assert (ours["skildring"], theirs["text"]) == ("Solskinn ler meir.", "Solskinn ler mer enn før.")
    assert NEWS in {note["text"] for note in house.samspill()["notes"]}
    house.time.after(hours=1)
    house.samspill()["concerns"][0]["text"] = "Solskinn ler meir."
    house.saved(house.samspill())
    house.sync()
    assert _disputed(house) == []
    house.time.after(hours=1)
    house.vigilo()["uro"][0]["skildring"] = "Solskinn ler heile dagen."
    house.saved(house.vigilo())
    house.sync()
    assert house.samspill()["concerns"][0]["text"] == "Solskinn ler heile dagen."
    assert _disputed(house) == []


def test_a_deletion_that_is_asked_about_is_not_written_back(house: House) -> None:
    """While a person is asked, the element is neither removed elsewhere nor made again where it was removed."""
    _settled(house)
    house.vigilo()["notat"][0]["tekst"] = NEWS
    house.saved(house.vigilo())
    gone = house.samspill()["agreements"].pop()
    house.saved(house.samspill())
    house.sync()
    assert NEWS in {note["text"] for note in house.samspill()["notes"]}
    assert gone["agreementId"] not in {agreement["agreementId"] for agreement in house.samspill()["agreements"]}
    assert len(house.samspill()["agreements"]) == len(house.vigilo()["avtalar"]) - 1


# --- one worker --------------------------------------------------------------------------------------------------


def test_a_delivery_that_another_worker_has_is_left_alone(house: House) -> None:
    """It is neither sent nor counted."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)

    def twice(real: Connector, outgoing: Outgoing) -> Accepted:
        assert Deliverer(house.tenant, "worker-2").deliver(delivery_id) is Outcome.TAKEN
        return real.update(outgoing)

    house.detours[SAMSPILL].update_by = twice
    assert _attempt(house, delivery_id) is Outcome.SENT
    assert len(house.detours[SAMSPILL].sent) == 1


def test_an_ended_delivery_is_not_made_again(house: House) -> None:
    """Asked for once more, by a message that came late, nothing happens."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    _attempt(house, delivery_id)
    assert _attempt(house, delivery_id) is Outcome.TAKEN
    assert _told_once(house)


def test_a_record_that_left_the_log_ends_its_delivery(house: House) -> None:
    """Without the receiver's record there is nothing to write on."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    with house.db.write() as tx:
        tx.exec_driver_sql("UPDATE records SET log_id = NULL WHERE foreign_id = 'P-10001'")
    assert _attempt(house, delivery_id) is Outcome.SUPERSEDED
    assert Router(house.tenant).route([house.log_of("vl-000001").log_id]) == 0


# --- what is safe after an unknown outcome ----------------------------------------------------------------------


def test_a_receiver_that_knows_keys_is_sent_the_same_again(house: House) -> None:
    """Nothing is looked up: the same bytes go with the same key, also when the log has moved on since."""
    _settled(house)
    _news(house)
    delivery_id, detour = _due(house), house.detours[SAMSPILL]
    detour.repeats, detour.update_by = "key", _lost_on_the_way
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    house.time.after(minutes=1)
    _news(house, "Solskinn dansa.")
    detour.update_by = detour.fetch_by = None
    assert _attempt(house, delivery_id) is Outcome.SENT
    one, other = detour.sent
    assert (one.key, one.after) == (other.key, other.after)
    assert _told_once(house)
    assert house.sync().sent == {SAMSPILL: 1}
    assert [note["text"] for note in house.samspill()["notes"]].count("Solskinn dansa.") == 1


def _used(_real: Connector, _outgoing: Outgoing) -> Accepted:
    raise KeyUsed("key-used", "the system answered HTTP 409", "The hub looks it up")


def _unknown_and_pulled(house: House, repeat: Repeat) -> str:
    """Lose the answer to a change that was taken in, and let a pull read it before anybody looks it up."""
    _settled(house)
    _news(house)
    delivery_id, detour = _due(house), house.detours[SAMSPILL]
    detour.repeats, detour.update_by = repeat, _taken_in_and_lost
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    house.time.after(minutes=1)
    house.pull(SAMSPILL)
    house.cycle.route()
    return delivery_id


def _is_receipted(house: House, delivery_id: str) -> None:
    """Check that it is done by a look, that one change arrived, and that nothing more is to be sent."""
    row = _row(house, delivery_id)
    assert (row.state, row.error_class, row.sealed_payload) == (DeliveryState.DONE, None, None)
    assert row.receipt_ref == f"looked-up@{house.samspill()['version']}"
    assert house.received("samspill") == ["P-10001"]
    assert house.sync().sent == {}
    assert house.rows(conflicts) == []


def test_a_pull_that_read_the_change_does_not_take_its_receipt(house: House) -> None:
    """The record stands as the hub last read it, with the change in it: that is the receipt."""
    delivery_id = _unknown_and_pulled(house, "look_up")
    assert _attempt(house, delivery_id) is Outcome.SENT
    _is_receipted(house, delivery_id)
    assert _told_once(house)


@pytest.mark.parametrize("answer", [_used, _failing(Stale("stale", "the system answered HTTP 412", "merge"))])
@pytest.mark.parametrize("pulled", [True, False])
def test_a_used_key_is_a_receipt(house: House, answer: Any, *, pulled: bool) -> None:
    """Whether the receiver knows the key or finds the version old first, and whether a pull came before or not."""
    if pulled:
        delivery_id = _unknown_and_pulled(house, "key")
    else:
        _settled(house)
        _news(house)
        delivery_id, house.detours[SAMSPILL].repeats = _due(house), "key"
        house.detours[SAMSPILL].update_by = _taken_in_and_lost
        _attempt(house, delivery_id)
        house.time.after(minutes=1)
    house.detours[SAMSPILL].update_by = answer
    assert _attempt(house, delivery_id) is Outcome.SENT
    house.detours[SAMSPILL].update_by = None
    _is_receipted(house, delivery_id)


def test_a_used_key_whose_change_was_written_over_is_done_too(house: House) -> None:
    """It arrived, and somebody there has changed another text since: both stand, and nothing is sent twice."""
    _settled(house)
    _news(house)
    delivery_id, detour = _due(house), house.detours[SAMSPILL]
    detour.repeats, detour.update_by = "key", _taken_in_and_lost
    _attempt(house, delivery_id)
    own = next(note for note in house.samspill()["notes"] if note["writtenBy"]["service"] == "helsestasjon")
    own["text"] = "Hørselen er bedre."
    house.saved(house.samspill())
    house.time.after(minutes=1)
    detour.update_by = _used
    assert _attempt(house, delivery_id) is Outcome.SENT
    detour.update_by = None
    assert _row(house, delivery_id).state is DeliveryState.DONE
    assert house.sync().sent.get(SAMSPILL, 0) == 0
    assert {NEWS, "Hørselen er bedre."} <= {note.text for note in house.log_of("P-10001").log.notes}
    assert _told_once(house)


def test_a_used_key_that_nobody_can_look_up_now_stays_unknown(house: House) -> None:
    """It is asked again later, and not sent as another change."""
    delivery_id = _unknown_and_pulled(house, "key")

    def down(_real: Connector, _record_id: str) -> SourceRecord:
        raise Unavailable("http_503", "the system answered HTTP 503", "try again")

    house.detours[SAMSPILL].update_by, house.detours[SAMSPILL].fetch_by = _used, down
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    assert _row(house, delivery_id).error_class == "http_503"


def test_a_receiver_that_can_do_neither_is_never_sent_twice(house: House) -> None:
    """It waits for a person with its payload, and nothing newer goes to that record before."""
    _settled(house)
    _news(house)
    delivery_id, detour = _due(house), house.detours[SAMSPILL]
    detour.repeats, detour.update_by = "never", _taken_in_and_lost
    assert _attempt(house, delivery_id) is Outcome.HELD
    row = _row(house, delivery_id)
    assert (row.state, row.error_class, row.done_at) == (DeliveryState.HELD, "outcome_unknown", None)
    assert row.sealed_payload
    house.time.after(days=2)
    _news(house, "Solskinn dansa.")
    house.sync()
    assert len(detour.sent) == 1
    assert _row(house, delivery_id).state is DeliveryState.HELD


def test_a_dead_worker_at_such_a_receiver_leaves_it_to_a_person(house: House, db: Database) -> None:
    """Nobody knows whether the bytes left, so that nobody sends them again."""
    _settled(house)
    _news(house)
    delivery_id, detour = _due(house), house.detours[SAMSPILL]

    def die(_real: Connector, _outgoing: Outgoing) -> Accepted:
        raise Killed

    detour.repeats, detour.update_by = "never", die
    with pytest.raises(Killed):
        _attempt(house, delivery_id)
    house.time.at += LEASE
    list(SyncRows(db, {house.tenant.organisation_number: house.tenant}, "worker-2").sweep(house.time.now()))
    assert _attempt(house, delivery_id) is Outcome.HELD
    assert len(detour.sent) == 1


# --- held until something is mended ------------------------------------------------------------------------------


def _misconfigured(house: House) -> str:
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    wrong = Misconfigured("unauthorized", "the system answered HTTP 403", "check")
    house.detours[SAMSPILL].update_by = _failing(wrong)
    assert _attempt(house, delivery_id) is Outcome.HELD
    row = _row(house, delivery_id)
    assert (row.state, row.error_class) == (DeliveryState.HELD, "unauthorized")
    assert row.sealed_payload
    house.detours[SAMSPILL].update_by = None
    return delivery_id


def test_a_wrong_configuration_holds_until_a_run_goes_well(house: House) -> None:
    """The same delivery with the same key goes when the system lets the hub in again."""
    delivery_id = _misconfigured(house)
    assert house.deliver().sent == {}
    assert house.sync().sent == {SAMSPILL: 1}
    assert _row(house, delivery_id).state is DeliveryState.DONE
    assert {outgoing.key for outgoing in house.detours[SAMSPILL].sent} == {delivery_id}
    assert _told_once(house)


def test_a_person_who_resumes_lets_what_was_held_go(house: House) -> None:
    """`hub resume` makes it ready at once, with all its attempts."""
    delivery_id = _misconfigured(house)
    resume(house.tenant, SAMSPILL, "kari.it")
    assert _row(house, delivery_id).attempts == 0
    assert _attempt(house, delivery_id) is Outcome.SENT


def test_news_replace_what_is_held(house: House) -> None:
    """While a delivery is held its log may change: then the newer one goes in its place."""
    delivery_id = _misconfigured(house)
    _news(house, "Solskinn dansa.")
    assert _row(house, delivery_id).state is DeliveryState.SUPERSEDED
    assert house.deliver().sent == {SAMSPILL: 1}
    assert _told_once(house, "Solskinn dansa.")


def test_waiting_at_the_gate_is_no_attempt(house: House) -> None:
    """The delivery is ready again, due when the gate said, with the attempts that it had."""
    _settled(house)
    _news(house)
    delivery_id, until = _due(house), house.time.now() + timedelta(minutes=7)
    house.detours[SAMSPILL].update_by = _failing(Waiting("breaker_open", "it fails", "wait", until))
    assert _attempt(house, delivery_id) is Outcome.LATER
    row = _row(house, delivery_id)
    assert (row.state, row.attempts, row.error_class, row.due_at) == (DeliveryState.READY, 0, "breaker_open", until)


# --- mistakes of the hub -----------------------------------------------------------------------------------------


def test_a_mistake_before_the_bytes_leave_holds_that_delivery_alone(house: House) -> None:
    """The other child's delivery is sent in the same cycle; the held one shows no word of the exception."""
    house.tell(shared_level_2, shared_level_2)
    house.pull(VIGILO)
    house.pull(SAMSPILL)
    house.cycle.route()
    house.settle(SAMSPILL, mapping=Stumbling(MAPPINGS[SAMSPILL], "P-10001"))
    with capture_logs() as lines:
        house.deliver()
    rows = [row for row in house.rows(deliveries, connection=SAMSPILL) if row.error_class == "internal_error"]
    assert [row.state for row in rows] == [DeliveryState.HELD]
    assert house.received("samspill") == ["P-10002"]
    assert "sync:delivery:internal_error" in [line["event"] for line in lines]


def test_a_mistake_after_the_bytes_left_is_an_unknown_outcome(house: House) -> None:
    """What the receiver has may not be sent again blindly: it is looked up, found, and done."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)

    def stumble(real: Connector, outgoing: Outgoing) -> Accepted:
        real.update(outgoing)
        raise KeyError("Solskinn Testbarn")

    house.detours[SAMSPILL].update_by = stumble
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    assert _row(house, delivery_id).error_class == "internal_error"
    house.time.after(minutes=1)
    assert _attempt(house, delivery_id) is Outcome.SENT
    assert _told_once(house)


def test_a_connection_that_was_removed_ends_its_deliveries(house: House) -> None:
    """Old rows of it fail with that word, and stop no other."""
    _settled(house)
    _news(house)
    delivery_id = _due(house)
    house.tenant = replace(house.tenant, connections={VIGILO: house.tenant.connections[VIGILO]})
    house.deliver()
    row = _row(house, delivery_id)
    assert (row.state, row.error_class, row.sealed_payload) == (DeliveryState.FAILED, "not_configured", None)
