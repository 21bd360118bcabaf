"""XML records: what the options cover is read both ways, everything else stays where and as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from hub.payloads.base import PayloadError, Tree, same
from hub.payloads.options import OptionsError
from hub.payloads.xml import XmlPayload
from tests.payloads.texts import CLEAN

OPTIONS: dict[str, object] = {
    "namespaces": {"": "urn:logg", "b": "urn:barn"},
    "lists": ["/Logg/Tiltak/Rad", "/Logg/Tiltak/Rad/Omrade"],
    "objects": ["/Logg/Niva", "/Logg/Tiltak/Rad"],
    "order": {"/Logg": ["b:Barn", "Niva", "Status", "Tiltak"], "/Logg/Tiltak/Rad": ["Id", "Tekst", "Omrade"]},
}
XML = XmlPayload(OPTIONS)
RECORD = """<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<!-- kladd -->
<?stil a?>
<l:Logg xmlns:l='urn:logg' xmlns:x="urn:fremmed" versjon="2">
  <barn xmlns="urn:barn"><x:Spor>1</x:Spor></barn>
  <!-- midt i -->
  <Barn xmlns="urn:barn" id="7"><Navn>Solskinn Testbarn</Navn></Barn>
  <l:Niva kode="2"/>
  <x:Ukjent a="1"><x:B/></x:Ukjent>
  <l:Status><![CDATA[A & B]]></l:Status>
  <l:Tiltak>
    <l:Rad><l:Id>1</l:Id><!-- rad 1 --><l:Tekst>Lek</l:Tekst></l:Rad>
    <l:Rad><l:Id>2</l:Id><l:Tekst/><l:Omrade>A</l:Omrade><l:Omrade>B</l:Omrade></l:Rad>
  </l:Tiltak>
</l:Logg>
<!-- slutt -->
"""
TREE: Tree = {
    "Logg": {
        "@versjon": "2",
        "b:barn": None,
        "b:Barn": {"@id": "7", "b:Navn": "Solskinn Testbarn"},
        "Niva": {"@kode": "2"},
        "Status": "A & B",
        "Tiltak": {"Rad": [{"Id": "1", "Tekst": "Lek"}, {"Id": "2", "Tekst": None, "Omrade": ["A", "B"]}]},
    }
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1", "utf-16", "windows-1252"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_a_record_is_read_and_written_back_byte_for_byte(encoding: str, line: str) -> None:
    """In every encoding and with both line ends the same tree is read, and writing it changes no byte."""
    data = RECORD.replace("utf-8", encoding.removesuffix("-sig")).replace("\n", line).encode(encoding)
    assert XML.decode(data) == TREE
    assert XML.encode(TREE, data) == data


def test_only_what_changed_is_written() -> None:
    """Changed, new and removed values are written in place, in schema order and in the document's own indentation."""
    rows = [{"Id": "1", "Tekst": "Lek & lær"}, {"Id": "2", "Omrade": ["B", "C"]}, {"Tekst": "Ny", "Id": "3"}]
    said: Tree = {"Logg": {"@versjon": "3", "b:Barn": None, "Niva": {"#text": "to"}, "Tiltak": {"Rad": rows}}}
    assert XML.encode(said, RECORD.encode()).decode() == (
        RECORD.replace('versjon="2"', 'versjon="3"')
        .replace("xmlns:l='urn:logg'", 'xmlns:l="urn:logg"')
        .replace('  <Barn xmlns="urn:barn" id="7"><Navn>Solskinn Testbarn</Navn></Barn>\n', "")
        .replace('<l:Niva kode="2"/>', '<l:Niva kode="2">to</l:Niva>')
        .replace("Lek", "Lek &amp; lær")
        .replace("<l:Omrade>A</l:Omrade><l:Omrade>B</l:Omrade>", "<l:Omrade>B</l:Omrade><l:Omrade>C</l:Omrade>")
        .replace(
            "  </l:Tiltak>",
            "    <l:Rad>\n      <l:Id>3</l:Id>\n      <l:Tekst>Ny</l:Tekst>\n    </l:Rad>\n  </l:Tiltak>",
        )
    )


def test_a_new_element_goes_where_the_order_says() -> None:
    """A new element stands after those before it in the order, and otherwise last."""
    data = b'<Logg xmlns="urn:logg"><Tiltak/></Logg>'
    said: Tree = {"Logg": {"Status": "x", "b:Barn": {"b:Navn": "y"}, "Anna": "z"}}
    assert XML.encode(said, data).decode() == (
        '<Logg xmlns="urn:logg"><b:Barn xmlns:b="urn:barn"><b:Navn>y</b:Navn></b:Barn><Status>x</Status>'
        "<Tiltak/><Anna>z</Anna></Logg>"
    )


def test_a_new_document_is_made() -> None:
    """Without an original a document with declaration, namespaces and indentation is made."""
    assert XML.encode({"Logg": {"b:Barn": {"@id": "1"}, "Tiltak": {"Rad": [{"Id": "1"}]}}}, None).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Logg xmlns="urn:logg" xmlns:b="urn:barn">\n  <b:Barn id="1"/>\n'
        "  <Tiltak>\n    <Rad>\n      <Id>1</Id>\n    </Rad>\n  </Tiltak>\n</Logg>\n"
    )


NAMES = st.sampled_from(["Namn", "Tekst", "b:Frist", "@id", "@b:x", "@xml:lang"])
SAID = CLEAN.filter(lambda text: text.strip(" \t\r\n") != "")
ROWS = st.lists(st.dictionaries(NAMES, SAID, min_size=1, max_size=4), min_size=1, max_size=4)
LOGS = st.dictionaries(NAMES, SAID, min_size=1, max_size=4)


@given(LOGS, ROWS, LOGS, ROWS)
def test_what_is_written_is_read_back(one: Tree, rows: list[Tree], other: Tree, changed: list[Tree]) -> None:
    """Texts and rows written anew, or on an earlier record, read back as they were; writing again changes no byte."""
    first: Tree = {"Logg": {**one, "Tiltak": {"Rad": rows}}}
    data = XML.encode(first, None)
    assert same(XML.decode(data), first)
    said: Tree = {"Logg": {**other, "Tiltak": {"Rad": changed}}}
    written = XML.encode(said, data)
    assert same(XML.decode(written), {"Logg": {**one, **other, "Tiltak": {"Rad": changed}}})
    assert XML.encode(said, written) == written


@given(st.permutations(range(6)), st.integers(0, 6))
def test_rows_take_the_order_they_are_given(order: list[int], kept: int) -> None:
    """Rows that moved, went and came stand in the order of the list, each with what was foreign in it."""
    rows = "".join(f"<Rad><Id>{n}</Id><x:S xmlns:x='u'>{n}</x:S></Rad>" for n in range(6))
    data = f'<Logg xmlns="urn:logg"><Tiltak>{rows}</Tiltak></Logg>'.encode()
    said: list[Tree] = [{"Id": str(n)} for n in order[:kept]]
    written = XML.encode({"Logg": {"Tiltak": {"Rad": said}}}, data)
    held = XML.decode(written)["Logg"]
    assert held == ({"Tiltak": {"Rad": said}} if said else {"Tiltak": None})
    assert all(f'<Id>{n}</Id><x:S xmlns:x="u">{n}</x:S>'.encode() in written for n in order[:kept])


PARTS = XmlPayload({"known_by": {"/Post/Del": "/Innhald/Logg"}, "order": {"/Post": ["Hovud", "Del", "Fot"]}})


@pytest.mark.parametrize(
    "others", [("", ""), ("", "<Del><Innhald/></Del>"), ("<Del>a</Del><Del/>", ""), ("<Del/>", "<Del>b</Del>")]
)
def test_the_one_of_several_that_is_known_by_what_it_holds(others: tuple[str, str]) -> None:
    """Whatever stands beside it, that one alone is in the tree and is written, and the others stay."""
    text = f"<Post>{others[0]}<Del><Innhald><Logg>A</Logg></Innhald></Del>{others[1]}</Post>"
    assert PARTS.decode(text.encode()) == {"Post": {"Del": {"Innhald": {"Logg": "A"}}}}
    said: Tree = {"Post": {"Del": {"@id": "1", "Innhald": {"Logg": "B"}}}}
    assert PARTS.encode(said, text.encode()).decode() == text.replace(
        "<Del><Innhald><Logg>A", '<Del id="1"><Innhald><Logg>B'
    )
    gone = PARTS.encode({"Post": {"Del": None}}, text.encode()).decode()
    assert etree.canonicalize(gone) == etree.canonicalize(f"<Post>{others[0]}{others[1]}</Post>")


def test_a_known_element_is_made_beside_the_others_and_never_without_its_mark() -> None:
    """It is added where none of the others is it; two of it are refused, and one that nothing is known by."""
    data = b"<Post><Del>a</Del><Fot/></Post>"
    said: Tree = {"Post": {"Del": {"Innhald": {"Logg": "B"}}}}
    new = b"<Del><Innhald><Logg>B</Logg></Innhald></Del>"
    assert PARTS.encode(said, data) == data.replace(b"<Fot/>", new + b"<Fot/>")
    with pytest.raises(PayloadError, match=r"^/Post/Del: an element that repeats\. "):
        PARTS.decode(b"<Post>" + 2 * new + b"</Post>")
    with pytest.raises(PayloadError, match=r"^/Post/Del: an element without what it is known by\. "):
        PARTS.encode({"Post": {"Del": {"@id": "1"}}}, data)


def test_a_letter_the_encoding_lacks_becomes_a_reference() -> None:
    """A Sámi name in a Latin-1 document survives as character references."""
    data = '<?xml version="1.0" encoding="ISO-8859-1"?>\n<Logg xmlns="urn:logg"><Namn>Ås</Namn></Logg>'.encode(
        "latin-1"
    )
    written = XML.encode({"Logg": {"Namn": "Áŋŋel"}}, data)
    assert b"&#331;" in written
    assert XML.decode(written) == {"Logg": {"Namn": "Áŋŋel"}}


def test_nil_is_nothing_and_is_lifted() -> None:
    """An element marked nil reads as nothing, and loses the mark when a text is written."""
    data = b'<Logg xmlns="urn:logg" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><Frist i:nil="true"/></Logg>'
    assert XML.decode(data) == {"Logg": {"Frist": None}}
    assert b"<Frist>1</Frist>" in XML.encode({"Logg": {"Frist": "1"}}, data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'<!DOCTYPE a><Logg xmlns="urn:logg"/>', "dtd"),
        (b'<?xml version="1.0"?><!-- x --><!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', "dtd"),
        ('<?xml version="1.0"?><!DOCTYPE a><a/>'.encode("utf-16"), "dtd"),
        (b'<Logg xmlns="urn:logg">&e;</Logg>', "syntax"),
        (b'<Logg xmlns="urn:logg">', "syntax"),
        (b"<!-- no end", "syntax"),
        (b"<Logg/>", "name"),
        (b'<Logg xmlns="urn:logg"><A/><A/></Logg>', "duplicate"),
        (b'<?xml version="1.0" encoding="UTF-7"?><a/>', "encoding"),
        (b'<?xml version="1.0" encoding="UTF-8"?><a>\xe6</a>', "encoding"),
        (b"<a>" * 65 + b"</a>" * 65, "depth"),
        (b"<a>" + b"<b/>" * 200_000 + b"</a>", "count"),
    ],
)
def test_what_is_refused(data: bytes, code: str) -> None:
    """Types, entities, unusual encodings, repeated elements that aren't lists and monsters are refused by kind."""
    with pytest.raises(PayloadError) as caught:
        XML.decode(data)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("tree", "code", "place"),
    [
        ({"Logg": {"Namn": "a\x07"}}, "character", "/Logg/Namn"),
        ({"Logg": {"@id": "\x00"}}, "character", "/Logg/@id"),
        ({"Logg": {"q:Namn": "a"}}, "name", "/Logg/q:Namn"),
        ({"Logg": {"a b": "a"}}, "name", "/Logg/a b"),
        ({"Logg": {"Namn": ["a"]}}, "shape", "/Logg/Namn"),
        ({"Logg": {"@id": {"a": "b"}}}, "shape", "/Logg/@id"),
        ({"Logg": {"Tiltak": {"Rad": "a"}}}, "shape", "/Logg/Tiltak/Rad"),
        ({"Anna": {}}, "shape", "/Anna"),
    ],
)
def test_what_cannot_be_written(tree: Tree, code: str, place: str) -> None:
    """What XML or the record's shape can't hold is refused with its place."""
    with pytest.raises(PayloadError) as caught:
        XML.encode(tree, b'<Logg xmlns="urn:logg"/>')
    assert (caught.value.code, caught.value.place) == (code, place)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"list": []}, ("list",)),
        ({"lists": ["Logg/Rad"]}, ("lists",)),
        ({"lists": "Logg"}, ("lists",)),
        ({"namespaces": {"a": "u", "b": "u"}}, ("namespaces", "b")),
        ({"order": {"/Logg": "Barn"}}, ("order", "/Logg")),
        ({"known_by": {"/Logg/Del": "Rad"}}, ("known_by", "/Logg/Del")),
        ({"known_by": {"/Logg/Del": "/q:Rad"}}, ("known_by", "/Logg/Del")),
        ({"known_by": {"/Logg/Del": "/Rad"}, "lists": ["/Logg/Del"]}, ("known_by", "/Logg/Del")),
        ({"known_by": {"Logg": "/Rad"}}, ("known_by",)),
        ({"limits": {"size": "mye"}}, ("limits", "size")),
        ({"limits": {"storleik": "1"}}, ("limits", "storleik")),
    ],
)
def test_wrong_options_name_their_place(options: dict[str, object], path: tuple[str, ...]) -> None:
    """An option that can't be is refused with the keys that lead to it."""
    with pytest.raises(OptionsError) as caught:
        XmlPayload(options)
    assert caught.value.path == path
