"""The package around a Word form: which parts hold the form, and what may never be in it.

A form from outside may carry macros, templates fetched over the network or embedded programs. None of that is opened
or kept: the file is refused with one clear error.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from hub.payloads.base import Limits, PayloadError
from hub.payloads.markup import Markup, read_markup
from hub.payloads.zips import unpack

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
_OFFICE = "/officeDocument/2006/relationships/"
_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_ACTIVE_TYPES = re.compile(r"macroenabled|vba|activex|oleobject", re.IGNORECASE)
_ACTIVE_LINKS = ("oleObject", "control", "aFChunk", "attachedTemplate", "vbaProject", "subDocument", "frame", "package")
_ACTIVE_ELEMENTS = frozenset(W + name for name in ("object", "altChunk", "control", "subDoc", "movie"))
_TRACKED = frozenset(W + name for name in ("ins", "del", "moveFrom", "moveTo", "cellIns", "cellDel", "cellMerge"))
_ACTIVE_FIELDS = re.compile(r"^\s*(DDE|DDEAUTO|INCLUDETEXT|INCLUDEPICTURE|IMPORT|LINK|DATABASE|MACROBUTTON)\b", re.I)
_SAFE_TARGETS = ("http://", "https://", "mailto:")


@dataclass(frozen=True)
class WordPackage:
    """The parts of a form that hold text: the document, then headers and footers; and its styles, where it has any."""

    parts: Mapping[str, Markup]
    styles: etree._Element | None


def read_package(data: bytes, limits: Limits) -> WordPackage:
    """Open a Word form. Raises PayloadError for what isn't one, and for everything that could act or call home."""
    files = unpack(data, limits)
    _check_types(files, limits)
    for name, content in files.items():
        if name.endswith(".rels"):
            _check_links(name, content, limits)
    main = _main_part(files, limits)
    names = [main, *sorted(_related(files, main, limits, ("header", "footer")))]
    parts = {name: read_markup(files[name], limits, name) for name in names}
    for name, markup in parts.items():
        _check_part(name, markup.root)
    styles = next(iter(_related(files, main, limits, ("styles",))), None)
    return WordPackage(parts, read_markup(files[styles], limits, styles).root if styles else None)


def _check_types(files: Mapping[str, bytes], limits: Limits) -> None:
    if "[Content_Types].xml" not in files:
        raise PayloadError("form", "", "not a Word document", "Send the form as .docx")
    for one in read_markup(files["[Content_Types].xml"], limits, "[Content_Types].xml").root.iter(etree.Element):
        if _ACTIVE_TYPES.search(one.get("ContentType", "")):
            raise _active("[Content_Types].xml", "macros or embedded programs")
    if any(name.lower().endswith(("vbaproject.bin", ".docm", ".dotm")) for name in files):
        raise _active("", "macros")


def _check_links(name: str, content: bytes, limits: Limits) -> None:
    for link in read_markup(content, limits, name).root.iter(etree.Element):
        kind = link.get("Type", "").rpartition("/")[2]
        if kind in _ACTIVE_LINKS:
            raise _active(name, f"a link of the kind {kind}")
        outside = link.get("TargetMode", "").lower() == "external"
        if outside and (kind != "hyperlink" or not link.get("Target", "").lower().startswith(_SAFE_TARGETS)):
            raise _active(name, "something fetched from outside the document")


def _check_part(name: str, root: etree._Element) -> None:
    for element in root.iter(etree.Element):
        if element.tag in _ACTIVE_ELEMENTS:
            raise _active(name, "embedded content")
        if element.tag in _TRACKED:
            raise PayloadError("tracked", name, "tracked changes that nobody decided", "Accept or reject all changes")
    for paragraph in root.iter(W + "p"):
        codes = [one.text or "" for one in paragraph.iter(W + "instrText")]
        codes += [one.get(W + "instr", "") for one in paragraph.iter(W + "fldSimple")]
        if _ACTIVE_FIELDS.match("".join(codes)) or any(_ACTIVE_FIELDS.match(code) for code in codes):
            raise _active(name, "a field that fetches or runs something")


def _active(place: str, what: str) -> PayloadError:
    return PayloadError("active", place, f"{what}", "Save the form as a plain .docx without macros, links and objects")


def _main_part(files: Mapping[str, bytes], limits: Limits) -> str:
    for kind, target in _links(files, "_rels/.rels", limits):
        name = target.lstrip("/")
        if kind == "officeDocument" and name in files and _is_document(files, name, limits):
            return name
    raise PayloadError("form", "", "not a Word document", "Send the form as .docx, saved by Word in its usual format")


def _is_document(files: Mapping[str, bytes], name: str, limits: Limits) -> bool:
    types = read_markup(files["[Content_Types].xml"], limits).root
    return any(one.get("PartName") == "/" + name and one.get("ContentType") == _MAIN for one in types)


def _related(files: Mapping[str, bytes], main: str, limits: Limits, kinds: tuple[str, ...]) -> set[str]:
    folder, _, name = main.rpartition("/")
    links = _links(files, f"{folder}/_rels/{name}.rels".lstrip("/"), limits)
    paths = {posixpath.normpath(posixpath.join("/" + folder, target))[1:] for kind, target in links if kind in kinds}
    return paths & files.keys()


def _links(files: Mapping[str, bytes], name: str, limits: Limits) -> list[tuple[str, str]]:
    if name not in files:
        return []
    links = read_markup(files[name], limits, name).root.iter(etree.Element)
    return [
        (link.get("Type", "").rpartition("/")[2], link.get("Target", ""))
        for link in links
        if _OFFICE in link.get("Type", "")
    ]
