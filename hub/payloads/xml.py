"""XML payloads: elements as objects and lists, written back by touching only what changed.

The tree begins with the root's name. An element's attributes are `@name`; one without attributes and elements inside
is its text, or None where there is none; else its text is `#text`. Names carry the prefix of the options' table,
whatever prefix the document uses. What is in other namespaces, comments and instructions are not in the tree, and stay.

Writing goes down the document and two trees side by side, as it was and as it shall be, and stops where they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast

from lxml import etree

from hub.payloads.base import PayloadError, Tree, check_tree, pairing, plain, shown
from hub.payloads.markup import Markup, read_markup, write_markup
from hub.payloads.options import Options, OptionsError, pointers, table, words

_XML = "http://www.w3.org/XML/1998/namespace"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_SPACE = " \t\r\n"
_TEXT = "#text"


class XmlPayload:
    """An XML document of one template. Options, all optional:

    - `namespaces: {prefix: uri}`; the prefix "" is for names written without one.
    - `lists: [pointer]`: elements that repeat, always read as lists, such as `/Logg/Tiltak/Rad`.
    - `objects: [pointer]`: elements always read as objects, with their text as `#text`, even when they hold only text.
    - `order: {pointer: [name]}`: the order of the elements inside an element, for new ones.
    - `known_by: {pointer: pointer within}`: an element that may repeat, of which the tree has the one that holds what
      the second pointer leads to, such as `/Melding/Dokument: /Innhold/Logg`. The others stay as they are.
    """

    def __init__(self, given: Mapping[str, object]) -> None:
        options = Options(given, "namespaces", "lists", "objects", "order", "known_by")
        self.limits = options.limits
        self.uris = _namespaces(options)
        self.prefixes = {uri: prefix for prefix, uri in self.uris.items()}
        self.lists = frozenset(pointers(options.words("lists"), ["lists"]))
        self.objects = frozenset(pointers(options.words("objects"), ["objects"]))
        self.order = {
            at: {name: rank for rank, name in enumerate(words(names, ["order", at]))}
            for at, names in options.table("order").items()
        }
        pointers(list(self.order), ["order"])
        self.known_by = {at: self._way(at, inner) for at, inner in options.table("known_by").items()}

    def decode(self, data: bytes) -> Tree:
        """Read a document into {root: ...}. Raises PayloadError."""
        return self._tree(read_markup(data, self.limits).root)

    def encode(self, tree: Tree, original: bytes | None) -> bytes:
        """Write the tree on a document: changed, new and emptied (None) values only. Raises PayloadError."""
        check_tree(tree, self.limits)
        if original is None:
            return self._new(tree)
        markup = read_markup(original, self.limits)
        before, writer = self._tree(markup.root), _Writer(self, markup)
        for name, value in tree.items():
            if name not in before:
                raise PayloadError("shape", f"/{shown(name)}", "not the root of this document", "Use the same template")
            writer.element(markup.root, before[name], value, f"/{name}", whole=False)
        return write_markup(markup) if writer.differs and before != self._tree(markup.root) else original

    def name(self, tag: str) -> str | None:
        """Return the tree's name of an element or attribute; None for what is in a namespace of its own."""
        uri, _, local = tag.rpartition("}")
        if not uri:
            return None if "" in self.uris else local
        prefix = self.prefixes.get(uri[1:])
        return None if prefix is None else f"{prefix}:{local}" if prefix else local

    def tag(self, name: str, place: str) -> str:
        """Return the document's name for a name in the tree."""
        prefix, colon, local = name.rpartition(":")
        uri = self.uris.get(prefix)
        if uri is None and colon:
            raise PayloadError("name", place, "a prefix that the options don't have", "Add it under namespaces")
        return f"{{{uri}}}{local}" if uri else local

    def read(self, element: etree._Element, place: str) -> object:
        """Read one element: an object, its text, or None."""
        found: Tree = {f"@{name}": value for name, value in self._attributes(element)}
        texts = [element.text or ""]
        for child in element:
            texts.append(child.tail or "")
            name = self.name(child.tag) if isinstance(child.tag, str) else None  # comments have no name
            if name is not None:
                self._read_child(found, child, name, f"{place}/{name}")
        text = "".join(texts)
        if not text.strip(_SPACE):
            return found if found or place in self.objects else None
        return text if not found and place not in self.objects else {**found, _TEXT: text}

    def is_meant(self, element: etree._Element, place: str) -> bool:
        """Tell whether an element is in the tree, or is one of the others beside the one that is known."""
        way = self.known_by.get(place)
        return way is None or element.find(way) is not None

    def _read_child(self, found: Tree, child: etree._Element, name: str, at: str) -> None:
        if at in self.lists:
            rows = found.setdefault(name, [])
            if isinstance(rows, list):
                rows.append(self.read(child, at))
        elif self.is_meant(child, at):
            if name in found:
                raise PayloadError("duplicate", at, "an element that repeats", "Name it under lists in the mapping")
            found[name] = self.read(child, at)

    def _attributes(self, element: etree._Element) -> Iterator[tuple[str, str]]:
        for key, value in element.items():
            uri, _, local = str(key).rpartition("}")
            name = local if not uri else f"xml:{local}" if uri[1:] == _XML else self.name(str(key))
            if name is not None:
                yield name, str(value)

    def _way(self, at: str, inner: object) -> str:
        """Return the way to what an element is known by, as lxml finds it."""
        (found,) = pointers([inner], ["known_by", at])
        pointers([at], ["known_by"])
        if at in self.lists:
            raise OptionsError(["known_by", at], "also under lists", "Leave it out there: one of them is meant")
        try:
            return "/".join(self.tag(name, at) for name in found[1:].split("/"))
        except PayloadError as error:
            raise OptionsError(["known_by", at], error.what, error.remedy) from None

    def _tree(self, root: etree._Element) -> Tree:
        name = self.name(str(root.tag))
        if name is None:
            raise PayloadError("name", "/", "a root in a namespace that the options don't have", "Add it to namespaces")
        return {name: self.read(root, f"/{name}")}

    def _new(self, tree: Tree) -> bytes:
        if len(tree) != 1:
            raise PayloadError("shape", "", "not one root", "Write one root element")
        ((name, value),) = tree.items()
        nsmap = _nsmap(self.uris)
        root = _named(lambda: etree.Element(self.tag(name, f"/{shown(name)}"), nsmap=nsmap), f"/{shown(name)}")
        markup = Markup(root, '<?xml version="1.0" encoding="UTF-8"?>\n', "\n", "utf-8", b"", "\n")
        _Writer(self, markup).element(root, None, value, f"/{name}", whole=False)
        etree.indent(root)
        return write_markup(markup)


class _Writer:
    """Puts values on the elements of one document, in its own indentation.

    `differs` is set by the first value that isn't the one held; what is written may still read the same.
    """

    def __init__(self, payload: XmlPayload, markup: Markup) -> None:
        self.payload = payload
        self.differs = False
        lead = markup.root.text or ""
        self.unit = lead.rpartition("\n")[2] if "\n" in lead and not lead.strip(_SPACE) else ""

    def element(self, element: etree._Element, held: object, value: object, place: str, *, whole: bool) -> None:
        """Put a value on an element that holds another. `whole` means that what an object doesn't say is removed.

        Values compare as they are, quickly: what is held has nothing but texts in it, so that 1 and true can't meet.
        """
        if held == value:
            return
        self.differs = True
        if isinstance(value, list):
            raise PayloadError("shape", place, "a list where one element stands", "Name it under lists in the mapping")
        said: Tree = value if isinstance(value, dict) else {_TEXT: value}
        had: Tree = held if isinstance(held, dict) else {_TEXT: held}
        gone = dict.fromkeys(had) if whole or value is None else {}
        for name, inner in {**gone, **said}.items():
            if had.get(name) != inner:
                self._member(element, name, had.get(name), inner, f"{place}/{name}", whole=whole)

    def _member(self, element: etree._Element, name: str, held: object, value: object, at: str, *, whole: bool) -> None:
        if name == _TEXT or name.startswith("@"):
            if isinstance(value, dict | list):
                raise PayloadError("shape", at, "an object or list where text stands", "Write text")
            if name == _TEXT:
                _put_text(element, plain(value), at.removesuffix("/" + _TEXT))
            else:
                self._put_attribute(element, name[1:], value, at)
        elif at in self.payload.lists:
            if not isinstance(value, list | None):
                raise PayloadError("shape", at, "one value where a list stands", "Write a list")
            self._rows(element, name, held if isinstance(held, list) else [], value or [], at)
        else:
            self._child(element, name, held, value, at, whole=whole)

    def _child(self, element: etree._Element, name: str, held: object, value: object, at: str, *, whole: bool) -> None:
        child = next((one for one in self._named(element, name) if self.payload.is_meant(one, at)), None)
        if value is None and child is not None:
            _remove(element, child)
        elif value is not None:
            if child is None:
                child = self._insert(element, self._place(element, name, at), name, at)
            self.element(child, held, value, at, whole=whole)
            if not self.payload.is_meant(child, at):
                raise PayloadError("shape", at, "an element without what it is known by", "Write that too")

    def _rows(self, element: etree._Element, name: str, held: list[object], rows: list[object], at: str) -> None:
        present = list(self._named(element, name))
        pairs = pairing(held, rows)
        kept = {pair for pair in pairs if pair is not None}
        for number, child in enumerate(present):
            if number not in kept:
                _remove(element, child)
        previous: etree._Element | None = None
        for row, pair in zip(rows, pairs, strict=True):
            here = self._place(element, name, at) if previous is None else element.index(previous) + 1
            if pair is None:
                first = next(self._named(element, name), None)
                here = element.index(first) if previous is None and first is not None else here
                child = self._insert(element, here, name, at)
            else:
                child = present[pair]
                if previous is not None and element.index(child) < here - 1:
                    _remove(element, child)
                    self._settle(element, element.index(previous) + 1, child)
            self.element(child, None if pair is None else held[pair], row, at, whole=True)
            previous = child

    def _named(self, element: etree._Element, name: str) -> Iterator[etree._Element]:
        return (child for child in element.iterchildren(etree.Element) if self.payload.name(str(child.tag)) == name)

    def _place(self, element: etree._Element, name: str, at: str) -> int:
        """Return where a new child goes: by the order given, else last."""
        ranks = self.payload.order.get(at.rpartition("/")[0], {})
        if name not in ranks:
            return len(element)
        later: int | None = None
        for number in range(len(element) - 1, -1, -1):
            tag = element[number].tag
            rank = ranks.get(self.payload.name(tag) or "") if isinstance(tag, str) else None
            if rank is not None and rank <= ranks[name]:
                return number + 1
            later = number if rank is not None else later
        return len(element) if later is None else later

    def _insert(self, element: etree._Element, here: int, name: str, at: str) -> etree._Element:
        tag = self.payload.tag(name, at)
        uri, _, _ = tag.rpartition("}")
        prefix = self.payload.prefixes.get(uri[1:], "")
        child = _named(lambda: etree.SubElement(element, tag, nsmap=_nsmap({prefix: uri[1:]} if uri else {})), at)
        element.remove(child)
        self._settle(element, here, child)
        return child

    def _settle(self, element: etree._Element, here: int, child: etree._Element) -> None:
        """Put a child among its siblings, with the white space that its siblings have."""
        if len(element) == 0:
            outer = _space_before(element)
            if self.unit and outer is not None and not (element.text or "").strip(_SPACE):
                element.text, child.tail = outer + self.unit, outer
        else:
            lead = element.text if element.text and not element.text.strip(_SPACE) else None
            child.tail = lead
            if here == len(element):
                last = element[-1]
                child.tail, last.tail = last.tail, lead if lead is not None else last.tail
        element.insert(here, child)

    def _put_attribute(self, element: etree._Element, name: str, value: object, at: str) -> None:
        prefix, colon, local = name.rpartition(":")
        tag = f"{{{_XML}}}{local}" if prefix == "xml" else self.payload.tag(name, at) if colon else name
        if value is None:
            element.attrib.pop(tag, "")
        else:
            _set(lambda: element.set(tag, plain(value)), at)


def _namespaces(options: Options) -> dict[str, str]:
    found: dict[str, str] = {}
    for prefix, uri in table(options.table("namespaces"), ["namespaces"]).items():
        if not isinstance(uri, str) or not uri or uri in found.values() or ":" in prefix:
            raise OptionsError(["namespaces", prefix], "no namespace", "Write prefix: uri, each once")
        found[prefix] = uri
    return found


def _nsmap(uris: Mapping[str, str]) -> dict[str, str]:
    """Return prefixes as lxml has them: None, which its types don't know, for names without one."""
    return cast("dict[str, str]", {prefix or None: uri for prefix, uri in uris.items()})


def _put_text(element: etree._Element, text: str, at: str) -> None:
    """Write an element's own text; what stood between its children is part of it and goes."""
    element.attrib.pop(_NIL, "")
    spread = any((child.tail or "").strip(_SPACE) for child in element)
    for child in element if spread else ():
        child.tail = None
    _set(lambda: setattr(element, "text", text or None), at)


def _set(setter: Callable[[], object], at: str) -> None:
    try:
        setter()
    except ValueError:
        raise PayloadError("character", at, "a control character, which XML can't hold", "Remove it") from None


def _named(make: Callable[[], etree._Element], at: str) -> etree._Element:
    try:
        return make()
    except ValueError:
        raise PayloadError(
            "name", at, "a name that XML can't hold", "Use letters, digits, . - _ and a known prefix"
        ) from None


def _remove(element: etree._Element, child: etree._Element) -> None:
    """Take a child out, and keep the indentation and any text that followed it."""
    at, tail = element.index(child), child.tail or ""
    last = at == len(element) - 1
    if at and (last or tail.strip(_SPACE)):
        before = element[at - 1]
        before.tail = tail if not (before.tail or "").strip(_SPACE) else (before.tail or "") + tail
    elif tail.strip(_SPACE) or (last and not (element.text or "").strip(_SPACE)):
        element.text = tail if tail.strip(_SPACE) else None
    child.tail = None
    element.remove(child)


def _space_before(element: etree._Element) -> str | None:
    """Return the line break and indentation that an element stands on; None where it stands on none."""
    parent = element.getparent()
    if parent is None:
        return "\n"
    before = element.getprevious()
    space = (parent.text if before is None else before.tail) or ""
    return "\n" + space.rpartition("\n")[2] if "\n" in space and not space.strip(_SPACE) else None
