"""Every payload is found by its name, and all keep to one promise."""

from __future__ import annotations

import pytest

from hub.payloads.base import PayloadError
from hub.payloads.options import OptionsError
from hub.payloads.registry import KINDS, payload

NEEDED: dict[str, dict[str, object]] = {"csv": {"files": {"logg": {"key": "LoggID"}}}}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_no_record(kind: str) -> None:
    """No payload reads an empty file, or one beyond its size limit, as an empty record."""
    one = payload(kind, {**NEEDED.get(kind, {}), "limits": {"size": "9"}})
    for data in (b"", b"\n\n", b"0123456789"):
        with pytest.raises(PayloadError) as caught:
            one.decode(data)
        assert caught.value.code == "size"


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_option_is_named(kind: str) -> None:
    """An option that no payload has is refused by its name."""
    with pytest.raises(OptionsError, match=r"^innrykk: no option of this format"):
        payload(kind, {**NEEDED.get(kind, {}), "innrykk": "2"})


def test_an_unknown_payload_is_refused() -> None:
    """A format that doesn't exist is answered with those that do."""
    with pytest.raises(OptionsError, match="json, xml, csv, docx, pdf"):
        payload("yaml", {})
