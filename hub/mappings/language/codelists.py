"""Shared code lists: one file for each version, used by any mapping as `codes: list:name`, with words for people.

The version that holds on a day is written; codes of its earlier versions are still read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from hub.mappings.language.nodes import FileText, as_map, as_text, required
from hub.mappings.language.times import parse_day
from hub.payloads.yamlfile import FileError, Mark, YamlMap, YamlNode, YamlScalar, read_yaml

_KEYS = ("list", "version", "valid_from", "codes", "read_as", "write_as", "keep", "unknown", "default")
_CODE_KEYS = ("is", "nb", "nn")
LANGUAGES = ("nb", "nn")

Nodes = dict[str, YamlNode]


@dataclass(frozen=True)
class CodeList:
    """One version of a shared list. `spec` are its rules, as a mapping's own list has them.

    `words` are its codes in bokmål and nynorsk; `texts` the files that it is read from, earlier versions first.
    """

    name: str
    version: int
    valid_from: date
    texts: tuple[FileText, ...]
    spec: Nodes
    words: dict[str, dict[str, YamlScalar]]
    mark: Mark

    def said_in(self, language: str) -> Nodes:
        """Return the rules of the list for a template that writes the list's words in place of its codes."""
        codes, aliases = as_map(self.spec["codes"], "codes"), self.spec.get("read_as")
        spoken: Nodes = {}
        also = dict(as_map(aliases, "read_as").items) if aliases else {}
        for code, node in codes.items.items():
            word = self.words[language].get(code)
            if word is None:
                raise FileError(
                    codes.keys[code], f"'{code}' has no word in {language}", f"Add '{language}:' beside 'is:'"
                )
            spoken[word.text] = node
            others = [code, *(self.words[other][code].text for other in LANGUAGES if code in self.words[other])]
            also |= {other: node for other in others if other != word.text}
        marks = dict.fromkeys([*spoken, *also], codes.mark)
        write_as = _respelt(self.spec.get("write_as"), self.words[language])
        return self.spec | write_as | {
            "codes": YamlMap(spoken, marks, codes.mark),
            "read_as": YamlMap({word: node for word, node in also.items() if word not in spoken}, marks, codes.mark),
        }  # fmt: skip


def _respelt(node: YamlNode | None, words: dict[str, YamlScalar]) -> Nodes:
    """Turn the codes on the right of `write_as` into words."""
    if node is None:
        return {}
    entries = as_map(node, "write_as")
    respelt: Nodes = {code: words.get(as_text(one, "a code"), one) for code, one in entries.items.items()}
    return {"write_as": YamlMap(respelt, entries.keys, entries.mark)}


def read_codelist(text: str, file: str) -> CodeList:
    """Read one file of a shared list. Raises FileError, also where two codes or words stand for the same."""
    root = as_map(read_yaml(text, file), "a code list", _KEYS)
    name = as_text(required(root, "list", "the code list"), "list")
    version, since = required(root, "version", "the code list"), required(root, "valid_from", "the code list")
    number, day = as_text(version, "version"), parse_day(as_text(since, "valid_from"), "iso")
    if not (number.isascii() and number.isdigit()):
        raise FileError(version.mark, f"the version '{number}' is no whole number", "Count versions from 1")
    if day is None:
        raise FileError(since.mark, "valid_from is no date", "Write it as yyyy-mm-dd")
    entries = as_map(required(root, "codes", "the code list"), "codes")
    codes: Nodes = {}
    words: dict[str, dict[str, YamlScalar]] = {language: {} for language in LANGUAGES}
    for code, node in entries.items.items():
        codes[code] = _meaning(node)
        for language in LANGUAGES:
            if isinstance(node, YamlMap) and language in node.items:
                word = node.items[language]
                words[language][code] = YamlScalar(as_text(word, language), word.mark, quoted=True)
    _check_one_to_one(codes)
    for spoken in words.values():
        _check_one_to_one(dict(spoken))
    spec = {key: node for key, node in root.items.items() if key not in ("list", "version", "valid_from")}
    spec["codes"] = YamlMap(codes, entries.keys, entries.mark)
    return CodeList(name, int(number), day, (FileText(text, file),), spec, words, root.mark)


def _meaning(node: YamlNode) -> YamlNode:
    """Return the canonical code that an entry stands for; `CODE: canonical` is short for `CODE: {is: canonical}`."""
    return required(as_map(node, "a code", _CODE_KEYS), "is", "a code") if isinstance(node, YamlMap) else node


def _check_one_to_one(entries: Nodes) -> None:
    seen: dict[str, str] = {}
    for code, node in entries.items():
        text = as_text(node, "a code")
        if text in seen:
            raise FileError(
                node.mark, f"'{text}' stands for both '{seen[text]}' and '{code}'",
                f"Keep the one to write, and move the other to 'read_as: {{{code}: {text}}}'",
            )  # fmt: skip
        seen[text] = code


def lists_on(day: date | None, lists: Iterable[CodeList]) -> dict[str, CodeList]:
    """Return the lists that hold on a day by their name; without a day, the newest of each.

    A list reads the codes of its earlier versions too. Raises FileError for two versions from the same day.
    """
    held: dict[str, CodeList] = {}
    for one in sorted(lists, key=lambda one: one.valid_from):
        before = held.get(one.name)
        if before and before.valid_from == one.valid_from:
            raise FileError(one.mark, f"two lists '{one.name}' hold from the same day", f"The other is {before.mark}")
        if day is None or one.valid_from <= day:
            held[one.name] = _following(one, before)
    return held


def _following(one: CodeList, before: CodeList | None) -> CodeList:
    """Let a list read the codes of the version before it that it has no use for itself."""
    if before is None:
        return one
    own = as_map(one.spec["codes"], "codes")
    aliases = as_map(one.spec["read_as"], "read_as").items if "read_as" in one.spec else {}
    earlier = dict(as_map(before.spec["codes"], "codes").items)
    if "read_as" in before.spec:
        earlier |= as_map(before.spec["read_as"], "read_as").items
    read = {code: node for code, node in earlier.items() if code not in own.items} | aliases
    spec = one.spec | {"read_as": YamlMap(read, {code: node.mark for code, node in read.items()}, own.mark)}
    return replace(one, spec=spec, texts=before.texts + one.texts)
