"""The mapping language: one YAML file for each system's template, read both ways."""

from hub.mappings.language.codelists import CodeList, read_codelist
from hub.mappings.language.errors import MappingError, Unclaimed
from hub.mappings.language.mapping import Mapping, claiming, load_mapping
from hub.mappings.language.nodes import FileText
from hub.mappings.language.runtime import Clear
from hub.payloads.base import Tree

__all__ = [
    "Clear", "CodeList", "FileText", "Mapping", "MappingError", "Tree", "Unclaimed", "claiming", "load_mapping",
    "read_codelist",
]  # fmt: skip
