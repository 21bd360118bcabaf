"""A BagIt 1.0 bag (RFC 8493) as plain values: which files it consists of, and whether a folder still is one.

Written here and not by a library, since the bag must be made in memory, without a clock, and be the same each time.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

ALGORITHMS = ("sha256", "sha512")
_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


def make_bag(payload: Mapping[str, bytes], info: Mapping[str, str]) -> dict[str, bytes]:
    """Return every file of a bag by its path in it, in the order to write them.

    `payload` is by path below `data/`; `info` are the lines of bag-info.txt, to which Payload-Oxum is added. Values
    of `info` are one line each.
    """
    data = {f"data/{name}": content for name, content in payload.items()}
    oxum = f"{sum(map(len, data.values()))}.{len(data)}"
    tags = {"bagit.txt": _DECLARATION, "bag-info.txt": _info({**info, "Payload-Oxum": oxum})}
    tags |= {f"manifest-{algorithm}.txt": _manifest(algorithm, data) for algorithm in ALGORITHMS}
    top = {f"tagmanifest-{algorithm}.txt": _manifest(algorithm, tags) for algorithm in ALGORITHMS}
    return {**data, **tags, **top}


def read_info(folder: Path) -> dict[str, str]:
    """Return the lines of a bag's bag-info.txt. Raises OSError."""
    lines = (folder / "bag-info.txt").read_text("utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def is_whole(folder: Path) -> bool:
    """Say whether a folder holds every file that its manifests list, unchanged, and no other. Raises OSError."""
    listed: dict[str, dict[str, str]] = {}
    for algorithm in ALGORITHMS:
        sums = _listed(folder / f"manifest-{algorithm}.txt") | _listed(folder / f"tagmanifest-{algorithm}.txt")
        listed[algorithm] = sums
        if any(_sum(algorithm, folder / name) != expected for name, expected in sums.items()):
            return False
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    tag_manifests = {f"tagmanifest-{algorithm}.txt" for algorithm in ALGORITHMS}
    return all({*sums, *tag_manifests} == present for sums in listed.values())


def _info(info: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\n" for name, value in info.items()).encode()


def _manifest(algorithm: str, files: Mapping[str, bytes]) -> bytes:
    return "".join(
        f"{hashlib.new(algorithm, content).hexdigest()}  {name}\n" for name, content in sorted(files.items())
    ).encode()


def _listed(manifest: Path) -> dict[str, str]:
    if not manifest.is_file():
        return {}
    pairs = (line.partition("  ") for line in manifest.read_text("utf-8", errors="replace").splitlines())
    return {name: expected for expected, _, name in pairs}


def _sum(algorithm: str, path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
