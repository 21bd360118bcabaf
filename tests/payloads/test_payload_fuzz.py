"""Whatever comes in ends as a tree or as a PayloadError: soon, and without a look at the network."""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import pytest

from hub.payloads.base import Payload, PayloadError, Tree
from hub.payloads.registry import payload
from hub.payloads.zips import pack
from tests.payloads.forms import pdf_form, word_form
from tests.payloads.mutate import bombs, mutations

SECRET = "Solskinn Testbarn"
JSON = f'{{\n  "namn": "{SECRET}",\n  "tiltak": [{{"id": 1, "frist": null}}, {{"tekst": "æøå č"}}]\n}}\n'.encode()
XML = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n<Logg v="1"><!-- x --><Namn>{SECRET}</Namn>'
    "<Tiltak><Rad><Id>1</Id></Rad><Rad><Id>2</Id><Tekst><![CDATA[a<b]]></Tekst></Rad></Tiltak></Logg>\n"
).encode()
CSV = {
    "logg.csv": f"LoggID;Namn\r\n1;{SECRET}\r\n2;\r\n".encode(),
    "tiltak.csv": b'TiltakID;LoggID;Tekst\r\n1;1;"a;b"\r\n2;1;\r\n',
}
GOOD: dict[str, tuple[dict[str, object], bytes]] = {
    "json": ({}, JSON),
    "xml": ({"lists": ["/Logg/Tiltak/Rad"]}, XML),
    "csv": ({"files": {"logg": {"key": "LoggID"}, "tiltak": {"key": "TiltakID", "parent": "logg/LoggID"}}}, pack(CSV)),
    "docx": ({}, word_form()),
    "pdf": ({}, pdf_form({"namn": SECRET})),
}


@contextmanager
def _no_network() -> Iterator[None]:
    """Make every connection fail loudly, however it is made from Python."""

    def refused(*_: object, **__: object) -> NoReturn:
        raise AssertionError("something looked at the network")

    names = ("connect", "connect_ex", "sendto")
    kept = {name: getattr(socket.socket, name) for name in names}
    found, socket.getaddrinfo = socket.getaddrinfo, refused
    try:
        for name in names:
            setattr(socket.socket, name, refused)
        yield
    finally:
        socket.getaddrinfo = found
        for name, method in kept.items():
            setattr(socket.socket, name, method)


def _try(kind: str, one: Payload, data: bytes) -> str:
    """Decode, write back what could be decoded, unchanged and changed; say how it ended."""
    begun = time.process_time()
    tree: Tree | None = None
    refused: PayloadError | None = None
    try:
        tree = one.decode(data)
    except PayloadError as error:
        refused = error
    assert time.process_time() - begun < 1, f"{kind} took too long"
    if refused:
        assert SECRET not in str(refused)
        assert refused.remedy
        return refused.code
    assert tree is not None
    assert one.encode(tree, data) == data
    with suppress(PayloadError):
        assert one.encode({name: _longer(value) for name, value in tree.items()}, data)
    return "tree"


def _longer(value: object) -> object:
    """Change every text in a tree, and add a row to every list."""
    if isinstance(value, dict):
        return {name: _longer(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_longer(inner) for inner in [*value, *value[:1]]]
    return f"{value}1" if isinstance(value, str) else value


def _run(kind: str, count: int) -> set[str]:
    options, good = GOOD[kind]
    one = payload(kind, options)
    with _no_network():
        return {_try(kind, one, made) for made in mutations(good, zlib.crc32(kind.encode()), count)}


@pytest.mark.parametrize("kind", GOOD)
def test_broken_input_ends_as_tree_or_error(kind: str) -> None:
    """Eighty changed inputs a format end as a tree that writes back to itself, or as an error that tells no values."""
    assert len(_run(kind, 80)) > 1


@pytest.mark.long
@pytest.mark.parametrize("kind", GOOD)
def test_much_broken_input_ends_as_tree_or_error(kind: str) -> None:
    """The same holds for two thousand changed inputs a format, ten thousand in all."""
    assert len(_run(kind, 2_000)) > 2


@pytest.mark.parametrize("kind", GOOD)
def test_known_bombs_are_refused(kind: str) -> None:
    """No known bomb is read by any format, and none takes a second."""
    one = payload(kind, GOOD[kind][0])
    harmless = {"xml": {"include", "many attributes"}}
    with _no_network():
        ended = {name: _try(kind, one, bomb) for name, bomb in bombs().items()}
    assert {name for name, how in ended.items() if how == "tree"} <= harmless.get(kind, set())
