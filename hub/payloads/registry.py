"""Every payload by its name in mappings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hub.payloads.base import Payload
from hub.payloads.options import OptionsError


def _json(options: Mapping[str, object]) -> Payload:
    from hub.payloads.json import JsonPayload

    return JsonPayload(options)


def _xml(options: Mapping[str, object]) -> Payload:
    from hub.payloads.xml import XmlPayload

    return XmlPayload(options)


def _csv(options: Mapping[str, object]) -> Payload:
    from hub.payloads.csv import CsvPayload

    return CsvPayload(options)


def _docx(options: Mapping[str, object]) -> Payload:
    from hub.payloads.docx import DocxPayload

    return DocxPayload(options)


def _pdf(options: Mapping[str, object]) -> Payload:
    from hub.payloads.pdf import PdfPayload

    return PdfPayload(options)


# Imported late: reading one format needs no other's library.
_PAYLOADS: Mapping[str, Callable[[Mapping[str, object]], Payload]] = {
    "json": _json, "xml": _xml, "csv": _csv, "docx": _docx, "pdf": _pdf,
}  # fmt: skip
KINDS = tuple(_PAYLOADS)


def payload(kind: str, options: Mapping[str, object]) -> Payload:
    """Return the payload of a kind (json, xml, csv, docx or pdf) with a template's options.

    Options are plain mappings, lists and texts; numbers may be text. Raises OptionsError, with the keys to the place.
    """
    if kind not in _PAYLOADS:
        raise OptionsError([], "no known payload", f"Write one of {', '.join(KINDS)}")
    return _PAYLOADS[kind](options)
