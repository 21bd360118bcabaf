"""Mappings: the language, the templates that ship with the hub, and what a municipality changes in them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from hub.mappings.language import CodeList, FileText, Mapping, load_mapping, read_codelist
from hub.payloads.yamlfile import FileError, Mark

_HERE = Path(__file__).parent
_TEMPLATES = _HERE / "templates"
_CODELISTS = "codelists"


def shipped() -> dict[str, Path]:
    """Return the files of the shipped mappings by their id; `vigilo-stafettlogg.yaml` holds `vigilo/stafettlogg`."""
    return {path.stem.replace("-", "/", 1): path for path in sorted(_TEMPLATES.glob("*.yaml"))}


def load_shipped(mapping: str) -> Mapping:
    """Read a shipped mapping. Raises KeyError for an id that isn't shipped."""
    path = shipped()[mapping]
    return load_mapping(_text(path), path.name, samples=path.parent, lists=codelists(None))


def codelists(folder: Path | None) -> tuple[CodeList, ...]:
    """Read the shared code lists, every version: the shipped ones, and those in a municipality's `codelists/`.

    A municipality's list takes the place of the shipped one of the same name. Raises FileError.
    """
    own = _lists_in(folder / _CODELISTS) if folder else ()
    names = {one.name for one in own}
    return (*(one for one in _lists_in(_HERE / _CODELISTS) if one.name not in names), *own)


def mappings_of(folder: Path | None, on: date | None = None) -> dict[str, Mapping]:
    """Return the mappings of a municipality by their id: its own in `folder`, and the shipped ones that it has not

    changed. A file there is a whole mapping, or `extends` a shipped one and takes its place. Codes are written from
    the lists that hold on the day `on`; without a day, from the newest. Raises FileError.
    """
    lists = codelists(folder)
    bases = {name: FileText(_text(path), path.name) for name, path in shipped().items()}
    found = {name: _loaded(path, bases, lists, on) for name, path in shipped().items()}
    own: dict[str, Path] = {}
    for path in sorted(folder.glob("*.yaml")) if folder else ():
        mapping = _loaded(path, bases, lists, on)
        if mapping.id in own:
            raise FileError(
                Mark(path.name, 1, 1), f"{own[mapping.id].name} is the mapping '{mapping.id}' already",
                "Keep one, or give this one a name of its own with 'mapping:'",
            )  # fmt: skip
        own[mapping.id] = path
        found[mapping.id] = mapping
    return found


def _loaded(path: Path, bases: dict[str, FileText], lists: Iterable[CodeList], on: date | None) -> Mapping:
    return load_mapping(_text(path), path.name, samples=path.parent, bases=bases, lists=lists, on=on)


def _lists_in(folder: Path) -> tuple[CodeList, ...]:
    paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else ()
    return tuple(read_codelist(_text(path), path.name) for path in paths)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(Mark(path.name, 1, 1), "not readable as text", "Save the file as UTF-8 text") from None
