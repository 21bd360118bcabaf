"""The code lists: plain text to machines, three languages to people, and a home for every foreign code."""

from __future__ import annotations

import json
import re

import pytest
from pydantic import TypeAdapter

from hub.relaylog import codes as c
from hub.relaylog.codes import Code, Part, Service, part_of

LISTS = sorted(Code.__subclasses__(), key=lambda code_list: code_list.__name__)


@pytest.mark.parametrize("codes", LISTS)
def test_every_code_has_words(codes: type[Code]) -> None:
    """Each code has a word in bokmål, nynorsk and English, and its code is English in snake case."""
    for code in codes:
        words = [code.label(language) for language in ("nb", "nn", "en")]
        assert words == [code.nb, code.nn, code.en]
        assert all(word and word.strip() == word for word in words)
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code.value)


@pytest.mark.parametrize("codes", LISTS)
def test_words_tell_codes_apart(codes: type[Code]) -> None:
    """Within a list no two codes share a word in any language."""
    for language in ("nb", "nn", "en"):
        words = [code.label(language) for code in codes]
        assert len(set(words)) == len(words)


@pytest.mark.parametrize("codes", LISTS)
def test_a_code_is_its_text(codes: type[Code]) -> None:
    """A code equals, prints and is written as its text, and is read from it."""
    for code in codes:
        assert code == code.value == str(code) == f"{code}"
        assert json.loads(json.dumps(code)) == code.value
        assert TypeAdapter(codes).validate_json(json.dumps(code.value)) is code


@pytest.mark.parametrize("codes", [codes for codes in LISTS if codes is not Part])
def test_a_foreign_code_has_a_home(codes: type[Code]) -> None:
    """Each list that a template fills knows `unknown`."""
    assert "unknown" in [code.value for code in codes]


def test_levels_are_their_numbers() -> None:
    """A level is 0 to 3 and written as the number."""
    assert [int(level) for level in c.BtiLevel] == [0, 1, 2, 3]
    assert json.dumps(c.BtiLevel.TWO_SERVICES) == "2"


@pytest.mark.parametrize("service", list(Service))
def test_every_service_writes_one_part(service: Service) -> None:
    """A service's own text has one part, and only child welfare writes child welfare's."""
    part = part_of(service)
    assert (part is Part.CHILD_WELFARE) == (service is Service.CHILD_WELFARE)
    assert (part is Part.PPT) == (service is Service.PPT)


@pytest.mark.parametrize("service", [None, Service.UNKNOWN, Service.EXTERNAL])
def test_text_of_nobody_known_is_not_shared(service: Service | None) -> None:
    """What an unknown or external writer wrote is nobody else's."""
    assert part_of(service) is Part.OWN


@pytest.mark.parametrize(
    "service", [Service.NAV, Service.NAV_REFUGEE, Service.DOCTOR, Service.SPECIALIST, Service.COORDINATING_UNIT]
)
def test_stricter_confidentiality_counts_as_health(service: Service) -> None:
    """Services with stricter confidentiality than the schools write health's part, which a consent must name."""
    assert part_of(service) is Part.HEALTH
