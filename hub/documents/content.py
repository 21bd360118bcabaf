"""What stands in the document of a log, and in which order: a list of plain blocks, before any typesetting.

Every field of the model is placed: what no rule below puts somewhere special comes as a line with the field's own
label, so that a field which the model gains later is in the document from its first day.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from hub.documents.words import Word, Written, written_date, written_time
from hub.relaylog.codes import BtiLevel, Code, NoteKind, Part
from hub.relaylog.model import (
    COLLECTIONS,
    Closure,
    Consent,
    Element,
    Evaluation,
    Extension,
    Frozen,
    Handover,
    Measure,
    Note,
    RelayLog,
    field_label,
    references,
)

Paragraphs = tuple[tuple[str, ...], ...]
"""A text: paragraphs of lines."""


@dataclass(frozen=True)
class Heading:
    """A heading of level 1-3 with a short remark after it, such as a status."""

    text: str
    level: int
    note: str = ""
    kind: Literal["heading"] = "heading"


@dataclass(frozen=True)
class Facts:
    """Short values, each with its label."""

    rows: tuple[tuple[str, Paragraphs], ...]
    kind: Literal["facts"] = "facts"


@dataclass(frozen=True)
class Prose:
    """A text that people wrote, with its label or without."""

    paragraphs: Paragraphs
    title: str = ""
    kind: Literal["prose"] = "prose"


@dataclass(frozen=True)
class Remark:
    """A quiet line: who wrote something, or that nothing is registered."""

    text: str
    kind: Literal["remark"] = "remark"


@dataclass(frozen=True)
class Table:
    """Rows under a heading row. Widths are shares of the page."""

    head: tuple[str, ...]
    widths: tuple[int, ...]
    rows: tuple[tuple[Paragraphs, ...], ...]
    kind: Literal["table"] = "table"


@dataclass(frozen=True)
class Group:
    """Blocks that stay on one page when they are short, and stand under what is above them when they are `inner`."""

    blocks: "tuple[Block, ...]"
    keep: bool
    inner: bool
    kind: Literal["group"] = "group"


@dataclass(frozen=True)
class Page:
    """A new page begins here."""

    kind: Literal["page"] = "page"


Block = Heading | Facts | Prose | Remark | Table | Group | Page


@dataclass(frozen=True)
class Card:
    """How an element of a list is shown: its text, labelled texts, the remark in its heading, lines never left out."""

    text: str = ""
    labelled: tuple[str, ...] = ()
    note: str = ""
    always: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """A column of a table: whose words head it, the fields in its cells (":" before one shows its label), its share."""

    head: str | Word
    fields: tuple[str, ...]
    width: int


_CARDS = {
    "guardians": Card(note="name", always=("parental_responsibility", "residence", "address_protection")),
    "relatives": Card(note="name", always=("address_protection",)),
    "consents": Card(note="recipient", always=("parts", "signed_by", "status", "valid_from", "valid_to")),
    "concerns": Card(text="text"),
    "goals": Card(text="text", note="status"),
    "measures": Card(text="text", note="status", always=("responsible", "deadline", "status")),
    "evaluations": Card(text="text", note="on", always=("effect", "decision")),
    "meetings": Card(labelled=("agenda", "minutes"), note="starts_at", always=("kind",)),
    "notes": Card(text="text", note="on", always=("kind",)),
    "handovers": Card(labelled=("reason",), note="answer", always=("from_holder", "to_holder", "answer")),
    "agreements": Card(text="text", note="on"),
}

_TABLES = {
    "parties": (
        Column("name", ("name", "title", "phone", "email"), 40),
        Column("role", ("role", ":access", ":external"), 40),
        Column(Word.SERVICE_AND_UNIT, ("service", "unit"), 50),
        Column("task", ("task", ":from_on", ":to_on"), 34),
    ),
    "services": (
        Column("service", ("service",), 60),
        Column("unit", ("unit",), 60),
        Column("organisation_number", ("organisation_number",), 44),
    ),
    "level_changes": (
        Column("on", ("on",), 36),
        Column("level", ("level",), 44),
        Column("step", ("step",), 32),
        Column("reason", ("reason",), 52),
    ),
    "attachments": (
        Column("filename", ("filename", ":kind"), 50),
        Column("media_type", ("media_type",), 36),
        Column("size", ("size",), 30),
        Column("sha256", ("sha256",), 48),
    ),
    "extensions": (
        Column(Word.FIELD, ("title", ":key"), 54),
        Column("value", ("value",), 70),
        Column(Word.BELONGS_TO, ("element",), 40),
    ),
}

_NUMBER_WIDTH = 10
_SHORT = 1500
"""An element of less JSON than this, in characters, fits on a page and is not divided."""

_OF_EVERY_ELEMENT = frozenset({"id", "writer", "written_on", "part"})
"""What every element carries: its writer stands below it, its id and part in the register on the last page."""

LEVELS = {
    BtiLevel.CLARIFY: Word.LEVEL_0,
    BtiLevel.ONE_SERVICE: Word.LEVEL_1,
    BtiLevel.TWO_SERVICES: Word.LEVEL_2,
    BtiLevel.SEVERAL_SERVICES: Word.LEVEL_3,
}


def paragraphs(text: str) -> Paragraphs:
    """Split a text at its line ends; an empty line starts a new paragraph."""
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            found[-1].append(line.strip())
        elif found[-1]:
            found.append([])
    return tuple(tuple(lines) for lines in found if lines)


@dataclass(frozen=True)
class Edition:
    """What is said about the document itself: for whom and when it is made, of which revision, and what it lacks.

    `periodic` tells that it is made for the archive of a log that goes on.
    """

    municipality: str
    today: date
    revision: int | None
    left_out: tuple[str, ...]
    periodic: bool = False


class Content:
    """Turns one log into blocks, in the log's own language."""

    def __init__(self, log: RelayLog) -> None:
        self._log = log
        self._language: Written = log.language
        self._names = {
            (collection, element.id): name
            for collection in COLLECTIONS
            for name, element in reversed(self._numbered(collection))
            if element.id
        }

    def blocks(self, edition: Edition) -> tuple[Block, ...]:
        """Return the whole document: the log for those who read it, then a page about the document for the archive."""
        parts = (
            self._people(), self._cards("concerns"), self._cards("goals"), self._measures(), self._cards("meetings"),
            self._cards("agreements"), self._notes(), self._child_voice(), self._cards("consents"),
            self._cards("handovers"), self._table("level_changes"), self._table("attachments"), self._closing(),
            self._table("extensions"), self._about(edition),
        )  # fmt: skip
        return tuple(block for part in parts for block in part)

    def work(self) -> tuple[Block, ...]:
        """Return what tells of the work with the child: concerns, goals, measures as evaluated, the child's voice."""
        parts = (self._cards("concerns"), self._cards("goals"), self._measures(), self._child_voice())
        return tuple(block for part in parts for block in part)

    def subtitle(self, edition: Edition) -> str:
        """Return where the log stands, for the line below the title: Avsluttet 3. mars 2026."""
        if edition.periodic:
            return f"{self._word(Word.PERIODIC)}, {written_date(edition.today)}"
        closed = self._log.closure.on if self._log.closure else None
        return " ".join(filter(None, (self._shown(self._log, "status"), self._plain(closed))))

    def _people(self) -> Iterator[Block]:
        log = self._log
        yield self._heading(Word.SUBJECT)
        always = ("name", "birth_date", "national_id", "address_protection")
        yield Facts(self._rows(log.subject, always=always))
        yield self._heading(Word.BATON)
        yield Facts(self._rows(log.holder)) if log.holder else self._nothing()
        yield Heading(self._label(RelayLog, "unit"), level=2)
        yield Facts(self._rows(log.unit, always=("name",)))
        yield Heading(self._word(Word.STANDING), level=2)
        yield Facts(self._frame_rows())
        yield from self._cards("guardians")
        yield from self._cards("relatives")
        yield from self._table("parties")
        yield from self._table("services")

    def _frame_rows(self) -> tuple[tuple[str, Paragraphs], ...]:
        shown = {"status", "level", "step", "opened_on", "opened_by", "violence"}
        return self._rows(self._log, leave=RelayLog.model_fields.keys() - shown, always=("status", "opened_on"))

    def _measures(self) -> Iterator[Block]:
        yield from self._cards("measures")
        loose = [(name, e) for name, e in self._evaluations() if ("measures", e.measure) not in self._names]
        if loose:
            yield self._heading(Word.OTHER_EVALUATIONS)
            for name, evaluation in loose:
                yield from self._card("evaluations", name, evaluation)

    def _notes(self) -> Iterator[Block]:
        chosen = [(name, note) for name, note in self._written_notes() if not _is_child_voice(note)]
        yield Heading(Note.label.text(self._language), level=1)
        yield from self._several("notes", chosen)

    def _child_voice(self) -> Iterator[Block]:
        chosen = [(name, note) for name, note in self._written_notes() if _is_child_voice(note)]
        views = list(self._child_views())
        yield self._heading(Word.CHILD_VOICE)
        if chosen or not views:
            yield from self._several("notes", chosen)
        for name, label, text in views:
            yield Heading(label, level=2, note=name)
            yield Prose(paragraphs(text))

    def _child_views(self) -> Iterator[tuple[str, str, str]]:
        """Yield what the child said inside another element: the element's name, the field's label, the text."""
        for collection in ("evaluations", "consents", "handovers"):
            for name, element in self._numbered(collection):
                field = _child_field(element)
                if field and getattr(element, field):
                    yield name, self._label(type(element), field), getattr(element, field)

    def _closing(self) -> Iterator[Block]:
        closure = self._log.closure
        yield Heading(self._label(RelayLog, "closure"), level=1)
        if closure is None:
            yield Remark(self._word(Word.NOT_CLOSED))
            return
        always = ("on", "reason", "decided_by", "continues_as")
        yield Facts(self._rows(closure, leave={"text"}, always=always))
        yield from self._prose(closure, "text", title=self._label(Closure, "text"))

    def _about(self, edition: Edition) -> Iterator[Block]:
        log = self._log
        yield Page()
        yield self._heading(Word.ABOUT)
        yield Prose(paragraphs(self._word(Word.ABOUT_TEXT)))
        rows = (
            *self._rows(log, leave=RelayLog.model_fields.keys() - {"id"}, always=("id",)),
            (self._word(Word.REVISION), paragraphs("" if edition.revision is None else str(edition.revision))),
            *self._rows(log.template, always=("id", "version")),
            *self._rows(log.source),
            *self._rows(log, leave=RelayLog.model_fields.keys() - {"canonical", "changed_at"}),
            (self._label(RelayLog, "language"), paragraphs(self._word(Word.LANGUAGE))),
            (self._word(Word.MADE_FOR), paragraphs(edition.municipality)),
            (self._word(Word.MADE_ON), paragraphs(written_date(edition.today))),
            (self._word(Word.FORMAT), paragraphs("PDF/A-2a, PDF/UA-1")),
            (self._word(Word.LEFT_OUT), paragraphs("\n\n".join(self._left_out(edition)))),
        )
        yield Facts(tuple(row for row in rows if row[1]))
        yield from self._register()

    def _left_out(self, edition: Edition) -> tuple[str, ...]:
        files = (self._word(Word.FILES_LEFT_OUT),) if self._log.attachments else ()
        return (*edition.left_out, *files) or (self._word(Word.NOTHING_LEFT_OUT),)

    def _register(self) -> Iterator[Block]:
        entries = [entry for collection in COLLECTIONS for entry in self._numbered(collection)]
        if not entries:
            return
        yield Heading(self._word(Word.REGISTER), level=2)
        yield Prose(paragraphs(self._word(Word.REGISTER_TEXT)))
        yield Table(
            head=(
                self._word(Word.ENTRY),
                *(self._label(Element, name) for name in ("writer", "part", "id")),
            ),
            widths=(7, 11, 9, 13),
            rows=tuple(
                (_cell(name), _cell(self._written(e)), _cell(self._shown(e, "part")), _cell(e.id))
                for name, e in entries
            ),
        )

    def _cards(self, collection: str) -> Iterator[Block]:
        yield Heading(COLLECTIONS[collection].label.text(self._language), level=1)
        yield from self._several(collection, self._numbered(collection))

    def _several(self, collection: str, elements: Iterable[tuple[str, Element]]) -> Iterator[Block]:
        found = False
        for name, element in elements:
            found = True
            yield from self._card(collection, name, element)
        if not found:
            yield self._nothing()

    def _card(self, collection: str, name: str, element: Element, *, inner: bool = False) -> Iterator[Block]:
        blocks = tuple(self._card_blocks(_CARDS[collection], name, element, inner=inner))
        yield Group(blocks, keep=len(element.model_dump_json()) < _SHORT, inner=inner)
        if isinstance(element, Measure):
            for evaluation_name, evaluation in self._of_measure(element):
                yield from self._card("evaluations", evaluation_name, evaluation, inner=True)

    def _card_blocks(self, card: Card, name: str, element: Element, *, inner: bool) -> Iterator[Block]:
        note = self._shown(element, card.note) if card.note else ""
        yield Heading(name, 3 if inner else 2, note)
        if card.text:
            yield from self._prose(element, card.text)
        yield from self._card_facts(card, element, leave={"measure"} if inner else set())
        for field in card.labelled:
            yield from self._prose(element, field, title=self._label(type(element), field))
        yield from self._writer(element)

    def _card_facts(self, card: Card, element: Element, leave: set[str]) -> Iterator[Block]:
        child = _child_field(element)
        leave |= {card.text, *card.labelled, child, *_OF_EVERY_ELEMENT, card.note} - set(card.always)
        rows = list(self._rows(element, leave=leave, always=card.always))
        if isinstance(element, Measure):
            rows.append((self._word(Word.OUTCOME), self._outcome(element)))
        if child and getattr(element, child):
            rows.append((self._label(type(element), child), paragraphs(self._word(Word.SEE_CHILD_VOICE))))
        if rows:
            yield Facts(tuple(rows))

    def _outcome(self, measure: Measure) -> Paragraphs:
        """Return what the last evaluation found and decided."""
        evaluations = self._of_measure(measure)
        if not evaluations:
            return paragraphs(self._word(Word.NOT_REGISTERED))
        _, last = evaluations[-1]
        words = [self._shown(last, field) for field in ("effect", "decision")]
        return paragraphs(", ".join(filter(None, words)) or self._word(Word.NOT_REGISTERED))

    def _of_measure(self, measure: Measure) -> list[tuple[str, Evaluation]]:
        return [(name, e) for name, e in self._evaluations() if measure.id and e.measure == measure.id]

    def _table(self, collection: str) -> Iterator[Block]:
        model, columns = COLLECTIONS[collection], _TABLES[collection]
        yield Heading(model.label.text(self._language), level=1)
        elements = getattr(self._log, collection)
        if not elements:
            yield self._nothing()
            return
        yield Table(
            head=(self._word(Word.NUMBER), *(self._head(model, c) for c in columns)),
            widths=(_NUMBER_WIDTH, *(c.width for c in columns)),
            rows=tuple(
                (_cell(str(number)), *(_cell(self._joined(e, c)) for c in columns))
                for number, e in enumerate(elements, start=1)
            ),
        )

    def _joined(self, element: Element, column: Column) -> str:
        lines = []
        for field in column.fields:
            name = field.removeprefix(":")
            if text := self._shown(element, name):
                lines.append(f"{self._label(type(element), name)}: {text}" if name != field else text)
        return "\n".join(lines)

    def _head(self, model: type[Element], column: Column) -> str:
        return self._word(column.head) if isinstance(column.head, Word) else self._label(model, column.head)

    def _rows(
        self, value: Frozen, *, leave: Iterable[str] = (), always: Iterable[str] = ()
    ) -> tuple[tuple[str, Paragraphs], ...]:
        """Return a line for each field that holds something, and for those that must never be missing."""
        rows = []
        for name in type(value).model_fields:
            text = "" if name in leave else self._shown(value, name)
            if not text and name in always:
                text = self._word(Word.NOT_REGISTERED)
            if text:
                rows.append((self._label(type(value), name), paragraphs(text)))
        return tuple(rows)

    def _prose(self, value: Frozen, field: str, title: str = "") -> Iterator[Block]:
        if text := getattr(value, field):
            yield Prose(paragraphs(text), title)

    def _shown(self, value: Frozen, field: str) -> str:
        """Return a field's value as people write it, "" where nothing is registered."""
        held = getattr(value, field)
        collection = references(type(value)).get(field)
        if collection:
            return self._names.get((collection, held), str(held))
        if isinstance(value, Extension) and field == "element":
            return next((name for (_, id_), name in self._names.items() if id_ == held), str(held))
        if held is False and type(value).model_fields[field].default is False:
            return ""  # a mark that is not set; only a question that was answered says no
        return self._plain(held)

    def _plain(self, held: object) -> str:
        if isinstance(held, bool):
            return self._word(Word.YES if held else Word.NO)
        if isinstance(held, BtiLevel):
            return self._word(LEVELS[held])
        if isinstance(held, Code):
            return "" if held == "unknown" else held.label(self._language)
        if isinstance(held, datetime):
            return written_time(held, self._language)
        if isinstance(held, date):
            return written_date(held)
        if isinstance(held, Frozen):
            return ", ".join(filter(None, (self._shown(held, name) for name in type(held).model_fields)))
        if isinstance(held, tuple):
            return "\n".join(filter(None, map(self._plain, held)))
        return str(held) if held else ""

    def _writer(self, element: Element) -> Iterator[Block]:
        if written := self._written(element):
            yield Remark(f"{self._word(Word.WRITTEN_BY)} {written}")

    def _written(self, element: Element) -> str:
        return ", ".join(filter(None, (self._shown(element, name) for name in ("writer", "written_on"))))

    def _numbered(self, collection: str) -> list[tuple[str, Element]]:
        name = self._word(Word[collection.upper()])
        return [(f"{name} {number}", e) for number, e in enumerate(getattr(self._log, collection), start=1)]

    def _evaluations(self) -> list[tuple[str, Evaluation]]:
        return [(name, e) for name, e in self._numbered("evaluations") if isinstance(e, Evaluation)]

    def _written_notes(self) -> list[tuple[str, Note]]:
        return [(name, e) for name, e in self._numbered("notes") if isinstance(e, Note)]

    def _heading(self, word: Word) -> Heading:
        return Heading(self._word(word), level=1)

    def _nothing(self) -> Remark:
        return Remark(self._word(Word.NONE_REGISTERED))

    def _label(self, model: type[Frozen], field: str) -> str:
        return field_label(model, field).text(self._language)

    def _word(self, word: Word) -> str:
        return word.text(self._language)


def _cell(text: str) -> Paragraphs:
    return paragraphs(text) or (("–",),)


def _is_child_voice(note: Note) -> bool:
    return note.kind is NoteKind.CHILD_CONVERSATION or note.part is Part.CHILD_VOICE


def _child_field(element: Element) -> str:
    """Return the field in which an element holds what the child said, "" where it has none."""
    if isinstance(element, Evaluation | Consent):
        return "child_view"
    return "child_wish" if isinstance(element, Handover) else ""
