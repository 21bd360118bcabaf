"""Zip files from strangers are refused before they unpack to anything that could harm."""

from __future__ import annotations

import io
import zipfile

import pytest

from hub.payloads.base import Limits, PayloadError
from hub.payloads.zips import pack, repack, unpack


def _zip(name: str, content: bytes = b"x", *, method: int = zipfile.ZIP_DEFLATED, attributes: int = 0) -> bytes:
    packed = io.BytesIO()
    entry = zipfile.ZipInfo(name)
    entry.external_attr = attributes << 16
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(entry, content, method)
    return packed.getvalue()


def _encrypted() -> bytes:
    data = bytearray(_zip("a"))
    for sign, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(sign) + at] |= 1
    return bytes(data)


def test_files_come_out_as_they_went_in() -> None:
    """What is packed is unpacked, and the same files make the same bytes."""
    files = {"b.csv": b"1", "mappe/a.csv": b""}
    assert unpack(pack(files), Limits()) == files
    assert pack(files) == pack(files)


def test_repacking_keeps_what_is_not_changed() -> None:
    """Names, order, dates, the comment and other files stay when one file changes."""
    data = pack({"a": b"1", "b": b"2"}, b"x")
    changed = repack(data, {"b": b"3", "c": b"4"})
    assert unpack(changed, Limits()) == {"a": b"1", "b": b"3", "c": b"4"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"PK\x03\x04", "zip"),
        (b"not a zip", "zip"),
        (_zip("../a"), "zip"),
        (_zip("/a"), "zip"),
        (_zip("a\\b"), "zip"),
        (_zip("C:/a"), "zip"),
        (_zip("a", attributes=0o120777), "zip"),
        (_zip("a", method=zipfile.ZIP_LZMA), "zip"),
        (_zip("a", pack({"b": b"x"})), "zip"),
        (_encrypted(), "encrypted"),
        (_zip("a", b"0" * 3 * 2**20), "size"),
        (pack({str(number): bytes([number]) * 2_000 for number in range(9)}), "size"),
        (pack({str(number): b"" for number in range(11)}), "count"),
    ],
)
def test_what_is_refused(data: bytes, code: str) -> None:
    """Broken and encrypted files, odd paths, links, inner zips, rare packing, bombs and crowds are refused."""
    with pytest.raises(PayloadError) as caught:
        unpack(data, Limits(unpacked=4 * 2**20 if len(data) > 2_500 else 17_000, entries=10))
    assert caught.value.code == code
