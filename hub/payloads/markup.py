"""XML from strangers, parsed without entities, types or network, and written back around what stood before the root.

Serves XML payloads and the parts of Word forms. There is no document type at all: it is where the known attacks live.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import etree

from hub.payloads.base import Limits, PayloadError, check_size

_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_ENCODINGS = {
    "utf-8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "iso-8859-1", "iso-8859-15": "iso-8859-15",
    "windows-1252": "cp1252",
}  # fmt: skip
_DECLARATION = re.compile(r"<\?xml\s[^>?]{0,200}\?>")
_DECLARED = re.compile(rb"""<\?xml\s[^>]{0,150}?encoding\s{0,9}=\s{0,9}["']([A-Za-z0-9._-]{1,40})["']""")
_CHUNK = 2**16
_SPACE = " \t\r\n"


@dataclass
class Markup:
    """A parsed document: the root, and as text what stood before and after it."""

    root: etree._Element
    before: str
    after: str
    encoding: str
    bom: bytes
    newline: str


_MARKS = 10_000
"""Comments and the like that a document may have beside its elements."""


def read_markup(data: bytes, limits: Limits, part: str = "") -> Markup:
    """Parse a document. `part` is its name in errors. Raises PayloadError."""
    check_size(data, limits)
    bom = next((mark for mark in _BOMS if data.startswith(mark)), b"")
    encoding = _BOMS[bom] if bom else _declared(data, part)
    try:
        text = data[len(bom) :].decode(encoding)
    except UnicodeDecodeError as error:
        at = _place(part, f"byte {error.start}")
        raise PayloadError("encoding", at, "not in the encoding it declares", "Declare the real one") from None
    if text.count("<") > 2 * limits.count + _MARKS:  # counted before anything is built from it
        raise PayloadError(
            "count", part, f"more than {limits.count} elements", "Send less at a time, or raise the limit"
        )
    start = _root_start(text, part)
    root = _parsed(text[_declaration_end(text) :].encode(), limits, part)
    after = "".join("\n" + etree.tostring(one, encoding="unicode", with_tail=False) for one in root.itersiblings())
    newline = "\r\n" if "\r\n" in text else "\n"
    return Markup(root, text[:start], after + text[len(text.rstrip(_SPACE)) :], encoding, bom, newline)


def write_markup(markup: Markup) -> bytes:
    """Write a document in its own encoding; what that lacks becomes character references."""
    body = etree.tostring(markup.root, encoding="unicode", with_tail=False)
    if markup.newline != "\n":
        body = body.replace("\n", markup.newline)
    text = markup.before + body + markup.after
    return markup.bom + text.encode(markup.encoding, "xmlcharrefreplace")


def _place(part: str, at: str) -> str:
    return f"{part} {at}".strip()


def _declared(data: bytes, part: str) -> str:
    found = _DECLARED.match(data)
    name = found[1].decode().lower() if found else "utf-8"
    if name not in _ENCODINGS:
        raise PayloadError("encoding", part, "an unusual encoding", f"Use one of {', '.join(_ENCODINGS)}")
    return _ENCODINGS[name]


def _declaration_end(text: str) -> int:
    found = _DECLARATION.match(text)
    return found.end() if found else 0


def _root_start(text: str, part: str) -> int:
    """Return where the root element begins: after the declaration, comments and instructions, and nothing else."""
    at = 0
    while True:
        while at < len(text) and text[at] in _SPACE:
            at += 1
        end = "-->" if text.startswith("<!--", at) else "?>" if text.startswith("<?", at) else ""
        if not end:
            break
        at = text.find(end, at) + len(end)
        if at < len(end):
            raise PayloadError("syntax", part, "something before the root that never ends", "Send the whole document")
    if text.startswith("<!", at):
        raise PayloadError("dtd", part, "a document type (DTD)", "Leave DOCTYPE out; entities are never read")
    return at


def _parsed(data: bytes, limits: Limits, part: str) -> etree._Element:
    parser = etree.XMLPullParser(
        events=("start", "end", "comment", "pi"),
        resolve_entities=False,
        no_network=True,
        huge_tree=False,
        load_dtd=False,
        strip_cdata=False,
    )
    depth = count = 0
    try:
        for at in range(0, len(data), _CHUNK):
            parser.feed(data[at : at + _CHUNK])
            for event, element in parser.read_events():
                depth += (event == "start") - (event == "end")
                count += event != "end"
                count += len(getattr(element, "attrib", ())) if event == "start" else 0
                if depth > limits.depth:
                    raise PayloadError("depth", part, f"more than {limits.depth} levels", "Send a flatter document")
                if count > limits.count:
                    raise PayloadError("count", part, f"more than {limits.count} elements", "Send less at a time")
        root: etree._Element = parser.close()
    except etree.LxmlError as error:
        line = error.lineno if isinstance(error, etree.XMLSyntaxError) else 0
        at_line = _place(part, f"line {line or 1}")
        raise PayloadError("syntax", at_line, "not readable as XML", "Send the whole document, well-formed") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise PayloadError("dtd", part, "a document type (DTD)", "Leave DOCTYPE out; entities are never read")
    return root
