"""Broken and hostile inputs made from good ones; the same seed gives the same inputs, to meet a failure again.

Serves every test that feeds bytes from outside into something.
"""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Callable, Iterator

_WORDS = (
    b"<!DOCTYPE a>",
    b"\x00",
    b"\xff\xfe",
    b'"',
    b"]]>",
    b"\r\n",
    b";",
    b"{",
    b"}",
    b"9" * 400,
    b"&#0;",
    b"\xed\xa0\x80",
)
_TAG = re.compile(rb"<[^<>]{1,200}>")


def mutations(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Yield `count` inputs made from `data`: one in ten a known bomb, the rest changed one to four times."""
    chance = random.Random(seed)  # noqa: S311 - repeatable is the point
    known = list(bombs().values())
    for _ in range(count):
        if chance.random() < 0.1:
            yield chance.choice(known)
            continue
        made = data
        for _ in range(chance.randint(1, 4)):
            made = chance.choice(_kinds(made))(made, chance)
        yield made


def bombs() -> dict[str, bytes]:
    """Return the inputs that are known to bring readers down, or to make them fetch something."""
    many = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))
    head = b'<?xml version="1.0"?>'
    return {
        "billion laughs": head + b'<!DOCTYPE a [<!ENTITY e0 "ha">' + many + b"]><a>&e9;</a>",
        "quadratic blowup": head + b'<!DOCTYPE a [<!ENTITY e "' + b"x" * 50_000 + b'">]><a>' + b"&e;" * 5_000 + b"</a>",
        "entity to a file": head + b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><a>&e;</a>',
        "entity to a page": head + b'<!DOCTYPE a [<!ENTITY e SYSTEM "http://127.0.0.1:9/e">]><a>&e;</a>',
        "type from a page": head + b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
        "parameter entity": head + b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p">%p;]><a/>',
        "include": b'<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="file:///etc/hostname"/></a>',
        "deep xml": b"<a>" * 100_000 + b"</a>" * 100_000,
        "wide xml": b"<a>" + b"<b/>" * 1_000_000 + b"</a>",
        "many attributes": b"<a " + b" ".join(b'b%d=""' % n for n in range(250_000)) + b"/>",
        "deep json": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "deep list": b"[" * 100_000,
        "wide json": b'{"a":[' + b"0," * 2_000_000 + b"0]}",
        "long number": b'{"a":' + b"9" * 1_000_000 + b"}",
        "many commas": b"a;b\r\n" + b";" * 1_000_000,
        "many columns": b";".join(b"c%d" % n for n in range(500_000)),
        "long cell": b'a;b\r\n"' + b"x" * 5_000_000,
        "zip bomb": _zipped({"logg.csv": b"0" * 50_000_000}),
        "zip of many": _zipped({f"{n}.csv": b"" for n in range(5_000)}),
        "zip in zip": _zipped({"logg.csv": _zipped({"logg.csv": b"a;b"})}),
        "zip that climbs": _zipped({"../../logg.csv": b"LoggID\r\n1\r\n", "/logg.csv": b"LoggID\r\n1\r\n"}),
        "pdf that loops": b"%PDF-1.7\n1 0 obj<</Type/Catalog/AcroForm 1 0 R/Fields 1 0 R/Kids[1 0 R]>>endobj\n"
        b"trailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF",
        "pdf of brackets": b"%PDF-1.7\n1 0 obj" + b"[" * 100_000,
        "pdf of objects": b"%PDF-1.7\n" + b"".join(b"%d 0 obj<<>>endobj\n" % n for n in range(20_000)),
    }


def _kinds(data: bytes) -> list[Callable[[bytes, random.Random], bytes]]:
    kinds: list[Callable[[bytes, random.Random], bytes]] = [_flip, _cut, _double, _splice, _insert, _number]
    if data.startswith(b"PK"):
        kinds += [_inside_zip] * 6
    if _TAG.search(data[:2_000]):
        kinds += [_tags] * 4
    return kinds


def _place(data: bytes, chance: random.Random) -> int:
    return chance.randrange(len(data)) if data else 0


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8) if data else 0):
        changed[_place(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: _place(data, chance)]


def _double(data: bytes, chance: random.Random) -> bytes:
    start = _place(data, chance)
    return data[:start] + data[start : start + chance.randint(1, 500)] * chance.randint(2, 50) + data[start:]


def _splice(data: bytes, chance: random.Random) -> bytes:
    start, end = sorted((_place(data, chance), _place(data, chance)))
    to = _place(data, chance)
    return data[:to] + data[start : min(end, start + 2_000)] + data[to:]


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = _place(data, chance)
    return data[:at] + chance.choice(_WORDS) + data[at:]


def _number(data: bytes, chance: random.Random) -> bytes:
    """Put another number in place of one, which is how lengths and counts begin to lie."""
    found = list(re.finditer(rb"\d{1,9}", data[:200_000]))
    if not found:
        return data
    one = chance.choice(found)
    return data[: one.start()] + chance.choice((b"0", b"-1", b"65536", b"99999999999999999999")) + data[one.end() :]


def _tags(data: bytes, chance: random.Random) -> bytes:
    """Take out, repeat or nest an element, or put a document type before the root."""
    found = list(_TAG.finditer(data[:200_000]))
    if not found:
        return data
    one = chance.choice(found)
    choice = chance.randrange(4)
    if choice == 0:
        return data[: one.start()] + data[one.end() :]
    if choice == 1:
        return data[: one.end()] + one[0] * chance.randint(1, 100) + data[one.end() :]
    if choice == 2:
        end = data.find(b">", _place(data, chance)) + 1
        return data[: one.start()] + data[one.start() : end] * 3 + data[end:]
    return data[: found[0].end()] + b'<!DOCTYPE a [<!ENTITY e "&e;">]>' + data[found[0].end() :]


def _inside_zip(data: bytes, chance: random.Random) -> bytes:
    """Change one file of a zip, and pack it again so that the zip itself is sound."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # noqa: BLE001 - an earlier change broke the zip: change its bytes instead
        return _flip(data, chance)
    if not files:
        return data
    name = chance.choice(sorted(files))
    content = files[name]
    kinds = [kind for kind in _kinds(content) if kind is not _inside_zip]
    files[name] = chance.choice(kinds)(content, chance)
    if chance.random() < 0.1:
        files[f"word/{chance.choice(('vbaProject.bin', 'embeddings/oleObject1.bin', '../x.xml'))}"] = content
    return _zipped(files)


def _zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
