"""What a mapping file may not say: each slip is an error with file, line, column, remedy and the nearest name."""

import pytest

from hub.mappings.language import Mapping, load_mapping
from hub.payloads.yamlfile import FileError

HEAD = """mapping: test/language
version: 1
canonical: relaylog/1
origin: assumed
payload: json
when: {/kind: T}
own: [kindergarten]
codes:
  states: {codes: {A: active}, keep: [draft, awaiting_consent, paused, closed, archived, rejected]}
fields:
"""
LINE = HEAD.count("\n") + 1
BARE = "".join(line for line in HEAD.splitlines(keepends=True) if "states" not in line and line != "codes:\n")


def load(fields: str, head: str = HEAD) -> Mapping:
    """Compile a mapping with these fields, indented by two."""
    return load_mapping(head + fields, "test.yaml")


ARENA = "codes: {B: kindergarten, S: school, H: home, F: leisure, L: health"

SLIPS = [
    ("  statu: /s", f"{LINE}:3", "'statu' is no field of RelayLog", "'status'"),
    ("  subject.nam: /s", f"{LINE}:3", "'subject.nam' is no field", "'subject.name'"),
    ("  measure[]: {each: /m, fields: {}}", f"{LINE}:3", "no list of the relay log", "'measures[]'"),
    ("  step: s", f"{LINE}:9", "'s' is no place in the record", "JSON Pointer"),
    ("  step: {at: /s, date: iso}", f"{LINE}:18", "the key 'date' is not known in a rule for text", "Known here"),
    ("  opened_on: {at: /s, date: '%d.%m.%y'}", f"{LINE}:29", "can't be restored", "%d, %m and %Y once each"),
    ("  changed_at: {at: /s, zone: Europe/Olso}", f"{LINE}:30", "is no time zone", "'Europe/Oslo'"),
    ("  violence: {at: /s, bool: {yes: ja, no: ja}}", f"{LINE}:28", "yes and no are the same word", "two words"),
    ("  step: {at: [/a, /b]}", f"{LINE}:14", "several places for one value", "Add 'join:'"),
    ("  step: {at: [/a, /b], join: ''}", f"{LINE}:30", "text joined by nothing", "one_way: read"),
    ("  step: /s\n  opened_by: /s", f"{LINE + 1}:3", "'opened_by' and 'step' both write /s", "one_way: read"),
    ("  step: /s\n  opened_by: /s/t", f"{LINE + 1}:3", "both write /s/t", "one_way: read"),
    ("  status: {at: /s, codes: state}", f"{LINE}:27", "'state' is not known as a code list", "'states'"),
    ("  status: {at: /s, codes: {A: activ}}", f"{LINE}:31", "'activ' is not known as a canonical code", "'active'"),
    ("  status: {at: /s, codes: {A: active}}", f"{LINE}:27", "how to write draft, awaiting_consent", "to keep"),
    ("  level: {at: /s, codes: {N0: '0', N1: '1'}}", f"{LINE}:26", "how to write 2, 3", "write_as"),
    ("  status: {at: /s, codes: {A: active, B: active}}", f"{LINE}:42", "both 'A' and 'B'", "read_as: {B: active}"),
    ("  status: {at: /s, codes: {A: active}, read_as: {A: closed}}", f"{LINE}:53", "under codes already", "Remove"),
    ("  status: {at: /s, codes: {A: active}, write_as: {paused: B}}", f"{LINE}:59", "'B' is not", "Known here: A"),
    ("  status: {at: /s, codes: {A: active}, write_as: {pausd: A}}", f"{LINE}:51", "no canonical code", "'paused'"),
    ("  status: {at: /s, codes: states, unknown: default}", f"{LINE}:44", "but no default", "Add 'default:'"),
    ("  status: {at: /s, codes: states, unknown: kep}", f"{LINE}:44", "not known as unknown", "'keep'"),
    ("  notes[]: {each: /n, fields: {id: /i}}", f"{LINE}:32", "'id' is not one of the fields", "'key:' beside 'each:'"),
    ("  notes[]: {each: /n, kee: /i, fields: {}}", f"{LINE}:23", "'kee' is not known", "'key'"),
    ("  notes[]: [{each: /a, fields: {}}, {each: /b, fields: {}}]", f"{LINE}:13", "tells this one apart", "'set:'"),
    ("  notes[]: {each: /n, set: {kind: notes}, fields: {}}", f"{LINE}:35", "'notes' is not known", "'note'"),
    ("  notes[]: {each: /n, set: {kind: note}, fields: {kind: /k}}", f"{LINE}:12", "'kind' is filled twice", "Remove"),
    (
        "  measures[]: {each: /m, fields: {'evaluations[]': {each: /e, fields: {}}}}",
        f"{LINE}:52", "nothing ties it there", "Add 'belongs:'",
    ),
    (
        "  notes[]: {each: /n, writer: {at: /w}, fields: {text: {at: /t, mark: true}}}",
        f"{LINE}:31", "both a mark and a place say 'writer'", "one_way: read",
    ),
    (
        "  notes[]: {each: /n, fields: {text: {at: /t, mark: true}, author: {at: /a, mark: true}}}",
        f"{LINE}:12", "two texts of one element carry the mark", "main text only",
    ),
    ("  changed_at: {at: /s, instant: '%d.%m.%Y %H:%M'}", f"{LINE}:33", "says no zone", "Add 'zone: Europe/Oslo'"),
    (
        "  changed_at: {at: /s, instant: '%d.%m.%Y', zone: Europe/Oslo}",
        f"{LINE}:33", "a time can't be restored", "%d, %m, %Y, %H and %M once each",
    ),
    ("  subject.name: {at: /s, name: 'Etternavn'}", f"{LINE}:32", "no order of names", "'Etternavn, Fornavn'"),
    ("  subject.name: {at: /s, name: 'Etternavn Fornavn', join: ' '}", f"{LINE}:26", "don't go together", "one of the"),
    ("  step: {at: /s/0}", f"{LINE}:14", "a row picked by its number can't be written", "one_way: read"),
    ("  notes[]: {each: /n/0, fields: {}}", f"{LINE}:19", "each '/n/0' counts rows", "stays when rows move"),
    ("  notes[]: {each: /n, where: {/a/0: x}, fields: {}}", f"{LINE}:31", "where '/a/0' counts rows", "rows move"),
    ("  step: {jmes: 'a.[b'}", f"{LINE}:16", "'a.[b' is no JMESPath expression", "barn.tlf[0]"),
    ("  step: {jmes: 'lenght(a)'}", f"{LINE}:16", "JMESPath has no function 'lenght'", "'length'"),
    ("  step: {jmes: 'length(a, b)'}", f"{LINE}:16", "'length' is given 2 values", "Give it 1"),
    ("  step: {jmes: 'a[?b==`x`]'}", f"{LINE}:16", "is no JMESPath expression", "text as 'tekst'"),
    ("  step: {jmes: a, at: /a}", f"{LINE}:19", "both an expression and 'at'", "Keep one"),
    ("  step: {jmes: a, const: x}", f"{LINE}:19", "'const' is never read", "Remove it"),
    ("  step: {one_way: read}", f"{LINE}:9", "the rule has no 'at'", "Add 'at:'"),
    ("  status: {at: /s, read_as: {A: active}}", f"{LINE}:20", "'read_as' is never read", "Add 'codes:'"),
    ("  status: {at: /s, codes: list:stat}", f"{LINE}:27", "'list:stat' is not known as a shared", "Nothing is known"),
    ("  status: {at: /s, codes: states, words: nn}", f"{LINE}:35", "only shared lists have words", "list:name"),
    ("  level: {at: /s, words: nn}", f"{LINE}:26", "there are no words for this", "Remove 'words:'"),
    ("  violence: {at: /s, bool: {yes: [ja, X], no: [x]}}", f"{LINE}:28", "the same word", "two words"),
    (
        "  concerns[]: {each: /c, fields: {areas: {at: /a, one_way: read, split: ',', codes: {'a,b': play}}}}",
        f"{LINE}:73", "the code 'a,b' holds the separator", "another one",
    ),
    ("  notes[]: {each: /n, key: /t, fields: {text: /t}}", f"{LINE}:41", "'text' and 'the key' both write /t", "one"),
    ("  step: /n\n  notes[]: {each: /n, fields: {text: /t}}", f"{LINE + 1}:3", "'notes[]' and 'step' both", "one_way"),
    ("  notes[]: {each: /n/a, fields: {}}\n  step: /n", f"{LINE + 1}:3", "'step' and 'notes[]' both", "one_way"),
    (
        "  notes[]: {each: /n, fields: {text: /t}}\n  concerns[]: {each: /n, fields: {text: /t}}",
        f"{LINE + 1}:15", "notes[] and concerns[] take the same rows", "'where:' on both",
    ),
    (
        "  notes[]: [{each: /n, where: {/a: x}, fields: {}}, {each: /n, where: {/a: {not: y}}, fields: {}}]",
        f"{LINE}:53", "take the same rows", "one_way: read",
    ),
    ("  goals[]: {each: /g, fields: {concern: /c}}", f"{LINE}:41", "refers to concerns[], which nothing feeds", "Add"),
    (
        "  goals[]: {each: /g, fields: {concern: /c}}\n  concerns[]: {each: /c, key: [/a, /b], fields: {}}",
        f"{LINE}:41", "whose keys say too little alone", "a key of one place",
    ),
    ("  notes[]: {each: /n, slot: a, fields: {}}", f"{LINE}:13", "'each' and 'slot' don't go together", "Keep one"),
    ("  notes[]: {each: /n, at: /a, fields: {}}", f"{LINE}:23", "'at' is for one fixed place", "add 'slot:'"),
    ("  notes[]: [{slot: a, fields: {}}, {slot: a, at: /b, fields: {}}]", f"{LINE}:36", "'a' stands twice", "its own"),
    (
        "  notes[]: [{slot: a, fields: {text: /t}}, {slot: b, fields: {text: /t}}]",
        f"{LINE}:63", "'text' and 'text' both write /t", "one_way",
    ),
    ("  notes[]: {each: /n, key_within: parent, fields: {}}", f"{LINE}:23", "'key_within' is never read", "Add 'key:'"),
    ("  notes[]: {each: /n, orphans: /o, fields: {}}", f"{LINE}:23", "nothing is an orphan at the top", "Remove"),
    ("  notes[]: {each: /n, where: {}, fields: {}}", f"{LINE}:30", "where says nothing", "as /type: STAFETT"),
    ("  notes[]: {each: /n, where: {/a: {is: x}}, fields: {}}", f"{LINE}:36", "the key 'is' is not known", "in, not"),
    ("  notes[]: {each: /n, where: {/a: {in: []}}, fields: {}}", f"{LINE}:40", "'in' names no word", "at least one"),
    ("  holder: {at: /h, person: kontakt}", f"{LINE}:28", "not known as a table under 'persons'", "leave it out"),
    ("  holder: {at: /h, person: {nam: /n}}", f"{LINE}:29", "the key 'nam' is not known in a person", "'name'"),
    (f"  measures[]: {{each: /m, fields: {{arena: {{at: /a, {ARENA}}}}}}}}}", f"{LINE}:58", "write other", "keep"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "place", "problem", "remedy"), SLIPS, ids=[slip[2] for slip in SLIPS])
def test_a_slip_in_a_rule_is_shown_where_it_stands(fields: str, place: str, problem: str, remedy: str) -> None:
    """Each error says file, line and column, what was found, and what would be right."""
    with pytest.raises(FileError) as caught:
        load(fields)
    assert str(caught.value.mark) == f"test.yaml:{place}"
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("change", "place", "problem", "remedy"),
    [
        (("version: 1", "verison: 1"), "2:1", "the key 'verison' is not known in a mapping", "'version'"),
        (("version: 1", "version: one"), "2:10", "no whole number", "from 1"),
        (("relaylog/1", "relaylog/2"), "3:12", "'relaylog/2' is not known as canonical", "'relaylog/1'"),
        (("assumed", "guessed"), "4:9", "'guessed' is not known as origin", "assumed, confirmed, observed, published"),
        (("json", "jsn"), "5:10", "'jsn' is not known as payload", "'json'"),
        (("/kind: T", "kind: T"), "6:8", "'kind' is no place in the record", "JSON Pointer"),
        (("test/language", "language"), "1:10", "'language' is no name of a mapping", "vigilo/stafettlogg"),
        (("[kindergarten]", "[kindergaten]"), "7:7", "not known as a service", "'kindergarten'"),
        (("own: [kindergarten]", "required: [source.id]"), "7:12", "not known as a path of this mapping", "step"),
        (("own: [kindergarten]", "volatile: /a"), "7:11", "volatile is not a list", "square brackets"),
        (("payload: json\n", ""), "1:1", "the mapping has no 'payload'", "Add 'payload:'"),
        (("json", "{lists: []}"), "5:10", "the payload has no 'kind'", "Add 'kind:'"),
        (("json", "{kind: xml, list: []}"), "5:28", "no option of this format", "namespaces"),
        (("json", "{kind: xml, namespaces: {a: ''}}"), "5:38", "no namespace", "each once"),
        (("json\nwhen: {/kind: T}", "xml\nwhen: {root: '{http://a}b'}"), "6:14", "has no namespace", "Add it under"),
        (("own: [kindergarten]", "unknown: kep"), "7:10", "not known as unknown", "'keep'"),
        (("own: [kindergarten]", "on_create: {/a/0: x}"), "7:13", "on_create '/a/0' counts rows", "rows move"),
        (("own: [kindergarten]", "persons: {k: {nam: /n}}"), "7:15", "'nam' is not known", "'name'"),
        (("own: [kindergarten]", "extends: a/b"), "7:10", "there is no mapping 'a/b' to extend", "Nothing is known"),
    ],
)
def test_a_slip_in_the_header_is_shown_where_it_stands(
    change: tuple[str, str], place: str, problem: str, remedy: str
) -> None:
    """The header's words are checked like its rules."""
    with pytest.raises(FileError) as caught:
        load("  step: /s", HEAD.replace(*change))
    assert str(caught.value.mark) == f"test.yaml:{place}"
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_a_list_that_no_rule_reads_is_an_error() -> None:
    """A code list at the top that nothing uses is a slip, shown where it stands."""
    with pytest.raises(FileError, match=r"test\.yaml:9:3: 'states' is never read"):
        load("  step: /s")


def test_a_missing_sample_is_an_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A test that names a file that isn't there fails when the mapping is loaded with its folder."""
    text = BARE + "  step: /s\ntests: [{record: a.json, expect: b.json}]\n"
    with pytest.raises(FileError, match=r"the sample a\.json is missing"):
        load_mapping(text, "test.yaml", samples=tmp_path_factory.mktemp("none"))


def test_text_from_a_mapping_enters_the_code_as_text_only() -> None:
    """Quotes, braces and line breaks in a pointer or code are looked up as they stand, and run nothing."""
    name = "x'] + exit(1) #{}\\n\""
    mapping = load(f"  step: '/{name.replace(chr(39), chr(39) * 2)}'", BARE)
    assert mapping.read({"kind": "T", name: "2"}).step == "2"
    assert mapping.read({"kind": "T", "x": "2"}).step == ""


def test_a_pointer_may_name_keys_with_slashes() -> None:
    """`~1` and `~0` stand for a slash and a tilde, as in RFC 6901."""
    assert load("  step: /a~1b~0c", BARE).read({"kind": "T", "a/b~c": "3"}).step == "3"


def test_what_a_mapping_carries_and_writes() -> None:
    """Carried is what is read from a place, written is what isn't one-way; lists of values carry their fields too."""
    mapping = load(
        "  step: /s\n  source.id: {at: /i, one_way: read}\n"
        "  consents[]: {each: /c, key: /i, fields: {signed_by: {each: /g, fields: {name: /n}}}}\n"
        "  guardians[]: {each: /f, one_way: read, fields: {name: /n}}\n"
        "  notes[]: {each: /n, set: {kind: note}, writer: /w, fields: {text: /t}}",
        BARE,
    )
    written = {
        "step", "consents[].signed_by", "consents[].signed_by[].name", "notes[].kind", "notes[].writer", "notes[].text",
    }  # fmt: skip
    assert mapping.writes == written
    assert mapping.carries == written | {"source.id", "guardians[].name"}


WORD = "payload: docx"
PDF = "payload: pdf"
XML = "payload: {kind: xml}\nwhen: {/Logg/type: S}"
CSV = "payload: {kind: csv, files: {logg: {key: id}, tiltak: {key: id, parent: logg/id}}}\nwhen: {/logg/type: S}"
NOWHERE = [
    (WORD, "  step: /Pairs/steg", 9, "/Pairs/steg", "Did you mean 'pairs'?"),
    (WORD, "  step: /steg", 9, "/steg", "/pairs, /controls, /fields, /sections, /tables, /form"),
    (WORD, "  step: /pairs/Barnet Namn", 9, "/pairs/Barnet Namn", "Write /pairs/barnet namn"),
    (WORD, "  step: '/pairs/namn:'", 9, "/pairs/namn:", "Write /pairs/namn"),
    (WORD, "  step: /sections/uro/tekst", 9, "/sections/uro/tekst", "Write /sections/name"),
    (WORD, "  notes[]: {each: /tables/notat, fields: {text: /Vurdering}}", 49, "/tables/notat/Vurdering",
     "Write /tables/notat/vurdering"),
    (WORD, "  notes[]: {each: /tables/Notat, key: /nr, fields: {}}", 34, "/tables/Notat/nr", "Write /tables/notat/nr"),
    (WORD, "  notes[]: {each: /tables/n, where: {/Type: x}, fields: {}}", 12, "/tables/n/Type", "/tables/n/type"),
    (WORD, "  notes[]: {slot: a, fields: {text: {at: /pairs/Uro}}}", 37, "/pairs/Uro", "Write /pairs/uro"),
    (WORD, "  guardians[]: [{slot: a, fields: {name: /pairs/Namn}}]", 42, "/pairs/Namn", "Write /pairs/namn"),
    (PDF, "  step: /pairs/steg", 9, "/pairs/steg", "a PDF form has only /fields, /form"),
    (PDF, "  step: /fields/a/b", 9, "/fields/a/b", "Write /fields/name"),
    (XML, "  step: /Log/Steg", 9, "/Log/Steg", "Begin with /Logg"),
    (CSV, "  step: /tiltak/Steg", 9, "/tiltak/Steg", "Begin with /logg"),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "fields", "column", "place", "remedy"), NOWHERE)
def test_a_place_that_no_record_of_the_format_has_is_refused(
    payload: str, fields: str, column: int, place: str, remedy: str
) -> None:
    """Labels in capitals, unknown outermost names and places too deep are shown with what would be right."""
    head = "mapping: a/b\nversion: 1\ncanonical: relaylog/1\norigin: assumed\n"
    when = "" if "when:" in payload else "when: {/form: abc}\n"
    line = (head + when + payload).count("\n") + 3
    with pytest.raises(FileError) as caught:
        load(fields, f"{head}{when}{payload}\nfields:\n")
    error = caught.value
    assert (error.mark.line, error.mark.column) == (line, column)
    assert error.problem == f"no record has the place {place}"
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("head", "place"),
    [
        ("when: {/Form: abc}", "/Form"),
        ("when: {/form: abc}\nvolatile: [/pairs/Sist lagra]", "/pairs/Sist lagra"),
        ("when: {/form: abc}\non_create: {/Pairs/mal: x}", "/Pairs/mal"),
    ],
)
def test_a_place_in_the_head_that_no_form_has_is_refused(head: str, place: str) -> None:
    """What claims, changes nothing or is written at once must be a place of the form, too."""
    with pytest.raises(FileError, match=f"no record has the place {place}"):
        load("  step: /pairs/steg", BARE.replace("payload: json\nwhen: {/kind: T}", f"payload: docx\n{head}"))


def test_what_only_the_form_can_tell_is_not_guessed() -> None:
    """Tags and field names keep their letters, numbers of rows may be read, and XML may have any root."""
    form = BARE.replace("payload: json\nwhen: {/kind: T}", "payload: docx\nwhen: {form: [Namn, Tiltak]}")
    load(
        "  step: /controls/Steg\n  opened_by: /fields/Av\n  unit.name: {at: /tables/eining/0/namn, one_way: read}", form
    )
    load("  step: /fields/Steg.Nr", form.replace("docx", "pdf"))
    load("  step: /A/s\n  opened_by: /B/s", BARE.replace("payload: json", "payload: xml"))


@pytest.mark.parametrize(
    "name", ["Vigilo/stafettlogg", "vigilo/måling", "a/b c", "a", "a/b/c", "a-/b", "a/12345678901"]
)
def test_an_id_is_what_the_event_log_takes(name: str) -> None:
    """Capitals, other letters, blanks and eleven digits are refused where the id stands, before it is frozen."""
    with pytest.raises(FileError) as caught:
        load("  step: /s", BARE.replace("mapping: test/language", f"mapping: {name}"))
    assert (caught.value.mark.line, caught.value.mark.column) == (1, 10)
    assert "small letters a-z, digits and hyphens" in caught.value.remedy


def test_fixed_places_of_values_are_checked_as_rules_are() -> None:
    """A place without rules, a value filled twice, and one place for two of them are slips."""
    rule = "  consents[]: {each: /c, fields: {signed_by: [%s]}}"
    for place, problem in (
        ("{set: {role: youth}}", "a place of a value has no 'fields'"),
        ("{set: {role: youth}, fields: {role: /r}}", "'role' is filled twice"),
        ("{set: {name: x, rol: youth}, fields: {}}", "'rol' can't be set"),
        ("{fields: {name: /a}}, {fields: {name: /a}}", "both write /a"),
    ):
        with pytest.raises(FileError, match=problem):
            load(rule % place, BARE)
