"""From YAML nodes to validated values, with every mistake joined to the place where it was written.

What is wrong is collected, not raised at once, so that a person mends a whole configuration in one go. A message shows
what stands in the file, never what a `${env:…}` or `${file:…}` there stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from hub.payloads.yamlfile import FileError, Mark, YamlList, YamlMap, YamlNode, YamlScalar, read_yaml

Tree = str | list["Tree"] | dict[str, "Tree"] | None
M = TypeVar("M", bound=BaseModel)

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_REMEDIES = {
    "bool_parsing": "Write true or false",
    "bool_type": "Write true or false",
    "date_from_datetime_parsing": "Write the date as year-month-day, 2026-11-20",
    "dict_type": "Write keys and values below it",
    "mapping_type": "Write keys and values below it",
    "model_type": "Write keys and values below it",
    "float_parsing": "Write a number",
    "int_parsing": "Write a whole number",
    "frozen_set_type": "Write a list, [a, b]",
    "tuple_type": "Write a list, [a, b]",
    "string_type": "Write one value",
    "path_type": "Write a path",
}


class SettingsError(Exception):
    """The configuration can't be used: one line for each mistake, in the order of the files."""

    def __init__(self, problems: tuple[FileError, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Wrong(ValueError):
    """A validator's verdict on one setting: the problem and the remedy, without the value."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}")
        self.problem = problem
        self.remedy = remedy


class _Given:
    """Marks a field that the loader fills in; it is no key of the file."""


GIVEN = _Given()


def keys_of(model: type[BaseModel]) -> frozenset[str]:
    """Name the keys that a file may give for a model."""
    return frozenset(name for name, info in model.model_fields.items() if GIVEN not in info.metadata)


def suggest(name: str, known: Iterable[str]) -> str:
    """Say what would be right in place of an unknown name: the nearest known one, and all of them."""
    names = sorted(known)
    nearest = get_close_matches(name, names, n=1)
    everything = f"Known here: {', '.join(names) or 'nothing'}"
    return f"Did you mean '{nearest[0]}'? {everything}" if nearest else everything


@dataclass
class Reader:
    """Reads the files of one configuration folder and collects what is wrong with them."""

    config: Path
    environ: Mapping[str, str]
    _problems: dict[str, FileError] = field(default_factory=dict)
    _unexpanded: set[Mark] = field(default_factory=set)

    @property
    def root(self) -> Path:
        """The folder that relative paths start from."""
        return self.config.parent

    @property
    def problems(self) -> tuple[FileError, ...]:
        """Everything wrong so far, each once."""
        return tuple(self._problems.values())

    def problem(self, mark: Mark, problem: str, remedy: str) -> None:
        """Note a mistake."""
        self._note(FileError(mark, problem, remedy))

    def top(self, path: Path) -> Mark:
        """Give the mark of a whole file or folder, its name as seen from the configuration folder's parent."""
        return Mark(path.relative_to(self.root).as_posix(), 1, 1)

    def file(self, path: Path) -> YamlNode | None:
        """Read one file. None where it can't be read; the mistake is noted."""
        try:
            return read_yaml(path.read_text(encoding="utf-8"), self.top(path).file)
        except FileError as error:
            self._note(error)
        except FileNotFoundError:
            self.problem(self.top(path), "the file is missing", "Copy it from the example configuration and adapt it")
        except UnicodeDecodeError:
            self.problem(self.top(path), "the file is not UTF-8 text", "Save it as UTF-8")
        except OSError:
            self.problem(self.top(path), "the file can't be read", "Let the hub's user read it")
        return None

    def map(self, node: YamlNode | None) -> YamlMap | None:
        """Take a node that has to be keys and values."""
        if node is None or isinstance(node, YamlMap):
            return node
        self.problem(node.mark, f"found {_found(node)} where keys and values belong", "Write `key: value` lines")
        return None

    def check_keys(self, node: YamlMap, known: frozenset[str]) -> None:
        """Note every key that is not known here."""
        for key in node.items:
            if key not in known:
                self.problem(node.keys[key], f"unknown key '{key}'", suggest(key, known))

    def validate(self, node: YamlMap, model: type[M], **given: object) -> M | None:
        """Make a model from the keys of a map that are its own, and what the loader gives.

        Other keys of the map itself are left to the caller (a file may hold the keys of two models); unknown keys
        further down are noted here. None where anything is wrong.
        """
        own = YamlMap({k: v for k, v in node.items.items() if k in keys_of(model)}, node.keys, node.mark)
        before = len(self._problems)
        self._walk_model(own, (model,))
        tree = {key: self._plain(value) for key, value in own.items.items()}
        try:
            made = model.model_validate({**tree, **given}, context={"root": self.root, "config": self.config})
        except ValidationError as failed:
            errors = failed.errors(include_url=False, include_input=False)
        else:
            return made if len(self._problems) == before else None
        for error in errors:
            if error["type"] != "extra_forbidden" and not (error["loc"] and error["loc"][0] in given):
                self._note_invalid(own, error)
        return None

    def _note(self, error: FileError) -> None:
        self._problems.setdefault(str(error), error)

    def _plain(self, node: YamlNode) -> Tree:
        if isinstance(node, YamlMap):
            return {key: self._plain(value) for key, value in node.items.items()}
        if isinstance(node, YamlList):
            return [self._plain(item) for item in node.items]
        return None if node.is_null else self._expanded(node)

    def _expanded(self, scalar: YamlScalar) -> str:
        if "${" in _REFERENCE.sub("", scalar.text):
            self._fail(scalar, "a '${' without its '}'", "Write ${env:NAME} or ${file:/path}")
        return _REFERENCE.sub(lambda found: self._referred(scalar, found[1]), scalar.text)

    def _referred(self, scalar: YamlScalar, reference: str) -> str:
        kind, _, name = reference.partition(":")
        if kind == "env" and name:
            value = self.environ.get(name, "")
            if not value:
                self._fail(scalar, f"the environment variable {name} is not set", "Set it before the hub starts")
            return value
        if kind == "file" and name:
            try:
                return (self.root / name).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError):
                self._fail(scalar, f"the file {name} can't be read", "Put it there, readable by the hub's user")
                return ""
        self._fail(scalar, f"'${{{reference}}}' is no reference", "Write ${env:NAME} or ${file:/path}")
        return ""

    def _fail(self, scalar: YamlScalar, problem: str, remedy: str) -> None:
        self._unexpanded.add(scalar.mark)
        self.problem(scalar.mark, problem, remedy)

    def _walk(self, node: YamlNode, annotation: object) -> None:
        """Note unknown keys and secrets written out, all the way down, whatever the models themselves allow."""
        branches = tuple(_branches(annotation))
        if isinstance(node, YamlScalar):
            if SecretStr in branches and not node.is_null and "${" not in node.text:
                self.problem(node.mark, "a secret written in the file", "Write ${env:NAME} or ${file:/path}")
        elif isinstance(node, YamlList):
            for item in node.items:
                for branch in branches:
                    self._walk(item, _item_of(branch, YamlList))
        else:
            models = tuple(b for b in branches if isinstance(b, type) and issubclass(b, BaseModel))
            if models:
                self.check_keys(node, frozenset[str]().union(*map(keys_of, models)))
            self._walk_model(node, models)
            for value in node.items.values():
                for branch in branches:
                    self._walk(value, _item_of(branch, YamlMap))

    def _walk_model(self, node: YamlMap, models: tuple[type[BaseModel], ...]) -> None:
        for model in models:
            for key in node.items.keys() & keys_of(model):
                self._walk(node.items[key], model.model_fields[key].annotation)

    def _note_invalid(self, node: YamlMap, error: ErrorDetails) -> None:
        found, mark, key = _at(node, error["loc"])
        if mark in self._unexpanded:
            return
        if error["type"] == "missing":
            name = str(error["loc"][-1])
            self.problem(mark, f"the key '{name}' is missing", f"Add `{name}: …`")
            return
        context = error.get("ctx", {})
        if isinstance(wrong := context.get("error"), Wrong):
            self.problem(mark, wrong.problem, wrong.remedy)
            return
        if error["loc"] and error["loc"][-1] == "[key]":
            self.problem(mark, f"found '{key}'", _remedy(error, key))
        else:
            written = found.text if isinstance(found, YamlScalar) else ""
            self.problem(mark, f"{key or 'here'}: found {_found(found)}", _remedy(error, written))


def _branches(annotation: object) -> Iterator[object]:
    """List what an annotation may be, without `Annotated` and unions around it."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _branches(args[0])
    elif origin in (Union, UnionType):
        for arg in args:
            yield from _branches(arg)
    else:
        yield annotation


def _item_of(branch: object, kind: type[YamlList | YamlMap]) -> object:
    origin, args = get_origin(branch), get_args(branch)
    if not (isinstance(origin, type) and args) or issubclass(origin, Mapping) != (kind is YamlMap):
        return None
    return args[1] if kind is YamlMap else args[0]


def _at(node: YamlNode, loc: tuple[int | str, ...]) -> tuple[YamlNode, Mark, str]:
    """Follow pydantic's path to the node, its mark and its key. Steps that name a branch of a union are skipped."""
    mark, key_mark, key = node.mark, node.mark, ""
    for step in loc:
        if isinstance(node, YamlMap) and step in node.items:
            key, key_mark, node = str(step), node.keys[str(step)], node.items[str(step)]
            mark = node.mark
        elif isinstance(node, YamlList) and isinstance(step, int):
            node = node.items[step]
            mark = node.mark
        elif step == "[key]":
            mark = key_mark
    return node, mark, key


def _found(node: YamlNode) -> str:
    if isinstance(node, YamlScalar):
        return "nothing" if node.is_null else f"'{node.text}'"
    return "a list" if isinstance(node, YamlList) else "keys and values"


def _remedy(error: ErrorDetails, written: str) -> str:
    context = error.get("ctx", {})
    if error["type"] in ("enum", "literal_error"):
        return suggest(written, re.findall(r"'([^']*)'", str(context["expected"])))
    if isinstance(context.get("error"), ValueError):
        return str(context["error"])
    return _REMEDIES.get(error["type"], error["msg"])
