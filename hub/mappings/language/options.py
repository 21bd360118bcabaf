"""From the options written beside a rule to its codec. What can't be restored must say so, or is refused here."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from hub.mappings.language.codecs import (
    Codec,
    Codes,
    FamilyFirst,
    Joined,
    Lines,
    Many,
    Number,
    Policy,
    Text,
    Truth,
    plain_word,
)
from hub.mappings.language.codelists import CodeList, Nodes
from hub.mappings.language.marked import Marked
from hub.mappings.language.nodes import as_choice, as_list, as_map, as_text, nearest, required
from hub.mappings.language.targets import Kind, Target
from hub.mappings.language.times import Day, Moment, parse_day
from hub.payloads.yamlfile import FileError, Mark, YamlList, YamlMap, YamlNode, YamlScalar
from hub.relaylog.codes import Code, Service

CODE_KEYS = ("codes", "read_as", "write_as", "keep", "unknown", "default")
PLACE_KEYS = ("at", "jmes", "one_way")
_KEYS: dict[Kind, tuple[str, ...]] = {
    "text": ("default", "join", "name", "lines", "split", "mark", "const"),
    "bool": ("bool", "default", "const"),
    "int": ("number", "default", "const"),
    "date": ("date", "default", "const"),
    "instant": ("instant", "zone", "join"),
    "code": (*CODE_KEYS, "words", "const", "by_writer"),
    "values": (),
}
_SEPARATORS = ("lines", "split")
_POLICIES: dict[str, Policy] = {"keep": "keep", "hold": "hold", "default": "default"}
_TRUTHS = {"true": True, "false": False}
_YES = {"read": False}  # one_way: read -> is it written?
_LANGUAGES = {"nb": "nb", "nn": "nn"}
_TEXT_TRUTHS = (("true", "1"), ("false", "0"))
_ONLY_TEXT = ("xml", "csv")
_ORDER = re.compile(r"(?:Etternavn|Etternamn)(.*?)(?:Fornavn|Fornamn|Førenamn)")
_SHARED = "list:"


@dataclass(frozen=True)
class Surroundings:
    """What a rule may refer to elsewhere: the mapping's own code lists, shared ones, and the services it is for.

    `payload` is the kind: all but JSON know no numbers, XML and CSV nothing but text. `unknown` is the policy where a
    list says none. `used` collects the names of the lists that rules refer to.
    """

    named: dict[str, YamlMap]
    shared: dict[str, CodeList]
    own: frozenset[Service]
    payload: str
    unknown: Policy
    used: set[str] = field(default_factory=set)

    @property
    def texts(self) -> bool:
        """Tell whether numbers are text in these records."""
        return self.payload != "json"


def option_keys(target: Target, *, part: bool = False) -> tuple[str, ...]:
    """Return the keys that may stand beside a rule for such a target."""
    keys = _KEYS[target.kind]
    if target.many:
        keys = _SEPARATORS + (keys if target.kind == "code" else ())
    return PLACE_KEYS + tuple(key for key in keys if part or key != "by_writer")


def is_written(node: YamlMap) -> bool:
    """Tell whether a rule also writes: `one_way: read` says no, and so does an expression."""
    if "one_way" in node.items:
        return as_choice(node.items["one_way"], "one_way", _YES)
    return "jmes" not in node.items


def policy_of(node: YamlNode) -> Policy:
    """Return what becomes of foreign codes."""
    return as_choice(node, "unknown", _POLICIES)


def constant(target: Target, node: YamlNode, what: str) -> object:
    """Read a canonical value written in the mapping, typed by its target."""
    text = as_text(node, what)
    if target.kind == "code":
        return as_choice(node, what, target.members)
    if target.kind == "bool":
        return as_choice(node, what, _TRUTHS)
    value: object = text
    if target.kind == "int":
        value = int(text) if text.isascii() and text.isdigit() else None
    if target.kind == "date":
        value = parse_day(text, "iso")
    if value is None:
        raise FileError(node.mark, f"{what} is no {target.kind}", "Write a number, or a date as yyyy-mm-dd")
    return value


def codec_of(rule: int, target: Target, node: YamlMap, places: int, around: Surroundings) -> Codec:
    """Build the codec that a rule's options ask for. Raises FileError where they don't fit together."""
    if places > 1 and "join" not in node.items:
        raise FileError(node.items["at"].mark, "several places for one value", "Add 'join:' with the text between them")
    _check_needed(node)
    if target.many:
        return _many(rule, target, node, around)
    if target.kind == "text":
        return _text(rule, node, places, around)
    if target.kind == "code":
        return _codes(rule, target, node, around)
    codec = _plain_codec(rule, target, node, around)
    return Joined(rule, _separator(node), places, codec) if "join" in node.items else codec


def _check_needed(node: YamlMap) -> None:
    """Refuse keys that nothing would read: an alias without a list, a constant where nothing is written."""
    listed = "codes" in node.items or "words" in node.items
    for key in ("read_as", "write_as", "keep"):
        if key in node.items and not listed:
            raise FileError(node.keys[key], f"'{key}' is never read: there are no codes", "Add 'codes:', or remove it")
    if "const" in node.items and not is_written(node):
        raise FileError(node.keys["const"], "'const' is never read: nothing is written here", "Remove it")
    both = [key for key in ("join", "name", "lines", "split", "mark") if key in node.items]
    if len(both) > 1:
        raise FileError(node.keys[both[1]], f"'{both[0]}' and '{both[1]}' don't go together", "Keep one of the two")


def _plain_codec(rule: int, target: Target, node: YamlMap, around: Surroundings) -> Codec:
    default = constant(target, node.items["default"], "default") if "default" in node.items else target.default
    if target.kind == "date":
        return Day(rule, _formats(node, "date", "dmY"), default if isinstance(default, date) else None)
    if target.kind == "instant":
        return Moment(rule, _zone(node), _formats(node, "instant", "dmYHM", "S"))
    if target.kind == "bool":
        absent = default if isinstance(default, bool) else None
        return Truth(rule, absent, _words(node) or (_TEXT_TRUTHS if around.payload in _ONLY_TEXT else None))
    as_text_ = "number" in node.items and as_choice(node.items["number"], "number", {"text": True})
    return Number(rule, default if isinstance(default, int) else 0, as_text=as_text_ or around.texts)


def _text(rule: int, node: YamlMap, places: int, around: Surroundings) -> Codec:
    if "mark" in node.items:
        as_choice(node.items["mark"], "mark", {"true": True})
        return Marked(rule, around.own)
    if "name" in node.items:
        return FamilyFirst(rule, _name_order(node.items["name"]))
    if separators := [key for key in _SEPARATORS if key in node.items]:
        return Lines(rule, as_text(node.items[separators[0]], separators[0]))
    text = Text(rule, as_text(node.items["default"], "default") if "default" in node.items else "")
    return Joined(rule, _separator(node), places, text) if "join" in node.items else text


def _separator(node: YamlMap) -> str:
    separator = as_text(node.items["join"], "join")
    if not separator and is_written(node):
        raise FileError(node.items["join"].mark, "text joined by nothing can't be split", "Add 'one_way: read'")
    return separator


def _name_order(node: YamlNode) -> str:
    written = as_text(node, "name")
    match = _ORDER.fullmatch(written)
    if match is None or not match[1]:
        raise FileError(node.mark, f"'{written}' is no order of names", "Write 'Etternavn, Fornavn', or leave it out")
    return match[1]


def _formats(node: YamlMap, key: str, signs: str, maybe: str = "") -> tuple[str, ...]:
    if key not in node.items:
        return ("iso",)
    written = node.items[key]
    items = written.items if isinstance(written, YamlList) else (written,)
    if not items:
        raise FileError(written.mark, f"{key} names no format", "Write at least one")
    return tuple(_format(one, node, key, signs, maybe) for one in items)


def _format(node: YamlNode, spec: YamlMap, key: str, signs: str, maybe: str) -> str:
    written = as_text(node, key)
    if written == "iso":
        return written
    found = Counter(written[i + 1 : i + 2] for i, sign in enumerate(written) if sign == "%")
    if found not in (Counter(signs), Counter(signs + maybe)):
        what = "a date" if key == "date" else "a time"
        *signs_but_last, last = (f"%{sign}" for sign in signs)
        wanted = f"{', '.join(signs_but_last)} and {last}"
        raise FileError(node.mark, f"{what} can't be restored from '{written}'", f"Use {wanted} once each, or iso")
    if key == "instant" and "zone" not in spec.items:
        raise FileError(node.mark, f"'{written}' says no zone", "Add 'zone: Europe/Oslo'")
    return written


def _zone(node: YamlMap) -> ZoneInfo | None:
    if "zone" not in node.items:
        return None
    name = as_text(node.items["zone"], "zone")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
        raise FileError(node.items["zone"].mark, f"'{name}' is no time zone", nearest(name, known)) from None


def _words(node: YamlMap) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    if "bool" not in node.items:
        return None
    words = as_map(node.items["bool"], "bool", ("yes", "no"))
    yes, no = (_said(required(words, key, "bool"), key) for key in ("yes", "no"))
    if {word.casefold() for word in yes} & {word.casefold() for word in no}:
        raise FileError(words.mark, "yes and no are the same word", "Write two words")
    return yes, no


def _said(node: YamlNode, what: str) -> tuple[str, ...]:
    items = node.items if isinstance(node, YamlList) else (node,)
    if not items:
        raise FileError(node.mark, f"{what} names no word", "Write at least one")
    return tuple(plain_word(as_text(one, what)) for one in items)


def _many(rule: int, target: Target, node: YamlMap, around: Surroundings) -> Codec:
    keys = [key for key in _SEPARATORS if key in node.items]
    separator = as_text(node.items[keys[0]], keys[0]) if keys else ""
    if target.kind != "code":
        return Many(rule, Text(rule), separator=separator)
    codes = _codes(rule, target, node, around)
    divided = [word for word in codes.source if separator and (separator.strip(" ") or separator) in word]
    if divided:
        raise FileError(node.items[keys[0]].mark, f"the code '{divided[0]}' holds the separator", "Use another one")
    return Many(rule, codes, tuple(target.members.values()), separator)


def _codes(rule: int, target: Target, node: YamlMap, around: Surroundings) -> Codes:
    spec = _spec(target, node, around)
    absent = _absent(target, spec)
    policy = policy_of(spec["unknown"]) if "unknown" in spec else around.unknown
    if policy == "default" and "default" not in spec:
        at = spec["unknown"].mark if "unknown" in spec else node.mark
        raise FileError(at, "unknown: default, but no default", "Add 'default:'")
    by_writer = as_text(node.items["by_writer"], "by_writer") if "by_writer" in node.items else None
    if "codes" not in spec:
        own_words = {code: getattr(member, "value", member) for code, member in target.members.items()}
        return Codes(
            rule, target.members,
            {target.members[code]: str(word) if around.texts else word for code, word in own_words.items()},
            absent, target.unknown, policy, by_writer,
        )  # fmt: skip
    source, written = _list(target, spec)
    aliases = _aliases(target, spec, source)
    written |= _write_as(target, spec, source)
    if is_written(node) and by_writer is None:
        _check_covered(target, spec, written)
    return Codes(rule, source | aliases, written, absent, target.unknown, policy, by_writer)


def _spec(target: Target, node: YamlMap, around: Surroundings) -> Nodes:
    """Put the keys of a named or shared list, or of the model's own words, under those of the rule."""
    own = {key: value for key, value in node.items.items() if key in CODE_KEYS}
    codes = own.get("codes")
    language = as_choice(node.items["words"], "words", _LANGUAGES) if "words" in node.items else ""
    if codes is None and language:
        return _own_words(target, node.items["words"], language) | own
    if isinstance(codes, YamlScalar) and codes.text.startswith(_SHARED):
        shared = as_choice(codes, "a shared code list", {_SHARED + name: one for name, one in around.shared.items()})
        around.used.add(codes.text)
        rest = {key: value for key, value in own.items() if key != "codes"}
        return (shared.said_in(language) if language else shared.spec) | rest
    if language:
        raise FileError(node.keys["words"], "only shared lists have words", "Write 'codes: list:name', or no codes")
    if not isinstance(codes, YamlScalar):
        return own
    named = as_choice(codes, "a code list under 'codes' at the top", around.named)
    around.used.add(codes.text)
    return named.items | {key: value for key, value in own.items() if key != "codes"}


def _own_words(target: Target, node: YamlNode, language: str) -> Nodes:
    """Make a list of the model's own words in a language; its words in the other languages and codes read too."""
    members = [member for member in target.members.values() if isinstance(member, Code)]
    if not members:
        raise FileError(node.mark, "there are no words for this", "Remove 'words:'")
    codes: Nodes = {one.label("nn" if language == "nn" else "nb"): _scalar(one, node.mark) for one in members}
    also = {word: _scalar(one, node.mark) for one in members for word in (one.nb, one.nn, one.en, one.value)}
    marks = dict.fromkeys([*codes, *also], node.mark)
    read_as: Nodes = {word: value for word, value in also.items() if word not in codes}
    return {"codes": YamlMap(codes, marks, node.mark), "read_as": YamlMap(read_as, marks, node.mark)}


def _scalar(member: Code, mark: Mark) -> YamlScalar:
    return YamlScalar(member.value, mark, quoted=True)


def _absent(target: Target, spec: Nodes) -> object:
    if "default" in spec:
        return constant(target, spec["default"], "default")
    return None if target.many else target.default


def _list(target: Target, spec: Nodes) -> tuple[dict[str, object], dict[object, object]]:
    source: dict[str, object] = {}
    written: dict[object, object] = {}
    for word, node in as_map(spec["codes"], "codes").items.items():
        member = as_choice(node, "a canonical code", target.members)
        if member in written:
            raise FileError(
                node.mark, f"'{as_text(node, 'code')}' stands for both '{written[member]}' and '{word}'",
                f"Keep the one to write, and move the other to 'read_as: {{{word}: {as_text(node, 'code')}}}'",
            )  # fmt: skip
        if plain_word(word) in source:
            raise FileError(
                node.mark, f"'{plain_word(word)}' stands twice, in two ways to store its letters", "Keep one"
            )
        source[plain_word(word)] = member
        written[member] = word
    return source, written


def _aliases(target: Target, spec: Nodes, source: dict[str, object]) -> dict[str, object]:
    aliases: dict[str, object] = {}
    for word, node in as_map(spec["read_as"], "read_as").items.items() if "read_as" in spec else ():
        if plain_word(word) in source:
            raise FileError(node.mark, f"'{word}' stands under codes already", "Remove it from read_as")
        aliases[plain_word(word)] = as_choice(node, "a canonical code", target.members)
    return aliases


def _write_as(target: Target, spec: Nodes, source: dict[str, object]) -> dict[object, object]:
    written: dict[object, object] = {}
    if "write_as" not in spec:
        return written
    node = as_map(spec["write_as"], "write_as")
    for code, word in node.items.items():
        member = _member(target, code, node.keys[code])
        if member in source.values():
            raise FileError(node.keys[code], f"'{code}' has a code of its own", "Remove it from write_as")
        written[member] = as_choice(word, "a source code", {name: name for name in source})
    return written


def _member(target: Target, code: str, mark: Mark) -> object:
    if code not in target.members:
        raise FileError(mark, f"'{code}' is no canonical code", nearest(code, target.members))
    return target.members[code]


def _check_covered(target: Target, spec: Nodes, written: dict[object, object]) -> None:
    kept = [as_choice(one, "a canonical code", target.members) for one in _kept(spec)]
    for node, member in zip(_kept(spec), kept, strict=True):
        if member in written:
            raise FileError(node.mark, f"'{as_text(node, 'code')}' is both kept and written", "Keep one of the two")
    missing = [code for code, m in target.members.items() if m not in written and m not in kept and code != "unknown"]
    if missing:
        raise FileError(
            spec["codes"].mark, f"nothing says how to write {', '.join(missing)}",
            "Add each to codes, to write_as with the nearest source code, or to keep",
        )  # fmt: skip


def _kept(spec: Nodes) -> tuple[YamlNode, ...]:
    return as_list(spec["keep"], "keep") if "keep" in spec else ()
