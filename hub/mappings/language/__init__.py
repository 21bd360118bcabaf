"""The mapping language: one YAML file for each system's template, read both ways."""

from hub.mappings.language.errors import MappingError
from hub.mappings.language.mapping import Mapping, load_mapping
from hub.mappings.language.runtime import Clear, Tree

__all__ = ["Clear", "Mapping", "MappingError", "Tree", "load_mapping"]
