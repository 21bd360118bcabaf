"""A system's own file is read beside what was put out for it: pure, and for logs of every kind."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.relaylog.merge import Place, empty, flatten, unflatten
from hub.relaylog.model import Note, RelayLog
from hub.relaylog.putout import as_taken_in, not_yet_emptied
from tests.relaylog.strategies import logs


def _log(*texts: str) -> RelayLog:
    return RelayLog(id="l", notes=tuple(Note(id=f"n{at}", text=text) for at, text in enumerate(texts)))


def _texts(log: RelayLog) -> list[str]:
    return [note.text for note in log.notes]


@settings(deadline=None, max_examples=20)
@given(logs(), logs())
def test_what_was_put_out_is_held(told: RelayLog, put_out: RelayLog) -> None:
    """An old file changes nothing of what is on its way, and one that shows all of it leaves nothing on its way."""
    wanted = unflatten({**flatten(told), **flatten(put_out)})
    again = as_taken_in(told, wanted, told)
    assert flatten(again.seen).keys() == flatten(wanted).keys()
    assert all(_alike(value, flatten(wanted)[place]) for place, value in flatten(again.seen).items() if place.field)
    assert not again.unaware
    shown = as_taken_in(told, wanted, wanted)
    assert shown.seen is wanted
    assert shown.nothing_new


def _alike(one: object, other: object) -> bool:
    return one == other or (empty(one) and empty(other)) or str(one).split() == str(other).split()


@given(st.sampled_from(["Slik.", "slik", "", "Slik  her."]))
def test_what_a_file_says_anew_is_its_own(text: str) -> None:
    """A text that neither stood there before nor was put out is taken as it is."""
    assert _texts(as_taken_in(_log("Gammelt."), _log("Nytt."), _log(text)).seen) == [text]


def test_an_edit_beside_what_is_on_its_way_is_told_apart() -> None:
    """Of two texts, one on its way and one edited: the one stands as put out, the other as the file says."""
    shown = as_taken_in(_log("Gammelt.", "A."), _log("Nytt.", "A."), _log("Gammelt.", "B."))
    assert (_texts(shown.seen), shown.unaware, shown.nothing_new) == (["Nytt.", "B."], {}, False)


def test_a_text_with_other_spaces_is_the_one_that_was_put_out() -> None:
    """A system that keeps a text with other spaces or line ends has taken it in."""
    shown = as_taken_in(_log("Gammelt."), _log("Nytt  og\r\nlangt."), _log("Nytt og langt. "))
    assert (_texts(shown.seen), shown.unaware) == (["Nytt og langt. "], {})


def test_who_writes_over_the_old_words_has_not_seen_the_new() -> None:
    """A third text is unaware of what was put out, unless another place shows that the file was imported."""
    place = Place("notes", "n0", "text")
    assert as_taken_in(_log("Gammelt."), _log("Nytt."), _log("Tredje.")).unaware == {place: "Gammelt."}
    told, put_out = _log("Gammelt.", "A."), _log("Nytt.", "B.")
    assert as_taken_in(told, put_out, _log("Tredje.", "B.")).unaware == {}


def test_an_element_that_is_gone_from_the_file_is_gone() -> None:
    """What stood in the file before and is left out of this one was taken away; what is new to it is not missed."""
    assert _texts(as_taken_in(_log("A.", "B."), _log("A.", "B2.", "C."), _log("A.")).seen) == ["A.", "C."]


def test_what_its_own_file_still_says_is_emptied_again() -> None:
    """A place that was put out empty, and that the file still fills, is emptied in the next one too if still wanted."""
    place = Place("notes", "n0", "text")
    told, seen = _log("Gammelt."), _log("")
    assert not_yet_emptied(told, seen, flatten(_log(""))) == {place}
    assert not_yet_emptied(told, seen, flatten(_log("Nytt."))) == frozenset()
