"""Sets of CSV files: one record a key with the rows below it, and writing that leaves every other row as it stood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.payloads.base import Limits, PayloadError, Tree, same
from hub.payloads.csv import CsvPayload
from hub.payloads.options import OptionsError
from hub.payloads.zips import pack, unpack
from tests.payloads.texts import TEXTS

FILES: dict[str, object] = {
    "logg": {"key": "LoggID"},
    "tiltak": {"key": "TiltakID", "parent": "logg/LoggID"},
    "vurdering": {"parent": "tiltak/TiltakID"},
}
CSV = CsvPayload({"files": FILES})
LOGG = 'LoggID;Namn;"Merknad, fri"\r\n1;Solskinn Testbarn;"a;b"\r\n2;"Regn ""R"" Testbarn";\r\n\r\n'
TILTAK = "TiltakID;LoggID;Tekst\r\nT1;1;Lek\r\nT2;2;Samtale\r\nT3;1;Møte\r\n"
VURDERING = 'TiltakID;Tekst\r\nT3;"Godt\r\nheilt"\r\nT1;Noko\r\n'
SET = {
    "eksport/logg.csv": LOGG.encode(),
    "eksport/tiltak.csv": TILTAK.encode(),
    "eksport/vurdering.csv": VURDERING.encode(),
}
RECORDS: list[tuple[str, Tree]] = [
    ("1", {"logg": {
        "LoggID": "1", "Namn": "Solskinn Testbarn", "Merknad, fri": "a;b",
        "tiltak": [
            {"TiltakID": "T1", "LoggID": "1", "Tekst": "Lek", "vurdering": [{"TiltakID": "T1", "Tekst": "Noko"}]},
            {"TiltakID": "T3", "LoggID": "1", "Tekst": "Møte",
             "vurdering": [{"TiltakID": "T3", "Tekst": "Godt\r\nheilt"}]},
        ],
    }}),
    ("2", {"logg": {
        "LoggID": "2", "Namn": 'Regn "R" Testbarn', "Merknad, fri": None,
        "tiltak": [{"TiltakID": "T2", "LoggID": "2", "Tekst": "Samtale", "vurdering": []}],
    }}),
]  # fmt: skip


def _texts(data: bytes) -> dict[str, str]:
    return {name.rpartition("/")[2]: content.decode() for name, content in unpack(data, Limits()).items()}


def test_a_set_is_read_as_records() -> None:
    """Rows stand under the record, and under the row, that their keys name."""
    assert CSV.decode_set(pack(SET)) == RECORDS


def test_a_set_is_read_as_rows() -> None:
    """All rows of each file are read in order, empty cells as nothing."""
    assert CSV.decode(pack(SET))["vurdering"] == [
        {"TiltakID": "T3", "Tekst": "Godt\r\nheilt"},
        {"TiltakID": "T1", "Tekst": "Noko"},
    ]


def test_an_unchanged_set_changes_no_byte() -> None:
    """Writing what was read gives the same bytes, as rows and as records."""
    data = pack({**SET, "les-meg.txt": b"hei"})
    assert CSV.encode(CSV.decode(data), data) == data
    assert CSV.encode_set(RECORDS, data) == data


def test_only_changed_rows_are_written() -> None:
    """A changed, a new and a removed row are written in the file's style; all others stay as they stood."""
    rows = [{"TiltakID": "T3", "Tekst": "Møte;\nny"}, {"TiltakID": "T4", "Tekst": "Ny", "vurdering": [{"Tekst": "x"}]}]
    written = _texts(CSV.encode_set([("1", {"logg": {"tiltak": rows}})], pack(SET)))
    assert written["logg.csv"] == LOGG
    assert written["tiltak.csv"] == 'TiltakID;LoggID;Tekst\r\nT2;2;Samtale\r\nT3;1;"Møte;\nny"\r\nT4;1;Ny\r\n'
    assert written["vurdering.csv"] == 'TiltakID;Tekst\r\nT3;"Godt\r\nheilt"\r\nT4;x\r\n'


def test_a_moved_row_keeps_the_rows_below_it() -> None:
    """A row that moves to another record takes its own rows with it, whichever record is written first."""
    moved = [*RECORDS[1][1]["logg"]["tiltak"], RECORDS[0][1]["logg"]["tiltak"][1]]  # type: ignore[index]
    said: list[tuple[str, Tree]] = [("2", {"logg": {"tiltak": moved}}), ("1", {"logg": {"tiltak": []}})]
    for order in (said, said[::-1]):
        written = CSV.encode_set(order, pack(SET))
        held = dict(CSV.decode_set(written))
        assert [row["vurdering"] for row in held["2"]["logg"]["tiltak"]] == [  # type: ignore[index]
            [], [{"TiltakID": "T3", "Tekst": "Godt\r\nheilt"}]
        ]  # fmt: skip
        assert held["1"]["logg"]["tiltak"] == []  # type: ignore[index]


def test_a_set_is_split_into_one_set_a_record() -> None:
    """Each has its own rows as they stood, under the set's names and headers, and reads as its record in the set."""
    parts = CSV.split(pack({**SET, "les-meg.txt": b"hei"}))
    assert [CSV.decode_set(own) for own in parts] == [[record] for record in RECORDS]
    assert {name: content.decode() for name, content in unpack(parts[1], Limits()).items()} == {
        "eksport/logg.csv": 'LoggID;Namn;"Merknad, fri"\r\n2;"Regn ""R"" Testbarn";\r\n',
        "eksport/tiltak.csv": "TiltakID;LoggID;Tekst\r\nT2;2;Samtale\r\n",
        "eksport/vurdering.csv": "TiltakID;Tekst\r\n",
    }


def test_a_set_of_one_record_is_its_own() -> None:
    """Not a byte changes, and what lies beside the files stays; a set of none splits into none."""
    data = pack({"logg.csv": b"LoggID\r\n1\r\n\r\n", "les-meg.txt": b"hei"})
    assert CSV.split(data) == [data]
    assert CSV.split(pack({"logg.csv": b"LoggID\r\n"})) == []


def test_the_encoding_stays_where_nothing_shows_it() -> None:
    """A record of plain ASCII from a set in Windows-1252 is written in it, also after its only odd letter went."""
    data = pack({"logg.csv": "LoggID;Namn\r\n1;Ås\r\n2;Nes\r\n".encode("cp1252")})
    for key, own in zip("12", CSV.split(data), strict=True):
        plain = CSV.encode_set([(key, {"logg": {"Namn": "Vik"}})], own)
        assert unpack(plain, Limits())["logg.csv"] == f"LoggID;Namn\r\n{key};Vik\r\n".encode()
        odd = CSV.encode_set([(key, {"logg": {"Namn": "Bø"}})], plain)
        assert unpack(odd, Limits())["logg.csv"] == f"LoggID;Namn\r\n{key};Bø\r\n".encode("cp1252")


def test_nothing_in_a_column_that_is_not_there_is_nothing() -> None:
    """A place that the set lacks may be emptied; only a value needs a column."""
    data = pack(SET)
    assert CSV.encode_set([("1", {"logg": {"Anna": None}})], data) == data


def test_a_new_record_is_added() -> None:
    """A record whose key the set doesn't have becomes a row at the end, with its rows."""
    said: Tree = {"logg": {"Namn": "Vind Testbarn", "tiltak": [{"TiltakID": "T9", "Tekst": "Tur"}]}}
    written = _texts(CSV.encode_set([("9", said)], pack({**SET, "eksport/logg.csv": LOGG.strip().encode()})))
    assert written["logg.csv"] == LOGG.strip() + "\r\n9;Vind Testbarn;\r\n"
    assert written["tiltak.csv"] == TILTAK + "T9;9;Tur\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("line", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_the_style_of_files_is_found_and_kept(encoding: str, line: str, delimiter: str) -> None:
    """Encoding, line ends, delimiter and quotes are found in the files, and used for what is written."""
    texts = {"logg.csv": '"LoggID";"Namn"\n"1";"Ås"\n', "tiltak.csv": "TiltakID;LoggID;Tekst\nT1;1;aa\n"}
    styled = {name: text.replace("\n", line).replace(";", delimiter) for name, text in texts.items()}
    data = pack({name: text.encode(encoding) for name, text in styled.items()})
    assert CSV.decode(data)["logg"] == [{"LoggID": "1", "Namn": "Ås"}]
    written = CSV.encode({"logg": [{"LoggID": "1", "Namn": "Ås"}, {"LoggID": "2", "Namn": "Bø"}]}, data)
    expected = styled["logg.csv"] + f'"2"{delimiter}"Bø"{line}'
    assert unpack(written, Limits())["logg.csv"] == expected.encode(encoding)
    with_more = CSV.encode({"tiltak": [{"TiltakID": "T1", "LoggID": "1", "Tekst": "å"}]}, data)
    assert unpack(with_more, Limits())["tiltak.csv"].endswith(
        f"T1{delimiter}1{delimiter}å{line}".encode(encoding.removesuffix("-sig"))
    )


def test_a_letter_the_encoding_lacks_is_refused() -> None:
    """A Sámi name that Windows-1252 can't hold is refused by file and line, never written as something else."""
    data = pack({"logg.csv": "LoggID;Namn\r\n1;Ås\r\n".encode("cp1252")})
    with pytest.raises(PayloadError) as caught:
        CSV.encode({"logg": [{"LoggID": "1", "Namn": "Áŋŋel"}]}, data)
    assert (caught.value.code, caught.value.place) == ("character", "logg.csv:2")


CELLS = st.none() | TEXTS.filter(bool)
ROWS = st.lists(st.fixed_dictionaries({"Namn": CELLS, "Tekst": CELLS}), min_size=1, max_size=4)


@given(ROWS, ROWS, st.sampled_from(["semicolon", "comma", "tab"]), st.sampled_from(["utf-8", "utf-8-sig"]))
def test_what_is_written_is_read_back(rows: list[Tree], changed: list[Tree], delimiter: str, encoding: str) -> None:
    """Any texts, with quotes, delimiters, line ends and controls, read back as they were, on new and earlier sets."""
    one = CsvPayload({"files": {"logg": {"key": "LoggID"}}, "delimiter": delimiter, "encoding": encoding})
    first: Tree = {"logg": [{"LoggID": str(number), **row} for number, row in enumerate(rows)]}
    data = one.encode(first, None)
    assert same(one.decode(data), first)
    said: Tree = {"logg": [{"LoggID": str(number), **row} for number, row in enumerate(changed)]}
    written = one.encode(said, data)
    assert same(one.decode(written), said)
    assert one.encode(said, written) == written


@given(ROWS, st.lists(st.integers(0, 3), max_size=6), st.sampled_from(["utf-8", "utf-8-sig"]))
def test_a_split_set_reads_as_the_whole(rows: list[Tree], owners: list[int], encoding: str) -> None:
    """Whatever the texts are and whichever record a row hangs on, the parts hold its records in order."""
    one = CsvPayload({"files": FILES, "encoding": encoding})
    logs = [{"LoggID": str(number), **row} for number, row in enumerate(rows)]
    measures = [
        {"TiltakID": f"T{number}", "LoggID": str(owner % len(rows)), **rows[owner % len(rows)]}
        for number, owner in enumerate(owners)
    ]
    data = one.encode({"logg": logs, "tiltak": measures}, None)
    assert [record for own in one.split(data) for record in one.decode_set(own)] == one.decode_set(data)


@pytest.mark.parametrize(
    ("file", "text", "code", "place"),
    [
        ("logg.csv", "", "header", "logg.csv:1"),
        ("logg.csv", "LoggID;;Namn\r\n", "header", "logg.csv:1"),
        ("logg.csv", "LoggID;Namn;Namn\r\n", "header", "logg.csv:1"),
        ("logg.csv", "ID;Namn\r\n", "header", "logg.csv:1"),
        ("logg.csv", "LoggID;Namn\r\n1;a\r\n2;b;c\r\n", "row", "logg.csv:3"),
        ("logg.csv", 'LoggID;Namn\r\n1;"a"b\r\n', "row", "logg.csv:2"),
        ("logg.csv", 'LoggID;Namn\r\n1;"a\r\n', "row", "logg.csv:2"),
        ("logg.csv", "LoggID;Namn\r\n1;a\r\n\r\n1;b\r\n", "duplicate", "logg.csv:4"),
        ("logg.csv", "LoggID;Namn\r\n;a\r\n", "key", "logg.csv:2"),
        ("logg.csv", "LoggID;tiltak\r\n1;a\r\n2;b\r\n", "header", "logg:1"),
        ("tiltak.csv", "TiltakID;LoggID;Tekst\r\nT1;7;a\r\n", "key", "tiltak.csv:2"),
        ("sub/logg.csv", "LoggID\r\n", "duplicate", "logg"),
    ],
)
def test_what_is_refused(file: str, text: str, code: str, place: str) -> None:
    """Headers, ragged rows, quotes and keys that can't be are refused by file and row."""
    loose = {name.rpartition("/")[2]: content for name, content in SET.items()}
    del loose["vurdering.csv"]
    with pytest.raises(PayloadError) as caught:
        CSV.decode_set(pack({**loose, file: text.encode()}))
    assert (caught.value.code, caught.value.place) == (code, place)


def test_a_missing_file_of_children_is_empty_and_the_records_file_is_needed() -> None:
    """A set may lack a file of children, but not the file of records."""
    assert CSV.decode_set(pack({"logg.csv": b"LoggID\r\n1\r\n"})) == [("1", {"logg": {"LoggID": "1", "tiltak": []}})]
    with pytest.raises(PayloadError, match=r"^logg\.csv: this file is missing\. "):
        CSV.decode(pack({"tiltak.csv": TILTAK.encode()}))


def test_a_column_the_file_lacks_is_refused() -> None:
    """A value for a column that the file doesn't have is never dropped silently."""
    with pytest.raises(PayloadError) as caught:
        CSV.encode_set([("1", {"logg": {"Anna": "x"}})], pack(SET))
    assert (caught.value.code, caught.value.place) == ("header", "/logg/0/Anna")


@pytest.mark.parametrize(
    ("files", "path"),
    [
        ({}, ("files",)),
        ({"logg": {}}, ("files",)),
        ({"logg": {"key": "A"}, "b": {"key": "B"}}, ("files",)),
        ({"logg": {"key": "A"}, "b": {"parent": "c/A"}}, ("files", "b", "parent")),
        ({"logg": {"key": "A"}, "b": {"parent": "logg"}}, ("files", "b", "parent")),
        ({"logg": {"key": "A"}, "b": {"key": "B", "parent": "b/A"}}, ("files", "b", "parent")),
        ({"logg": {"nykel": "A"}}, ("files", "logg", "nykel")),
    ],
)
def test_wrong_options_name_their_place(files: dict[str, object], path: tuple[str, ...]) -> None:
    """Files that don't hang together are refused with the keys that lead to them."""
    with pytest.raises(OptionsError) as caught:
        CsvPayload({"files": files})
    assert caught.value.path == path
