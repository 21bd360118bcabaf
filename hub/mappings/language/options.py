"""From the options written beside a rule to its codec. What can't be restored must say so, or is refused here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from hub.mappings.language.codecs import (
    Codec,
    Codes,
    Day,
    Joined,
    Many,
    Marked,
    Moment,
    Number,
    Text,
    Truth,
    parse_day,
)
from hub.mappings.language.nodes import as_choice, as_list, as_map, as_text, nearest, required
from hub.mappings.language.targets import Kind, Target
from hub.payloads.yamlfile import FileError, Mark, YamlMap, YamlNode, YamlScalar
from hub.relaylog.codes import Service

CODE_KEYS = ("codes", "read_as", "write_as", "keep", "unknown", "default")
PLACE_KEYS = ("at", "one_way")
_KEYS: dict[Kind, tuple[str, ...]] = {
    "text": ("default", "join", "mark", "const"),
    "bool": ("bool", "const"),
    "int": ("default", "const"),
    "date": ("date", "default"),
    "instant": ("instant", "zone"),
    "code": (*CODE_KEYS, "const", "by_writer"),
    "values": (),
}
_POLICIES: dict[str, Literal["keep", "hold", "default"]] = {"keep": "keep", "hold": "hold", "default": "default"}
_TRUTHS = {"true": True, "false": False}
_YES = {"read": False}  # one_way: read -> is it written?


@dataclass(frozen=True)
class Surroundings:
    """What a rule may refer to elsewhere in its mapping: named code lists, and the services that are its own."""

    named: dict[str, YamlMap]
    own: frozenset[Service]


def option_keys(target: Target, *, part: bool = False) -> tuple[str, ...]:
    """Return the keys that may stand beside a rule for such a target."""
    keys = _KEYS[target.kind]
    if target.many and target.kind == "text":
        keys = ()
    return PLACE_KEYS + tuple(key for key in keys if part or key != "by_writer")


def is_written(node: YamlMap) -> bool:
    """Tell whether a rule also writes: `one_way: read` says no."""
    return as_choice(node.items["one_way"], "one_way", _YES) if "one_way" in node.items else True


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
    if target.kind == "text" and not target.many:
        return _text(rule, node, places, around)
    if target.kind == "code":
        codes = _codes(rule, target, node, around)
        return Many(rule, codes, tuple(target.members.values())) if target.many else codes
    return _plain_codec(rule, target, node)


def _plain_codec(rule: int, target: Target, node: YamlMap) -> Codec:
    default = constant(target, node.items["default"], "default") if "default" in node.items else target.default
    if target.kind == "date":
        return Day(rule, _format(node), default if isinstance(default, date) else None)
    if target.kind == "instant":
        return Moment(rule, _zone(node))
    if target.kind == "bool":
        return Truth(rule, None if target.optional else False, _words(node))
    if target.kind == "int":
        return Number(rule, default if isinstance(default, int) else 0)
    return Many(rule, Text(rule))


def _text(rule: int, node: YamlMap, places: int, around: Surroundings) -> Codec:
    if "mark" in node.items:
        as_choice(node.items["mark"], "mark", {"true": True})
        return Marked(rule, around.own)
    if "join" in node.items:
        separator = as_text(node.items["join"], "join")
        if not separator and is_written(node):
            raise FileError(node.items["join"].mark, "text joined by nothing can't be split", "Add 'one_way: read'")
        return Joined(rule, separator, places)
    return Text(rule, as_text(node.items["default"], "default") if "default" in node.items else "")


def _format(node: YamlMap) -> str:
    if "date" not in node.items:
        return "iso"
    written = as_text(node.items["date"], "date")
    found = Counter(written[i + 1 : i + 2] for i, sign in enumerate(written) if sign == "%")
    if written != "iso" and found != Counter("dmY"):
        raise FileError(
            node.items["date"].mark, f"a date can't be restored from '{written}'", "Use %d, %m and %Y once each, or iso"
        )
    return written


def _zone(node: YamlMap) -> ZoneInfo | None:
    if "instant" in node.items:
        as_choice(node.items["instant"], "instant", {"iso": "iso"})
    if "zone" not in node.items:
        return None
    name = as_text(node.items["zone"], "zone")
    if name not in available_timezones():
        raise FileError(node.items["zone"].mark, f"'{name}' is no time zone", nearest(name, available_timezones()))
    return ZoneInfo(name)


def _words(node: YamlMap) -> tuple[str, str] | None:
    if "bool" not in node.items:
        return None
    words = as_map(node.items["bool"], "bool", ("yes", "no"))
    yes, no = (as_text(required(words, key, "bool"), key) for key in ("yes", "no"))
    if yes == no:
        raise FileError(words.mark, "yes and no are the same word", "Write two words")
    return yes, no


def _codes(rule: int, target: Target, node: YamlMap, around: Surroundings) -> Codes:
    spec = _spec(node, around)
    absent = _absent(target, spec)
    policy = as_choice(spec["unknown"], "unknown", _POLICIES) if "unknown" in spec else "keep"
    if policy == "default" and "default" not in spec:
        raise FileError(spec["unknown"].mark, "unknown: default, but no default", "Add 'default:'")
    by_writer = as_text(node.items["by_writer"], "by_writer") if "by_writer" in node.items else None
    if "codes" not in spec:
        own_words = {code: getattr(member, "value", member) for code, member in target.members.items()}
        return Codes(
            rule, target.members, {target.members[code]: word for code, word in own_words.items()},
            absent, target.unknown, policy, by_writer,
        )  # fmt: skip
    source, written = _list(target, spec)
    aliases = _aliases(target, spec, source)
    written |= _write_as(target, spec, source)
    if is_written(node) and by_writer is None:
        _check_covered(target, spec, written)
    return Codes(rule, source | aliases, written, absent, target.unknown, policy, by_writer)


def _spec(node: YamlMap, around: Surroundings) -> dict[str, YamlNode]:
    """Put a named list's keys under those of the rule."""
    own = {key: value for key, value in node.items.items() if key in CODE_KEYS}
    codes = own.get("codes")
    if not isinstance(codes, YamlScalar):
        return own
    named = as_choice(codes, "a code list under 'codes' at the top", around.named)
    return named.items | {key: value for key, value in own.items() if key != "codes"}


def _absent(target: Target, spec: dict[str, YamlNode]) -> object:
    if "default" in spec:
        return constant(target, spec["default"], "default")
    return None if target.many else target.default


def _list(target: Target, spec: dict[str, YamlNode]) -> tuple[dict[str, object], dict[object, object]]:
    source: dict[str, object] = {}
    written: dict[object, object] = {}
    for word, node in as_map(spec["codes"], "codes").items.items():
        member = as_choice(node, "a canonical code", target.members)
        if member in written:
            raise FileError(
                node.mark, f"'{as_text(node, 'code')}' stands for both '{written[member]}' and '{word}'",
                f"Keep the one to write, and move the other to 'read_as: {{{word}: {as_text(node, 'code')}}}'",
            )  # fmt: skip
        source[word] = member
        written[member] = word
    return source, written


def _aliases(target: Target, spec: dict[str, YamlNode], source: dict[str, object]) -> dict[str, object]:
    aliases: dict[str, object] = {}
    for word, node in as_map(spec["read_as"], "read_as").items.items() if "read_as" in spec else ():
        if word in source:
            raise FileError(node.mark, f"'{word}' stands under codes already", "Remove it from read_as")
        aliases[word] = as_choice(node, "a canonical code", target.members)
    return aliases


def _write_as(target: Target, spec: dict[str, YamlNode], source: dict[str, object]) -> dict[object, object]:
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


def _check_covered(target: Target, spec: dict[str, YamlNode], written: dict[object, object]) -> None:
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


def _kept(spec: dict[str, YamlNode]) -> tuple[YamlNode, ...]:
    return as_list(spec["keep"], "keep") if "keep" in spec else ()
