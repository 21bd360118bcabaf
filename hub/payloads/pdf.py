"""PDF forms: AcroForm fields read as a tree, and filled in on top of the file, which stays as it was underneath.

Every filled field gets an appearance of its own, so that the value shows in any viewer. Viewers are asked to draw the
fields themselves only where a letter stands that the appearances lack.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from pypdf import PdfReader, PdfWriter, apply_configuration
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    ByteStringObject,
    DictionaryObject,
    IndirectObject,
    NameObject,
    NullObject,
    StreamObject,
    TextStringObject,
)

from hub.payloads.base import Limits, PayloadError, Tree, check_size, check_tree, plain, same, shown
from hub.payloads.options import Options
from hub.payloads.pdflook import appearance, drawable

# The library's warnings quote what stands in a file; nothing of a record may reach a log.
logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)

_ACTIVE: Final = (
    "/JavaScript",
    "/Launch",
    "/ImportData",
    "/SubmitForm",
    "/GoToR",
    "/GoToE",
    "/Rendition",
    "/RichMedia",
)
_RADIO, _BUTTON, _EDIT, _MANY = 1 << 15, 1 << 16, 1 << 18, 1 << 21
_DEPTH = 32
_OFF = "/Off"

T = TypeVar("T")


@dataclass(frozen=True)
class _Field:
    """A form field with what it inherits, and its widgets: the places where it shows."""

    name: str
    kind: str
    flags: int
    node: DictionaryObject
    widgets: list[DictionaryObject]
    inherited: Mapping[str, object]

    def get(self) -> object:
        """Return the value: text, a choice's export value or list of them, true or false, None where unfilled."""
        value = _resolved(self.inherited.get("/V"))
        if self.kind == "/Btn":
            return self._button(value)
        if isinstance(value, ArrayObject):
            values: list[object] = [_text(one) for one in value]
            return values or None
        text = _text(value)
        if self.kind == "/Ch" and self.flags & _MANY:
            return [text] if text else None
        return text or None

    def states(self) -> list[str]:
        """Return the names of a button's states other than off, in the order of its widgets."""
        names = [name for widget in self.widgets for name in _states(widget)]
        return list(dict.fromkeys(names))

    def put(self, value: object, at: str, writer: PdfWriter) -> None:
        """Fill in a value. Raises PayloadError for one that the field can't hold."""
        if self.kind == "/Btn":
            self._press(value, at)
        else:
            self._write(value, at, writer)

    def choices(self) -> dict[str, str]:
        """Return what a choice may be told by, its export value or what it shows -> the export value."""
        found: dict[str, str] = {}
        options = _resolved(self.inherited.get("/Opt"))
        for option in options if isinstance(options, ArrayObject) else ():
            one = _resolved(option)
            pair = [_text(part) for part in one] if isinstance(one, ArrayObject) else [_text(one)]
            if pair:
                found.setdefault(pair[-1], pair[0])
                found[pair[0]] = pair[0]
        return found

    def _button(self, value: object) -> object:
        if value is None:
            value = next((_resolved(one.get("/AS")) for one in self.widgets if _resolved(one.get("/AS"))), None)
        name = str(value) if isinstance(value, NameObject) else _OFF
        if not self.flags & _RADIO and len(self.states()) <= 1:
            return name != _OFF
        return None if name == _OFF else self._shown_state(name)

    def _shown_state(self, name: str) -> str:
        """Return the text of a state; where states are only numbers, the options hold the texts."""
        options = _resolved(self.inherited.get("/Opt"))
        digits = name[1:]
        if isinstance(options, ArrayObject) and digits.isdecimal() and len(digits) < 5 and int(digits) < len(options):
            return _text(_resolved(options[int(digits)]))
        return digits

    def _press(self, value: object, at: str) -> None:
        states = self.states()
        if not self.flags & _RADIO and len(states) <= 1:
            if value not in (True, False, None, "", "true", "false"):
                raise PayloadError("value", at, "neither true nor false", "Write true or false")
            state = (states[0] if states else "/Yes") if value in (True, "true") else _OFF
        else:
            known = {self._shown_state(name): name for name in states} | {"": _OFF}
            found = known.get(plain(value))
            if found is None:
                raise PayloadError("value", at, "no choice of this field", "Write one of the form's choices")
            state = found
        self.node[NameObject("/V")] = NameObject(state)
        for widget in self.widgets:
            held = _states(widget)
            alone = state if state in held or not held else _OFF
            widget[NameObject("/AS")] = NameObject(alone)

    def _write(self, value: object, at: str, writer: PdfWriter) -> None:
        several = value if isinstance(value, list) else [] if value is None else [value]
        if any(isinstance(one, dict | list) for one in several) or (len(several) > 1 and not self.flags & _MANY):
            raise PayloadError("shape", at, "a list or object where text stands", "Write text")
        texts = [_feeds(plain(one)) for one in several]
        if self.kind == "/Ch":
            texts = [self._choice(text, at) for text in texts if text]
            self.node.pop("/I", None)
        longest = _resolved(self.inherited.get("/MaxLen"))
        if isinstance(longest, int) and any(len(text) > longest for text in texts):
            raise PayloadError(
                "value", at, f"longer than the field's {longest} letters", "Shorten it, or widen the field"
            )
        many = self.flags & _MANY and self.kind == "/Ch"
        written = [TextStringObject(text) for text in texts]
        self.node[NameObject("/V")] = ArrayObject(written) if many else (written or [TextStringObject("")])[0]
        self.draw(texts, writer)

    def draw(self, texts: Sequence[str], writer: PdfWriter) -> None:
        """Give a text or choice its appearance."""
        shown_text = "\n".join(self._shown_choice(text) for text in texts)
        for widget in self.widgets:
            drawing = appearance(shown_text, widget, self.inherited, self.flags)
            look = writer._add_object(drawing)  # noqa: SLF001 - the library has no other way to add one
            widget[NameObject("/AP")] = DictionaryObject({NameObject("/N"): look})

    def texts(self) -> list[str]:
        """Return the texts that a text or choice holds now."""
        value = self.node.get("/V", self.inherited.get("/V"))
        found = _resolved(value)
        return [_text(one) for one in (found if isinstance(found, ArrayObject) else [found])]

    def _choice(self, text: str, at: str) -> str:
        choices = self.choices()
        if text not in choices and not self.flags & _EDIT:
            raise PayloadError("value", at, "no choice of this field", "Write one of the form's choices")
        return choices.get(text, text)

    def _shown_choice(self, text: str) -> str:
        return next((shown_as for shown_as, export in self.choices().items() if export == text), text)


class PdfPayload:
    """An AcroForm. Without options but `limits`."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self.limits = Options(given).limits

    def decode(self, data: bytes) -> Tree:
        """Read a form: {fields: {full name: value}, form: fingerprint}. Raises PayloadError."""
        check_size(data, self.limits)
        return _guarded(lambda: self._read(data), self.limits)

    def encode(self, tree: Tree, original: bytes | None) -> bytes:
        """Fill in a form, adding to the end of the file. Raises PayloadError, also where it doesn't read back."""
        check_tree(tree, self.limits)
        if original is None:
            raise PayloadError("form", "", "no form to fill in", "Give the municipality's empty form")
        check_size(original, self.limits)
        said = tree.get("fields")
        return _guarded(lambda: self._fill(said if isinstance(said, dict) else {}, original), self.limits)

    def _read(self, data: bytes) -> Tree:
        fields = self._fields(_opened(data, self.limits))
        names = "\n".join(sorted(f"{field.kind}{name}" for name, field in fields.items()))
        return {
            "fields": {name: field.get() for name, field in fields.items()},
            "form": hashlib.sha256(names.encode("utf-8", "replace")).hexdigest()[:16],
        }

    def _fill(self, said: Tree, original: bytes) -> bytes:
        reader = _opened(original, self.limits)
        wished = self._wished(said, self._fields(reader))
        if not wished:
            return original
        signed = _resolved(_acroform(reader).get("/SigFlags"))
        if isinstance(signed, int) and signed & 1:
            raise PayloadError("signed", "", "a signed form, which filling in would break", "Use the unsigned form")
        writer = PdfWriter(io.BytesIO(original), incremental=True)
        fields = self._fields(writer)
        for name, wish in wished.items():
            fields[name].put(wish, f"/fields/{shown(name)}", writer)
        _settle_drawing(_acroform(writer), fields, writer)
        filled = io.BytesIO()
        writer.write(filled)
        self._check_filled(filled.getvalue(), wished)
        return filled.getvalue()

    def _wished(self, said: Tree, fields: Mapping[str, _Field]) -> Tree:
        """Return what differs from what the form holds."""
        wished: Tree = {}
        for name, value in said.items():
            if name not in fields:
                at = f"/fields/{shown(name)}"
                raise PayloadError("name", at, "a field that the form doesn't have", "Use the mapping's form")
            wish = None if value in ("", []) and not isinstance(value, bool) else value
            if not same(fields[name].get(), wish):
                wished[name] = wish
        return wished

    def _check_filled(self, filled: bytes, wished: Tree) -> None:
        """Read the filled form again: every text must stand there as it was wished."""
        held = self._fields(PdfReader(io.BytesIO(filled)))
        for name, wish in wished.items():
            if held[name].kind == "/Tx" and (held[name].get() or "") != _feeds(plain(wish)):
                at = f"/fields/{shown(name)}"
                raise PayloadError("character", at, "text that the form doesn't keep as it is", "Remove odd characters")

    def _fields(self, pdf: PdfReader | PdfWriter) -> dict[str, _Field]:
        form = _acroform(pdf)
        shared = {key: form[key] for key in ("/DA", "/Q") if key in form}
        found: dict[str, _Field] = {}
        for field in _terminal(_array(form.get("/Fields")), "", shared, _DEPTH, [self.limits.count]):
            if field.kind in ("/Tx", "/Ch") or (field.kind == "/Btn" and not field.flags & _BUTTON):
                if field.name in found:
                    raise PayloadError("duplicate", "", "two fields of one name", "Give each field a name of its own")
                found[field.name] = field
        if not found:
            raise PayloadError("form", "", "no form fields", "Send the form itself, not a print of it")
        return found


def fingerprint(data: bytes) -> str:
    """Return a form's fingerprint, by which a mapping claims it (`when: {/form: ...}`). Raises PayloadError."""
    return str(PdfPayload({}).decode(data)["form"])


def _guarded(work: Callable[[], T], limits: Limits) -> T:
    """Turn whatever the library raises into a PayloadError: on broken files it raises anything at all."""
    try:
        with apply_configuration(
            zlib_maximum_output_length=limits.size,
            lzw_maximum_output_length=limits.size,
            run_length_maximum_output_length=limits.size,
            array_based_stream_maximum_output_length=limits.size,
            zlib_maximum_recovery_input_length=2**16,
        ):
            return work()
    except PayloadError:
        raise
    except Exception:  # noqa: BLE001 - the one broad catch, at the library's outer edge
        raise PayloadError("syntax", "", "not readable as PDF", "Send the whole file, saved anew") from None


def _opened(data: bytes, limits: Limits) -> PdfReader:
    if b"%PDF-" not in data[:1024]:
        raise PayloadError("syntax", "", "not a PDF file", "Send the form as PDF")
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted:
        raise PayloadError("encrypted", "", "an encrypted file", "Save it without a password")
    _check_objects(reader, limits)
    if "/XFA" in _acroform(reader):
        raise PayloadError("form", "", "an XFA form", "Save it as an ordinary PDF form (AcroForm)")
    return reader


def _settle_drawing(form: DictionaryObject, fields: Mapping[str, _Field], writer: PdfWriter) -> None:
    """Ask viewers to draw the fields where our drawings don't suffice; where the form asked, draw all of them first."""
    name = NameObject("/NeedAppearances")
    asked = bool(_resolved(form.get(name)))
    texts = [field for field in fields.values() if field.kind != "/Btn"]
    for field in texts if asked else ():
        field.draw(field.texts(), writer)
    lacking = any(not drawable(text) for field in texts for text in field.texts())
    bare = asked and any(not field.states() for field in fields.values() if field.kind == "/Btn")
    if asked or lacking:
        form[name] = BooleanObject(lacking or bare)


def _acroform(pdf: PdfReader | PdfWriter) -> DictionaryObject:
    form = _resolved(pdf.root_object.get("/AcroForm"))
    if not isinstance(form, DictionaryObject):
        raise PayloadError("form", "", "no form fields", "Send the form itself, not a print of it")
    return form


def _check_objects(reader: PdfReader, limits: Limits) -> None:
    """Go through everything that can be reached, and refuse what could act, and too much of anything."""
    waiting: list[object] = [reader.root_object]
    seen: set[int] = set()
    count = pages = 0
    while waiting:
        value = waiting.pop()
        if isinstance(value, IndirectObject):
            if value.idnum in seen:
                continue
            seen.add(value.idnum)
            value = value.get_object()
        count += 1
        if count > limits.count:
            raise PayloadError("count", "", f"more than {limits.count} objects", "Send the form alone")
        if isinstance(value, DictionaryObject):
            _check_object(value)
            pages += value.get("/Type") == "/Page"
            if pages > limits.pages:
                raise PayloadError("count", "", f"more than {limits.pages} pages", "Send the form alone")
            waiting += value.values()
        elif isinstance(value, ArrayObject):
            waiting += value


def _check_object(value: DictionaryObject) -> None:
    kind = value.get("/S")
    if "/JS" in value or "/JavaScript" in value or (isinstance(kind, NameObject) and kind in _ACTIVE):
        raise PayloadError("active", "", "scripts or actions in the file", "Save the form without actions")
    if "/EmbeddedFiles" in value or value.get("/Type") == "/EmbeddedFile":
        raise PayloadError("active", "", "files embedded in the file", "Save the form without attachments")


def _terminal(
    nodes: ArrayObject, above: str, inherited: Mapping[str, object], depth: int, left: list[int]
) -> Iterator[_Field]:
    """Yield the fields that hold values; `left` is how many nodes may still be looked at."""
    if depth == 0:
        raise PayloadError("depth", "", f"fields more than {_DEPTH} levels deep", "Use a plain form")
    for item in nodes:
        node = _resolved(item)
        left[0] -= 1
        if left[0] < 0:
            raise PayloadError("count", "", "too many fields", "Send the form alone")
        if not isinstance(node, DictionaryObject):
            continue
        part = _text(_resolved(node.get("/T")))
        name = ".".join(filter(None, (above, part)))
        passed = {
            **inherited,
            **{key: node[key] for key in ("/FT", "/Ff", "/V", "/DA", "/Q", "/Opt", "/MaxLen") if key in node},
        }
        kids = [kid for one in _array(node.get("/Kids")) if isinstance(kid := _resolved(one), DictionaryObject)]
        if any("/T" in kid for kid in kids):
            yield from _terminal(ArrayObject(kids), name, passed, depth - 1, left)
        elif name and "/FT" in passed:
            flags = _resolved(passed.get("/Ff"))
            whole = int(flags) if isinstance(flags, int) else 0
            yield _Field(name, str(_resolved(passed["/FT"])), whole, node, kids or [node], passed)


def _resolved(value: object) -> object:
    """Follow a reference; null is None."""
    found = value.get_object() if isinstance(value, IndirectObject) else value
    return None if isinstance(found, NullObject) else found


def _array(value: object) -> ArrayObject:
    found = _resolved(value)
    return found if isinstance(found, ArrayObject) else ArrayObject()


def _text(value: object) -> str:
    """Return a text as the tree has it: line breaks are line feeds."""
    found = _resolved(value)
    if isinstance(found, StreamObject):
        found = TextStringObject(found.get_data().decode("utf-8", "replace"))
    if isinstance(found, ByteStringObject):
        found = bytes(found).decode("latin-1")
    text = str(found) if isinstance(found, str | int | float) else ""
    return _feeds(text)


def _feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _states(widget: DictionaryObject) -> list[str]:
    look = _resolved(widget.get("/AP"))
    normal = _resolved(look.get("/N")) if isinstance(look, DictionaryObject) else None
    if not isinstance(normal, DictionaryObject) or isinstance(normal, StreamObject):
        return []
    return [str(name) for name in normal if name != _OFF]
