"""Drafts a mapping from one sample: what a field is called tells what it may be, and every guess is marked.

A guess that the language refuses, or that can't read the sample, is left out; so a draft lints clean and reads its
own sample. What nobody could guess stands at the end as comments. No value of the sample gets into the draft.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hub.mappings.language import MappingError, Tree, load_mapping
from hub.mappings.language.pointers import pointer_text
from hub.mappings.language.targets import Target, names, target
from hub.operate.mappings.records import shown_place
from hub.operate.mappings.words import ABOUT, COLLECTION_WORDS, FIELD_WORDS, FIRST_NAMES, KEYS, LAST_NAMES
from hub.payloads.yamlfile import FileError
from hub.relaylog.model import COLLECTIONS, Frozen, RelayLog, field_label, nested_model, references

_GUESSED = "  # gjettet"
# No rules among `fields`: they stand beside a list, or nowhere.
_BESIDE = frozenset({"id", "canonical", "writer", "written_on", "part"})
_SHALLOW = 2  # what the record is called stands at its top
_PLAIN = re.compile(r"[A-Za-zÆØÅæøå/_][\wÆØÅæøå/.-]*")
_DATES = (
    ("%d.%m.%Y", re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}")),
    ("%Y-%m-%d", re.compile(r"\d{4}-\d\d-\d\d")),
    ("%Y%m%d", re.compile(r"\d{8}")),
    ("%d.%m.%y", re.compile(r"\d\d\.\d\d\.\d\d")),
    ("%d/%m/%Y", re.compile(r"\d\d/\d\d/\d{4}")),
)
_INSTANTS = (
    ("%d.%m.%Y %H:%M", re.compile(r"\d\d\.\d\d\.\d{4} \d\d:\d\d")),
    ("%Y-%m-%d %H:%M", re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")),
)

_LETTERS = str.maketrans({"æ": "ae", "ø": "o"})  # the others have a letter a-z under their sign

Place = tuple[str, ...]


@dataclass(frozen=True)
class _Guess:
    """One rule: the canonical name, and the rule as written."""

    name: str
    rule: str


@dataclass(frozen=True)
class _List:
    """One list of the record, and what its rows may hold."""

    collection: str
    each: Place
    key: Place | None
    belongs: str | None
    fields: tuple[_Guess, ...] = ()
    nested: tuple[_List, ...] = ()


@dataclass
class _Draft:
    """What is guessed so far; `left` are the places that nobody could guess."""

    head: str
    fields: list[_Guess] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)
    left: list[Place] = field(default_factory=list)

    def text(self) -> str:
        lines = [self.head, "fields:"]
        lines += [f"  {guess.name}: {guess.rule}{_GUESSED}" for guess in self.fields]
        for one in self.lists:
            lines += _list_lines(one, "  ")
        lines += ["", "# Ikke kjent igjen:"] if self.left else []
        lines += [f"#   {shown_place(place)}" for place in self.left]
        return "\n".join(lines) + "\n"


def draft(system: str, kind: str, options: Mapping[str, object], record: Tree) -> str:
    """Return a mapping file for records like this one, with every guess marked `# gjettet`.

    `system` is the system's name, or system/template, in any letters; `options` the payload's. The file lints clean.
    """
    made = _Draft(_head(_identity(system), kind, options, record))
    _guess_fields(made, record)
    if not made.fields and not made.lists:
        _guess_anything(made)
    return _tried(made.text(), record)


def _identity(system: str) -> str:
    """Return the mapping's id: what was asked for, in the letters that an id may have."""
    words = unicodedata.normalize("NFKD", system.lower().translate(_LETTERS)).encode("ascii", "ignore").decode()
    parts = ["-".join(re.findall("[a-z0-9]+", part)) or "system" for part in (*words.split("/"), "stafettlogg")[:2]]
    return "/".join(parts)


def _guess_anything(made: _Draft) -> None:
    """Take a place that may be the record's id, or its first one: a mapping needs one rule at least."""
    made.left.sort(key=lambda place: _endings(place)[-1] not in KEYS)
    for place in made.left[:1]:
        made.fields.append(_Guess("source.id", f"{{at: {_pointer(place)}, one_way: read}}"))
    del made.left[:1]


def _head(name: str, kind: str, options: Mapping[str, object], record: Tree) -> str:
    payload = kind if not options else json.dumps({"kind": kind, **options}, ensure_ascii=False)
    return "\n".join([
        "# Et utkast laget av en eksempelpost. Linjer merket «gjettet» må leses over før kartleggingen fryses.",
        f"mapping: {name}",
        "version: 1",
        "canonical: relaylog/1",
        f"origin: assumed{_GUESSED}",
        f"payload: {payload}",
        f"when: {_when(kind, record)}{_GUESSED}",
    ])  # fmt: skip


def _when(kind: str, record: Tree) -> str:
    form = record.get("form")
    if kind in ("docx", "pdf") and isinstance(form, str):
        return json.dumps({"/form": form})
    places = [(name,) for name, value in record.items() if value not in (None, "", [], {})][:3]
    return json.dumps({"has": [pointer_text(place) for place in places or [(next(iter(record), "id"),)]]},
                      ensure_ascii=False)  # fmt: skip


def _list_lines(one: _List, indent: str) -> Iterator[str]:
    yield f"{indent}{one.collection}[]:{_GUESSED}"
    inner = indent + "  "
    yield f"{inner}each: {_pointer(one.each)}{_GUESSED}"
    if one.key:
        yield f"{inner}key: {_pointer(one.key)}{_GUESSED}"
    if one.belongs:
        yield f"{inner}belongs: {one.belongs}{_GUESSED}"
    yield f"{inner}fields:"
    for guess in one.fields:
        yield f"{inner}  {guess.name}: {guess.rule}{_GUESSED}"
    for nested in one.nested:
        yield from _list_lines(nested, inner + "  ")


def _guess_fields(made: _Draft, record: Tree) -> None:
    taken = _guess_whole_names(made, record)
    for place, value in _singles(record):
        if not _is_half_name(place):
            _guess_one(made, taken, place, value)


def _guess_one(made: _Draft, taken: set[str], place: Place, value: object) -> None:
    rows = _rows(value)
    found = _collection_of(place) if rows else None
    if rows and found and found not in taken:
        taken.add(found)
        made.lists.append(_list_of(made, found, place, rows, None))
    elif rows:
        made.left.append(place)
    elif (name := _name_of(RelayLog, place, taken)) and (rule := _rule(RelayLog, name, place, value)):
        taken.add(name)
        made.fields.append(_Guess(name, rule))
    else:
        made.left.append(place)


def _guess_whole_names(made: _Draft, record: Tree) -> set[str]:
    """Join the first and last names that stand beside one another. Returns the paths that are taken by it."""
    places = [place for place, _ in _singles(record)]
    firsts = [place for place in places if _ends_in(place, FIRST_NAMES)]
    lasts = {place[:-1]: place for place in places if _ends_in(place, LAST_NAMES)}
    for first in firsts:
        owners = [owner for owner in ("subject", "holder") if _is_about(owner, _words(first))]
        name = f"{owners[0]}.name" if owners else ""
        if first[:-1] in lasts and name and name not in [guess.name for guess in made.fields]:
            at = f"[{_pointer(first)}, {_pointer(lasts[first[:-1]])}]"
            made.fields.append(_Guess(name, f'{{at: {at}, join: " "}}'))
    return {guess.name for guess in made.fields}


def _is_half_name(place: Place) -> bool:
    return _ends_in(place, FIRST_NAMES | LAST_NAMES)


def _ends_in(place: Place, words: frozenset[str]) -> bool:
    return any(ending in words for ending in _endings(place))


def _list_of(made: _Draft, collection: str, each: Place, rows: list[Tree], belongs: str | None) -> _List:
    model, taken = COLLECTIONS[collection], {*references(COLLECTIONS[collection])}
    row: Tree = {}
    for one in reversed(rows):
        row |= {name: value for name, value in one.items() if value not in (None, "", [])}
    fields: list[_Guess] = []
    nested: list[_List] = []
    key = next((place for place, _ in _singles(row) if _is_key(place, collection)), None)
    for place, value in _singles(row):
        below = _rows(value)
        inner = _collection_of(place) if below else None
        home = next((n for n, c in references(COLLECTIONS[inner]).items() if c == collection), None) if inner else None
        if below and inner and home and inner not in [one.collection for one in nested]:
            nested.append(_list_of(made, inner, place, below, home))
        elif not below and (name := _name_of(model, place, taken)) and (rule := _rule(model, name, place, value)):
            taken.add(name)
            fields.append(_Guess(name, rule))
        elif place != key:
            made.left.append((*each, *place))
    return _List(collection, each, key, belongs, tuple(fields), tuple(nested))


def _singles(value: object, place: Place = ()) -> Iterator[tuple[Place, object]]:
    """Yield every value and every list of a tree, without looking into lists."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _singles(inner, (*place, str(name)))
    elif place:
        yield place, value


def _rows(value: object) -> list[Tree]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _words(place: Place) -> list[str]:
    """Return the words that a place is named by: small letters, parted at capitals, blanks and signs."""
    text = " ".join(name.rpartition(":")[2] for name in place)
    spaced = re.sub(r"(?<=[a-zæøå])(?=[A-ZÆØÅ])", " ", unicodedata.normalize("NFC", text))
    return [word for word in re.split(r"[^0-9a-zæøå]+", spaced.lower()) if word]


def _endings(place: Place) -> list[str]:
    """Return the last word of a name, its last two together, and so on, the longest first."""
    words = _words(place)
    return ["".join(words[-count:]) for count in range(min(3, len(words)), 0, -1)]


def _is_key(place: Place, collection: str) -> bool:
    ending = _endings(place[-1:])[0]
    names = {ending, ending.removesuffix("id").removesuffix("nr")}
    named = ending.endswith(("id", "nr")) and bool(names & _collection_names(collection))
    return len(place) == 1 and (ending in KEYS or named)


def _collection_of(place: Place) -> str | None:
    found = (name for ending in _endings(place) for name in COLLECTIONS if ending in _collection_names(name))
    return next(found, None)


def _collection_names(collection: str) -> set[str]:
    label = COLLECTIONS[collection].label
    return {_joined(word) for word in (label.nb, label.nn, label.en, collection)} | COLLECTION_WORDS.get(
        collection, frozenset()
    )


def _name_of(model: type[Frozen], place: Place, taken: set[str]) -> str | None:
    """Return the canonical name that a place's own name says, nearest owner first; None where none fits."""
    words = _words(place)
    for ending in _endings(place):
        around = [word for word in words if not ending.endswith(word)] or [ending]
        for name in names(model):
            owner = name.rpartition(".")[0]
            if name in taken or ending.removeprefix(_owner_start(owner, ending)) not in _field_names(model, name):
                continue
            if name in _BESIDE or (owner == "source" and len(place) > _SHALLOW):
                continue
            if not owner or _is_about(owner, around) or _owner_start(owner, ending):
                return name
    return None


def _owner_start(owner: str, ending: str) -> str:
    """Return the owner's word that a name begins with, as `barn` in `barnfornamn`."""
    return max((word for word in ABOUT.get(owner, ()) if ending.startswith(word) and ending != word),
               key=len, default="")  # fmt: skip


def _is_about(owner: str, around: list[str]) -> bool:
    return any(word.startswith(about) for word in around for about in ABOUT.get(owner, (owner,)))


def _field_names(model: type[Frozen], name: str) -> set[str]:
    owner, last = model, name
    while "." in last:
        first, _, last = last.partition(".")
        owner = nested_model(owner, first) or owner
    label = field_label(owner, last)
    return {_joined(word) for word in (label.nb, label.nn, label.en, last)} | FIELD_WORDS.get(last, frozenset())


def _joined(text: str) -> str:
    return "".join(_words((text,)))


def _rule(model: type[Frozen], name: str, place: Place, value: object) -> str | None:
    """Write the rule for a place, with the codec that its target and the sample's form ask for."""
    found = target(model, name)
    if found is None or found.model or (isinstance(value, list) and not found.many):
        return None
    options = _options(found, value)
    at = _pointer(place)
    return f"{{at: {at}, {options}}}" if options else at


def _options(found: Target, value: object) -> str:
    if found.kind == "code":
        codes = [code for code in found.members if code != "unknown"]
        return "codes: {" + ", ".join(f"{json.dumps(code)}: {json.dumps(code)}" for code in codes) + "}"
    if found.kind == "bool" and isinstance(value, str):
        return "bool: {yes: [ja, Ja, JA, 'true', '1'], no: [nei, Nei, NEI, 'false', '0']}"
    forms = {"date": _DATES, "instant": _INSTANTS}.get(found.kind, ())
    form = next((form for form, pattern in forms if isinstance(value, str) and pattern.fullmatch(value)), None)
    if form is None:
        return ""
    return f'{found.kind}: "{form}"' + (", zone: Europe/Oslo" if found.kind == "instant" else "")


def _pointer(place: Place) -> str:
    text = pointer_text(place)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _tried(text: str, record: Tree) -> str:
    """Take out the lines that the language refuses or that can't read the sample, until nothing is left to take out."""
    while True:
        try:
            load_mapping(text, "draft.yaml").read(record)
        except FileError as error:
            text = _without_line(text, error.mark.line)
        except MappingError as error:
            text = _without_line(text, error.line)
        else:
            return text


def _without_line(text: str, number: int) -> str:
    """Take out a guess, or the whole list where one of its own keys is what is wrong. Raises NoDraft."""
    lines = text.splitlines()
    first = number - 1
    if lines[first].strip().startswith(("each:", "belongs:", "fields:")):
        first = next((at for at in range(first, -1, -1) if _depth(lines[at]) < _depth(lines[number - 1])), 0)
    if _depth(lines[first]) == 0:
        raise NoDraft("nothing in the sample could be guessed. Write the mapping by hand: `hub schema --mapping`")
    after = next((at for at in range(first + 1, len(lines)) if _depth(lines[at]) <= _depth(lines[first])), len(lines))
    return "\n".join(lines[:first] + lines[after:]) + "\n"


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


class NoDraft(Exception):
    """A sample says nothing that a mapping could begin with."""
