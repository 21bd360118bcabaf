"""Mappings: the language, and the templates that ship with the hub."""

from pathlib import Path

from hub.mappings.language import Mapping, load_mapping

_TEMPLATES = Path(__file__).parent / "templates"


def shipped() -> dict[str, Path]:
    """Return the files of the shipped mappings by their id; `vigilo-stafettlogg.yaml` holds `vigilo/stafettlogg`."""
    return {path.stem.replace("-", "/", 1): path for path in sorted(_TEMPLATES.glob("*.yaml"))}


def load_shipped(mapping: str) -> Mapping:
    """Read and compile a shipped mapping. Raises KeyError for an id that isn't shipped."""
    path = shipped()[mapping]
    return load_mapping(path.read_text(encoding="utf-8"), path.name, samples=path.parent)
