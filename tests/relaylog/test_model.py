"""The canonical log: nothing is lost on the way through JSON, nothing can be changed, and nothing of a person shows."""

from __future__ import annotations

import re
import traceback
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.relaylog import model as m
from hub.relaylog.codes import Part, Service
from hub.relaylog.model import COLLECTIONS, FRAME_COLLECTIONS, Frozen, Label, RelayLog
from tests.relaylog.strategies import logs

CANARY = "Kanarifugl Prøvestein"
MODELS: list[type[Frozen]] = sorted(
    {*COLLECTIONS.values(), RelayLog, m.Source, m.Template, m.OrgUnit, m.Actor, m.Subject, m.Signer, m.Closure},
    key=lambda model: model.__name__,
)


def test_every_value_of_the_model_is_looked_at() -> None:
    """The classes that these tests go through are all that the module declares."""
    declared = {value for value in vars(m).values() if isinstance(value, type) and issubclass(value, Frozen)}
    assert declared - {Frozen, m.Element} == set(MODELS)


@settings(deadline=None, max_examples=100)
@given(logs())
def test_a_log_survives_json(log: RelayLog) -> None:
    """Written as JSON and read back a log is the same, whole, and as plain values it is too."""
    assert RelayLog.model_validate_json(log.model_dump_json()) == log
    assert RelayLog.model_validate(log.model_dump()) == log


@settings(deadline=None, max_examples=50)
@given(logs())
def test_showing_a_log_shows_no_text_of_it(log: RelayLog) -> None:
    """Neither repr, str nor a format of a log or of anything in it shows more than ids."""
    shown = f"{log!r} {log!s} {log}" + "".join(f"{element!r}{element!s}" for _, element in log.elements())
    shown += f"{log.subject!r}{log.unit!r}{log.holder!r}{log.closure!r}{log.source!r}"
    ids = {log.id, log.unit.id, log.source.id, log.template.id, *(element.id for _, element in log.elements())}
    assert set(re.findall(r"<\d+>", shown)) <= ids


@pytest.mark.parametrize("model", MODELS)
def test_nothing_can_be_changed(model: type[Frozen]) -> None:
    """A value refuses to be assigned to, and a field that it does not know."""
    value = model()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(value, next(iter(model.model_fields)), "x")
    with pytest.raises(ValidationError, match="extra_forbidden"):
        model.model_validate({"unknown_field": 1})


@pytest.mark.parametrize("model", MODELS)
def test_errors_do_not_show_the_value(model: type[Frozen]) -> None:
    """A value that a field can't hold is refused with the field's name, and the whole traceback lacks the value."""
    for field in model.model_fields:
        refused = [text for value in (CANARY, {CANARY: CANARY}, [[CANARY]]) if (text := _refusal(model, field, value))]
        assert len(refused) >= 2
        for text in refused:
            assert field in text
            assert CANARY not in text


def _refusal(model: type[Frozen], field: str, value: object) -> str:
    """Return the traceback of a refusal, without the names of fields that were made up; nothing if it is taken."""
    try:
        model.model_validate({field: value})
    except ValidationError as error:
        return "".join(traceback.format_exception(error)).replace(f"{field}.{CANARY}", field)
    return ""


@pytest.mark.parametrize("model", MODELS)
def test_every_field_has_words(model: type[Frozen]) -> None:
    """Each field is named in bokmål, nynorsk and English."""
    for field in model.model_fields:
        label = m.field_label(model, field)
        assert all(label.text(language) for language in ("nb", "nn", "en"))


def test_every_list_has_words() -> None:
    """Each list of a log, and the log, has a heading in three languages, and no two share one."""
    labels = [RelayLog.label, *(model.label for model in COLLECTIONS.values())]
    assert all(label.text(language) for label in labels for language in ("nb", "nn", "en"))
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_every_value_has_a_schema(model: type[Frozen], mode: str) -> None:
    """JSON Schema is made for each value, allows its fields only, and names them all."""
    schema = model.model_json_schema(mode="serialization" if mode == "serialization" else "validation")
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(model.model_fields)


@pytest.mark.parametrize("model", MODELS)
def test_references_lead_to_lists(model: type[Frozen]) -> None:
    """What refers to another element names a list that exists, and holds its id as text, empty when it has none."""
    for field, collection in m.references(model).items():
        assert collection in COLLECTIONS
        assert model.model_fields[field].annotation is str
        assert model.model_fields[field].default == ""


def test_lists_of_the_frame_exist() -> None:
    """Each list of the frame is a list of the log."""
    assert set(COLLECTIONS) > FRAME_COLLECTIONS


@given(st.integers(-(2**31), 2**32), st.integers(-14, 14))
def test_instants_are_utc(seconds: int, offset: int) -> None:
    """A time given in any zone is kept as the same instant in UTC, also through JSON."""
    at = datetime.fromtimestamp(seconds, timezone(timedelta(hours=offset)))
    meeting = m.Meeting(starts_at=at)
    assert meeting.starts_at == at
    assert meeting.starts_at is not None
    assert meeting.starts_at.tzinfo is UTC
    assert m.Meeting.model_validate_json(meeting.model_dump_json()).starts_at == at


def test_a_time_without_zone_is_refused() -> None:
    """A local time without its zone is no instant."""
    with pytest.raises(ValidationError, match="timezone"):
        m.Meeting.model_validate({"starts_at": "2026-11-20T09:00:00"})


def test_defaults_open_nothing() -> None:
    """A text without a part is its writer's own, and everybody's address protection is unknown."""
    assert m.Note().part is Part.OWN
    assert m.Subject().address_protection.value == "unknown"
    assert m.Guardian().parental_responsibility is None
    assert m.Guardian().address_protection.value == "unknown"
    assert m.Relative().address_protection.value == "unknown"
    assert m.Consent().recipient is Service.UNKNOWN


def test_a_nested_value_is_told_from_a_plain_one() -> None:
    """Fields that hold a value of the model say which, in a list, alone or optional; plain ones say none."""
    found = {field: m.nested_model(RelayLog, field) for field in ("holder", "closure", "notes", "subject", "step")}
    assert found == {"holder": m.Actor, "closure": m.Closure, "notes": m.Note, "subject": m.Subject, "step": None}
    assert m.nested_model(m.Consent, "signed_by") is m.Signer


def test_a_label_is_read_by_language() -> None:
    """A label gives the words of the language that is asked for."""
    assert [Label("a", "b", "c").text(language) for language in ("nb", "nn", "en")] == ["a", "b", "c"]
