"""Deliver again: what may have arrived is sent once more only where all of it may still be sent; else somebody looks.

A record whose newer version lies in quarantine is not written over meanwhile.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.connectors.base import Connector, Refused, SourceRecord, Tree, Unavailable
from hub.connectors.files import Folder, Settings, Template
from hub.mappings.language import MappingError
from hub.payloads.registry import payload
from hub.relaylog.codes import Part, Service
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules
from hub.relaylog.sharing import DEFAULT_CEILING, Ceiling, Sharing
from hub.sandbox.stories import shared_level_2
from hub.store.leases import LEASE, RUNS, claim
from hub.store.tables import DeliveryState, QuarantineState, deliveries, quarantine
from hub.sync.deliver import PAUSES, Outcome
from hub.sync.replay import ask_replay, replay_delivery, replay_run
from tests.sync.house import MAPPINGS, SAMSPILL, VIGILO, Detour, House
from tests.sync.test_decide import WHO
from tests.sync.test_deliver import (
    NEWS,
    _attempt,
    _due,
    _failing,
    _lost_on_the_way,
    _news,
    _row,
    _settled,
    _taken_in_and_lost,
    _told_once,
)

PHONE = "+47 00 00 01 99"
READERS = frozenset({Service.HEALTH_STATION, Service.FAMILY})
GENEROUS = Rules(Sharing(parts={**DEFAULT_CEILING, Part.CONTACT: Ceiling(readers=READERS)}), ConsentPolicy())
"""Under these rules a consent may open also how people are reached."""


def _cannot_be_asked(_real: Connector, _record_id: str) -> SourceRecord:
    raise Refused("cannot_look_up", "a folder cannot be asked for one record", "Wait for its next file")


def _read_and_routed(house: House) -> None:
    house.saved(house.vigilo())
    house.pull(VIGILO)
    house.cycle.route()


def _open_to_all(house: House, *parts: str) -> None:
    for consent in house.vigilo()["samtykke"]:
        consent["omfang"] = list(parts)


# --- what is no longer open --------------------------------------------------------------------------------------


def _own_note(house: House) -> None:
    house.vigilo()["notat"][0]["tekst"] = NEWS


def _kept_to_oneself(house: House) -> None:
    house.vigilo()["notat"][0]["synleg"] = "EIGEN"


def _child_said(house: House) -> None:
    house.vigilo()["samtalar"][0]["tekst"] = NEWS


def _voice_closed(house: House) -> None:
    _open_to_all(house, "PEDAGOGISK", "HELSE")


def _reached_by(house: House) -> None:
    house.vigilo()["stafetthaldar"]["telefon"] = PHONE


def _phones_closed(house: House) -> None:
    _open_to_all(house, "PEDAGOGISK", "HELSE", "BARNETS_RØYST")


def _held_by_another(house: House) -> None:
    house.vigilo()["stafetthaldar"].update({"namn": "Tindevind Prøvelid", "telefon": "", "epost": ""})


def _struck_out(house: House) -> None:
    house.vigilo()["notat"][0]["tekst"] = ""


def _withdrawn(house: House) -> None:
    for consent in house.vigilo()["samtykke"]:
        consent.update({"status": "TREKT", "trekt": "21.11.2026"})


def _violence(house: House) -> None:
    house.vigilo()["vald"] = True


Act = Callable[[House], None]
NARROWED = pytest.mark.parametrize(
    ("tell", "narrow"),
    [
        (_own_note, _kept_to_oneself),
        (_child_said, _voice_closed),
        (_reached_by, _phones_closed),
        (_reached_by, _held_by_another),
        (_own_note, _struck_out),
        (_own_note, _withdrawn),
        (_own_note, _violence),
    ],
    ids=[
        "note made one's own",
        "part left out",
        "phones left out",
        "another person without a phone",
        "text struck out",
        "consent withdrawn",
        "violence",
    ],
)


def _shared(house: House) -> None:
    """Share a child's log with all that a consent can open."""
    house.tell(shared_level_2)
    _open_to_all(house, "PEDAGOGISK", "HELSE", "BARNETS_RØYST", "KONTAKT")
    for consent in house.samspill()["consents"]:
        consent["scope"].append("kontakt")
    house.sync()
    house.sync()


def _told_of(house: House, tell: Act) -> str:
    """Let the kindergarten write news, and name the delivery that is to bring it to Samspill."""
    house.time.after(hours=1)
    tell(house)
    _read_and_routed(house)
    return _due(house)


def _lost_and_narrowed(house: House, tell: Act, narrow: Act, *, arrived: bool) -> str:
    """Lose the answer to news at a receiver that knows keys, and let less be open before it is tried again."""
    house.tenant = replace(house.tenant, rules=lambda _day: GENEROUS)
    house.once("open", lambda: _shared(house))
    delivery_id, detour = _told_of(house, tell), house.detours[SAMSPILL]
    detour.sent.clear()
    detour.repeats, detour.update_by = "key", _taken_in_and_lost if arrived else _lost_on_the_way
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    assert _told(detour.sent[0].after)
    narrow(house)
    house.time.after(minutes=2)
    _read_and_routed(house)
    detour.update_by = None
    return delivery_id


def _told(tree: Tree) -> bool:
    said = json.dumps(tree, ensure_ascii=False)
    return NEWS in said or PHONE in said


@NARROWED
def test_what_is_withheld_since_is_not_sent_again(house: House, tell: Act, narrow: Act) -> None:
    """The receiver is asked instead: it is not there, and what is open now takes its place, or nothing does."""
    delivery_id, detour = _lost_and_narrowed(house, tell, narrow, arrived=False), house.detours[SAMSPILL]
    assert _attempt(house, delivery_id) is Outcome.LATER
    assert _attempt(house, delivery_id) is Outcome.SUPERSEDED
    house.sync()
    assert [outgoing for outgoing in detour.sent[1:] if _told(outgoing.after)] == []
    assert not _told(house.samspill())


@NARROWED
def test_what_arrived_before_it_was_withheld_is_done(house: House, tell: Act, narrow: Act) -> None:
    """It stands at the receiver, which is its receipt; nothing is sent for that."""
    delivery_id = _lost_and_narrowed(house, tell, narrow, arrived=True)
    assert _attempt(house, delivery_id) is Outcome.SENT
    assert _row(house, delivery_id).receipt_ref.startswith("looked-up@")
    assert len(house.detours[SAMSPILL].sent) == 1


@NARROWED
def test_what_is_withheld_where_nobody_can_look_is_for_a_person(house: House, tell: Act, narrow: Act) -> None:
    """It waits with its payload; said not to have arrived, it gives way to what is open now."""
    delivery_id, detour = _lost_and_narrowed(house, tell, narrow, arrived=False), house.detours[SAMSPILL]
    detour.fetch_by = _cannot_be_asked
    assert _attempt(house, delivery_id) is Outcome.HELD
    row = _row(house, delivery_id)
    assert (row.state, row.error_class) == (DeliveryState.HELD, "outcome_unknown")
    assert row.sealed_payload
    replay_delivery(house.tenant, delivery_id, WHO, sent=False)
    house.sync()
    assert [outgoing for outgoing in detour.sent[1:] if _told(outgoing.after)] == []


def test_what_was_emptied_is_sent_again_as_it_was(house: House) -> None:
    """That a day was struck out tells nothing that is withheld now: the same goes with the same key."""
    _settled(house)
    house.vigilo()["tiltak"][0]["evalueringsfrist"] = None
    _read_and_routed(house)
    delivery_id, detour = _due(house), house.detours[SAMSPILL]
    detour.repeats, detour.update_by = "key", _lost_on_the_way
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    _news(house)
    house.time.after(minutes=2)
    detour.update_by = None
    assert _attempt(house, delivery_id) is Outcome.SENT
    one, other = detour.sent
    assert (one.key, one.after) == (other.key, other.after)
    assert house.samspill()["activities"][0]["evaluateBy"] is None


def test_what_is_disputed_since_is_not_sent_again(house: House) -> None:
    """Both sides wrote over the text meanwhile: what was sent may not be put in before they agree."""
    _settled(house)
    ours, theirs = house.vigilo()["uro"][0], house.samspill()["concerns"][0]
    ours["skildring"] = NEWS
    _read_and_routed(house)
    delivery_id, detour = _due(house), house.detours[SAMSPILL]
    detour.repeats, detour.update_by = "key", _lost_on_the_way
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    ours["skildring"], theirs["text"] = "Solskinn ler meir.", "Solskinn ler mer enn før."
    house.saved(house.samspill())
    house.pull(SAMSPILL)
    _read_and_routed(house)
    house.time.after(minutes=2)
    detour.update_by = None
    assert _attempt(house, delivery_id) is Outcome.LATER
    house.deliver()
    assert theirs["text"] == "Solskinn ler mer enn før."
    assert not [outgoing for outgoing in detour.sent[1:] if _told(outgoing.after)]


# --- a no after a lost answer ------------------------------------------------------------------------------------

NO = _failing(Refused("http_422", "the system answered HTTP 422", "look"))


def _refused_again(house: House, *, arrived: bool) -> str:
    """Lose the answer at a receiver that knows keys, and let it refuse the same when it comes again."""
    _settled(house)
    _news(house)
    delivery_id, detour = _due(house), house.detours[SAMSPILL]
    detour.repeats, detour.update_by = "key", _taken_in_and_lost if arrived else _lost_on_the_way
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    house.time.after(minutes=1)
    detour.update_by = NO
    return delivery_id


def test_a_no_to_what_had_arrived_is_no_failure(house: House) -> None:
    """The record is read, and has the change: it is done, with one key and one change there."""
    delivery_id = _refused_again(house, arrived=True)
    assert _attempt(house, delivery_id) is Outcome.SENT
    assert {outgoing.key for outgoing in house.detours[SAMSPILL].sent} == {delivery_id}
    house.detours[SAMSPILL].update_by = None
    house.time.after(hours=1)
    assert house.sync().sent == {}
    assert _told_once(house)


def test_a_no_to_what_had_not_arrived_is_asked_once_more(house: House) -> None:
    """The record is read, and does not have it: from then on a no is a no."""
    delivery_id = _refused_again(house, arrived=False)
    assert _attempt(house, delivery_id) is Outcome.LATER
    assert _attempt(house, delivery_id) is Outcome.FAILED
    row = _row(house, delivery_id)
    assert (row.state, row.error_class) == (DeliveryState.FAILED, "http_422")


def test_a_no_where_nobody_can_look_is_for_a_person(house: House) -> None:
    """It keeps its payload and its key, and nothing else goes to the record."""
    delivery_id = _refused_again(house, arrived=True)
    house.detours[SAMSPILL].fetch_by = _cannot_be_asked
    assert _attempt(house, delivery_id) is Outcome.HELD
    row = _row(house, delivery_id)
    assert (row.state, row.error_class) == (DeliveryState.HELD, "outcome_unknown")
    assert row.sealed_payload
    _news(house, "Solskinn dansa.")
    assert house.states(SAMSPILL)[-1] == "held"


def test_a_record_that_is_not_there_to_look_at_is_looked_for_again(house: House) -> None:
    """It may be gone, or the hub's rights may be: both come back, and then it is known what became of the change."""
    delivery_id, detour = _refused_again(house, arrived=True), house.detours[SAMSPILL]

    def not_there(_real: Connector, _record_id: str) -> SourceRecord:
        raise Refused("no_record", "the system answered HTTP 404", "It is gone, or the rights have changed")

    detour.fetch_by = not_there
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    detour.fetch_by = None
    house.time.at += PAUSES[1]
    assert _attempt(house, delivery_id) is Outcome.SENT


def test_what_is_found_not_to_have_arrived_goes_also_after_the_last_pause(house: House) -> None:
    """That a look succeeds is no failed attempt, however many came before it."""
    _settled(house)
    _news(house)
    delivery_id, detour = _due(house), house.detours[SAMSPILL]

    def down(_real: Connector, _record_id: str) -> SourceRecord:
        raise Unavailable("http_503", "the system answered HTTP 503", "try again")

    detour.update_by, detour.fetch_by = _lost_on_the_way, down
    for pause in PAUSES:
        assert _attempt(house, delivery_id) is Outcome.UNKNOWN
        house.time.at += pause
    detour.update_by = detour.fetch_by = None
    assert _attempt(house, delivery_id) is Outcome.LATER
    assert _attempt(house, delivery_id) is Outcome.SENT
    assert _told_once(house)


# --- a system that exchanges files -------------------------------------------------------------------------------

HEARD = "Hørselen er svekket, ny kontroll i mars."


class Box:
    """The kindergarten's system, from here on a folder."""

    def __init__(self, house: House, folder: Path) -> None:
        self._house, self._folder, self._files = house, folder, 0
        self.record: Tree = house.detours[VIGILO].real.fetch("vl-000001").tree
        template = Template(payload("json", {}), lambda tree: str(tree["id"]))
        connector = Folder(Settings(folder=folder, suffix=".json"), template, house.time.clock())
        connector.check()
        self.detour = Detour(connector)
        house.settle(VIGILO, connector=self.detour)
        house.sync()

    def exports(self) -> None:
        """Put the record as it stands into in/."""
        self._files += 1
        file = self._folder / "in" / f"{self._files}.json"
        file.write_text(json.dumps(self.record), encoding="utf-8")
        os.utime(file, (self._files, self._files))

    def out(self) -> list[str]:
        """Give what lies in out/."""
        files = sorted((self._folder / "out").iterdir())
        return [json.dumps(json.loads(file.read_bytes()), ensure_ascii=False) for file in files]


@pytest.fixture
def box(house: House, tmp_path: Path) -> Box:
    """Give the folder after both systems agreed."""
    _settled(house)
    folder = tmp_path / "box"
    folder.mkdir()
    return Box(house, folder)


def _heard(house: House) -> None:
    """Let the health station write over its note."""
    note = next(note for note in house.samspill()["notes"] if note["text"].startswith("Hørselen"))
    note["text"] = HEARD
    house.saved(house.samspill())


def test_a_file_that_was_put_out_is_the_receipt_though_the_record_is_newer(house: House, box: Box) -> None:
    """The hub died after writing it, and the system exported an edit of its own: one change stays one file."""
    _heard(house)
    house.pull(SAMSPILL)
    house.cycle.route()
    delivery_id, box.detour.update_by = _due(house, VIGILO), _taken_in_and_lost
    assert _attempt(house, delivery_id) is Outcome.UNKNOWN
    (written,) = box.out()
    box.detour.update_by = None
    box.record["notat"][0]["tekst"] = NEWS
    box.exports()
    house.pull(VIGILO)
    house.cycle.route()
    house.time.after(minutes=2)
    assert _attempt(house, delivery_id) is Outcome.SENT
    row = _row(house, delivery_id)
    assert (row.state, row.receipt_ref) == (DeliveryState.DONE, f"out/{delivery_id}.json")
    assert box.out() == [written]


# --- a record in quarantine --------------------------------------------------------------------------------------


def _waits(house: House) -> Any:
    """Give the change to the kindergarten's record, having checked that it waits for the one in quarantine."""
    row = _row(house, _due(house, VIGILO))
    assert (row.state, row.error_class) == (DeliveryState.READY, "record_in_quarantine")
    assert row.due_at == house.time.now() + PAUSES[0]
    return row


def test_a_record_whose_newer_version_is_in_quarantine_is_not_written_over(house: House, box: Box) -> None:
    """Nothing is put out before the export can be read; mended, both what it says and the change stand."""
    right, box.record["oppretta"] = box.record["oppretta"], "en dag i mai"
    box.record["notat"][0]["tekst"] = NEWS
    box.exports()
    house.time.after(hours=1)
    _heard(house)
    house.sync()
    assert house.rows(quarantine, state=QuarantineState.OPEN)
    _waits(house)
    assert box.out() == []
    box.record["oppretta"] = right
    box.exports()
    house.time.after(seconds=30)
    house.sync()
    assert house.rows(quarantine, state=QuarantineState.OPEN) == []
    (written,) = box.out()
    assert NEWS in written
    assert "svekket" in written


class Blind:
    """A mapping that can read no record, as before it is mended."""

    def __getattr__(self, name: str) -> Any:
        """Do what the real one does."""
        return getattr(MAPPINGS[VIGILO], name)

    def read(self, _tree: Tree) -> Any:
        """Refuse."""
        raise MappingError(mapping="made up", pointer="/", path="status", file="made-up.yaml", line=1, remedy="mend it")


def test_a_replay_lets_the_waiting_change_go(house: House, box: Box) -> None:
    """The record is taken in from quarantine, and what is to be sent is written down anew, due at once."""
    box.record["notat"][0]["tekst"] = NEWS
    box.exports()
    house.time.after(hours=1)
    house.settle(VIGILO, mapping=Blind())
    house.pull(VIGILO)
    house.settle(VIGILO, mapping=MAPPINGS[VIGILO])
    assert [row.reason for row in house.rows(quarantine, state=QuarantineState.OPEN)] == ["unmapped"]
    _heard(house)
    house.sync()
    waiting = _waits(house)
    run_id = ask_replay(house.tenant, WHO, VIGILO)
    assert run_id
    with house.db.write() as tx:
        lease = claim(tx, RUNS, run_id, "worker-1", house.time.now(), house.time.now() + LEASE)
    assert lease
    assert replay_run(house.tenant, house.tenant.connections[VIGILO], lease).counts["changed"] == 1
    house.cycle.route()
    house.deliver()
    assert _row(house, waiting.delivery_id).state is DeliveryState.SUPERSEDED
    (written,) = box.out()
    assert NEWS in written
    assert "svekket" in written


def test_a_record_in_quarantine_is_not_even_tried_where_the_receiver_has_a_lock(house: House) -> None:
    """A pull has shown it already; when it is closed by a person, the change goes at the next pause."""
    _settled(house)
    right = house.samspill()["mainPerson"]["nationalId"]
    house.samspill()["mainPerson"]["nationalId"] = "01810199999"
    house.saved(house.samspill())
    house.pull(SAMSPILL)
    _news(house)
    assert house.deliver().failed == {SAMSPILL: 1}
    row = _row(house, _due(house))
    assert (row.state, row.error_class, row.attempts) == (DeliveryState.READY, "record_in_quarantine", 1)
    assert house.detours[SAMSPILL].sent == []
    house.samspill()["mainPerson"]["nationalId"] = right
    house.saved(house.samspill())
    house.time.at += PAUSES[0] + timedelta(seconds=1)
    house.sync()
    assert _told_once(house)


def test_a_change_that_waits_for_a_record_in_quarantine_is_held_after_the_last_pause(house: House, box: Box) -> None:
    """As every other that is put off: it is counted among those that somebody must see to."""
    box.record["oppretta"] = "en dag i mai"
    box.exports()
    _heard(house)
    house.time.after(hours=1)
    house.sync()
    delivery_id = _waits(house).delivery_id
    for pause in PAUSES[:-1]:
        house.time.at += pause
        assert _attempt(house, delivery_id) is Outcome.LATER
    house.time.at += PAUSES[-1]
    assert _attempt(house, delivery_id) is Outcome.HELD
    assert {row.state for row in house.rows(deliveries, delivery_id=delivery_id)} == {DeliveryState.HELD}
    assert box.out() == []
