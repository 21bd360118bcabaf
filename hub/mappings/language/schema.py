"""The mapping file as JSON Schema (draft 2020-12), so that an editor completes keys, paths and codes while typing.

It is made from the same tables as the compiler; what only the compiler can see (a code left out, a place written
twice) is left to `hub mapping lint`.
"""

from __future__ import annotations

from enum import Enum

from hub.mappings.language.header import HEADER_KEYS, IDENTITY, NEW_IDS, ORIGINS
from hub.mappings.language.options import CODE_KEYS, option_keys
from hub.mappings.language.source import BESIDE_EACH, ROWS_KEYS
from hub.mappings.language.targets import Target, names, target
from hub.payloads.registry import KINDS
from hub.relaylog.codes import Part, Service
from hub.relaylog.model import (
    COLLECTIONS,
    SCHEMA,
    Element,
    Frozen,
    Label,
    RelayLog,
    Signer,
    field_label,
    nested_model,
    references,
)

Schema = dict[str, object]

_WORD: Schema = {"type": ["string", "number", "boolean"]}
_POINTER: Schema = {"$ref": "#/$defs/place"}
_REMOVE: Schema = {"$ref": "#/$defs/removed"}
_SHARED: Schema = {
    "place": {"type": "string", "pattern": "^/.+", "description": "Sted i posten, som JSON Pointer: /barn/namn"},
    "removed": {
        "type": "object", "properties": {"status": {"const": "remove"}}, "required": ["status"],
        "additionalProperties": False, "description": "Bare i en fil med extends: fjern det som malen sier her",
    },
}  # fmt: skip

_OPTIONAL = ("volatile", "on_create", "new_ids", "part", "writer", "own", "required", "unknown", "codes", "persons")
"""Keys of the head that an override may remove."""

_FIXED = ("fields", "was", "status")
"""Keys of a list that an override can't remove."""

_PLAIN: dict[str, str] = {
    "mapping": "Navnet på kartleggingen: system/mal, for eksempel vigilo/stafettlogg",
    "extends": "Malen som denne filen endrer. Bare det som er annerledes, står her",
    "version": "Versjonen av kartleggingen, et helt tall fra 1",
    "canonical": "Modellen som postene leses inn i",
    "origin": "Hvor godt malen er kjent: published, observed, assumed eller confirmed",
    "payload": "Formatet: json, xml, csv, docx eller pdf; eller {kind: xml, ...} med formatets valg",
    "when": "Hvilke poster som er av denne malen. Alle vilkår må holde, og nøyaktig én kartlegging må kjenne posten",
    "volatile": "Steder som ikke teller som endring, for eksempel når loggen sist ble åpnet",
    "on_create": "Fast tekst som en ny post eller rad får på disse stedene",
    "new_ids": "hub: nye rader får huben sin id som nøkkel. system: systemet gir dem sin egen (forvalg)",
    "part": "Hva slags tekst dette er. Uten part avgjør den som skrev",
    "writer": "Tjenesten som har skrevet: et ord, eller stedet der det står",
    "own": "Tjenester som skriver i systemet selv; teksten deres står uten merke",
    "required": "Stier som må ha verdi; ellers stoppes posten",
    "unknown": "Hva som skjer med koder som ingen kjenner: keep (tas vare på), hold (posten stoppes), default",
    "codes": "Kodeliste: systemets kode: felles kode. Et navn, list:navn for en delt liste, eller koder her",
    "persons": "Tabeller som sier én gang hvor navn, fødselsnummer og kontakt står i en person",
    "fields": "Regler: felles sti: sted i posten",
    "tests": "Eksempler: en post, og stafettloggen den skal leses som",
    "at": "Stedet i posten, eller flere steder som settes sammen med join",
    "jmes": "JMESPath-uttrykk som finner verdien. Leses bare, skrives aldri",
    "one_way": "read: leses, skrives aldri",
    "default": "Verdien når posten ikke sier noe",
    "join": "Teksten mellom delene når verdien står på flere steder",
    "name": "Rekkefølgen i navnet: «Etternavn, Fornavn»",
    "lines": 'Skilletegnet når en liste her er én tekst der, eller omvendt: "\\n" for linjer',
    "split": 'Skilletegnet når en liste her er én tekst der: ", "',
    "mark": "true: tekst fra en annen tjeneste får tjenesten og datoen i klammer foran",
    "const": "Verdien som alltid skrives",
    "bool": "Ordene for ja og nei. Av flere skrives det første",
    "number": "text: tallet skrives som tekst",
    "date": "Datoformatet, med %d, %m og %Y, eller iso. Av flere skrives det første",
    "instant": "Tidsformatet, med %d %m %Y %H %M (og %S), eller iso. Av flere skrives det første",
    "zone": "Tidssonen til klokkeslett uten sone: Europe/Oslo",
    "read_as": "Flere koder som bare leses: systemets kode: felles kode",
    "write_as": "Felles koder uten egen kode her: felles kode: nærmeste kode hos systemet",
    "keep": "Felles koder som ikke skrives; posten beholder det den har",
    "words": "Språket når systemet skriver ord for koder: nb eller nn",
    "by_writer": "Koden som betyr at den som skrev, avgjør delen",
    "each": "Listen i posten: én rad for hvert element",
    "slot": "Et fast sted i stedet for en liste: navnet er elementets nøkkel",
    "key": "Stedet for radens nøkkel, eller flere steder som til sammen er nøkkelen",
    "key_within": "parent: nøkkelen er bare entydig innenfor elementet rundt",
    "alike": "Feltene som en rad uten nøkkel kjennes igjen på: er de like, er det samme element",
    "belongs": "Feltet som peker på elementet som listen står inne i",
    "orphans": "Listen der elementer står når de ikke hører til noe",
    "where": "Hvilke rader i listen som er av dette slaget",
    "set": "Felles verdier som alle rader her har",
    "person": "Personen står samlet: en tabell under persons, eller en her",
    "written_on": "Stedet for datoen teksten ble skrevet",
    "was": "Bare i en fil med extends: stedet der malen har listen",
    "status": "Bare i en fil med extends: remove fjerner det malen sier",
}  # fmt: skip


def mapping_schema() -> Schema:
    """Return the JSON Schema of a mapping file, override files included. Descriptions are bokmål."""
    whole = ["mapping", "version", "canonical", "origin", "payload", "when", "fields"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Kartlegging av en stafettloggmal",
        "type": "object",
        "properties": {key: _header(key) for key in HEADER_KEYS},
        "additionalProperties": False,
        "if": {"required": ["extends"]},
        "then": {"required": ["extends", "version"]},
        "else": {"required": whole},
        "$defs": _definitions(),
    }


def _header(key: str) -> Schema:
    pointers: Schema = {"type": "array", "items": _POINTER}
    texts: Schema = {"type": "object", "additionalProperties": _WORD, "propertyNames": _POINTER}
    sample: Schema = {
        "type": "object", "properties": {"record": _WORD, "expect": _WORD}, "required": ["record", "expect"],
        "additionalProperties": False,
    }  # fmt: skip
    forms: dict[str, Schema] = {
        "mapping": {"type": "string", "pattern": f"^{IDENTITY}$"},
        "extends": {"type": "string", "pattern": f"^{IDENTITY}$"},
        "version": {"type": ["integer", "string"], "minimum": 1, "pattern": "^[1-9][0-9]*$"},
        "canonical": {"const": SCHEMA},
        "origin": {"enum": list(ORIGINS)},
        "payload": {"anyOf": [{"enum": list(KINDS)}, {
            "type": "object", "properties": {"kind": {"enum": list(KINDS)}}, "required": ["kind"],
        }]},
        "when": _conditions(record=True),
        "volatile": pointers,
        "on_create": texts,
        "new_ids": {"enum": list(NEW_IDS)},
        "part": {"enum": [str(part) for part in Part]},
        "writer": _writer(),
        "own": {"type": "array", "items": {"enum": [str(service) for service in Service]}},
        "required": {"type": "array", "items": {"enum": list(names(RelayLog))}},
        "unknown": {"enum": ["keep", "hold", "default"]},
        "codes": {"type": "object", "additionalProperties": {"$ref": "#/$defs/list"}},
        "persons": {"type": "object", "additionalProperties": {"type": "object"}},
        "fields": {"$ref": "#/$defs/RelayLog"},
        "tests": {"type": "array", "items": sample},
    }  # fmt: skip
    return _described(key, _or_removed(forms[key]) if key in _OPTIONAL else forms[key])


def _definitions() -> Schema:
    found: Schema = _SHARED | {f"rule-{name}": _rule(one) for name, one in _kinds().items()}
    if part := target(Element, "part"):
        found["rule-part"] = _rule(part)
    found |= {
        "RelayLog": _fields(RelayLog, lists=True),
        "list": {"type": "object", "additionalProperties": False, "properties": {
            key: _option(key, None) for key in CODE_KEYS
        }},
    }  # fmt: skip
    for name, model in COLLECTIONS.items():
        found[model.__name__] = _fields(model, lists=any(name in references(one).values() for one in _MODELS))
        found[f"rows-{name}"] = _rows(model)
    return found


_MODELS = tuple(COLLECTIONS.values())


def _fields(model: type[Frozen], *, lists: bool) -> Schema:
    """Return the schema of a `fields` map: one rule for each path that the model has there."""
    properties: Schema = {}
    for name in names(model):
        found = target(model, name)
        if found is None or (model in _MODELS and name in BESIDE_EACH) or name in ("id", "canonical"):
            continue
        rule = _or_removed(_values(found.model)) if found.model else _rule_of(found)
        properties[name] = _titled(rule, field_label(*_owner(model, name)))
    for name in model.model_fields:
        inner = nested_model(model, name)
        if inner is not None and target(model, name) is None:
            properties[name] = _titled(_person(("at", "person", "one_way")), field_label(model, name))
    for name, element in COLLECTIONS.items() if lists else ():
        if model is RelayLog or _stands_in(element, model):
            properties[f"{name}[]"] = {
                "title": element.label.text("nb"),
                "anyOf": [_rows_of(name), {"type": "array", "items": _rows_of(name)}, _REMOVE],
            }  # fmt: skip
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _rows_of(name: str) -> Schema:
    return {"$ref": f"#/$defs/rows-{name}"}


def _stands_in(element: type[Frozen], model: type[Frozen]) -> bool:
    return any(COLLECTIONS[collection] is model for collection in references(element).values())


def _owner(model: type[Frozen], name: str) -> tuple[type[Frozen], str]:
    first, _, rest = name.partition(".")
    inner = nested_model(model, first)
    return _owner(inner, rest) if rest and inner else (model, first)


def _kinds() -> dict[str, Target]:
    """Return one target of each kind of value in the model, by the name of its rules."""
    models = (RelayLog, *_MODELS, Signer)
    found = (target(model, name) for model in models for name in names(model))
    return {_kind(one): one for one in found if one and one.model is None}


def _kind(found: Target) -> str:
    first = next(iter(found.members.values()), None)
    codes = type(first).__name__ if isinstance(first, Enum) else "-".join(found.members)
    return "-".join(filter(None, ["list" if found.many else "", codes.replace("/", "-") or found.kind]))


def _rule_of(found: Target) -> Schema:
    return {"$ref": f"#/$defs/rule-{_kind(found)}"}


def _rule(found: Target) -> Schema:
    keys = option_keys(found, part=Part.OWN in found.members.values())
    long: Schema = {
        "type": "object", "properties": {key: _option(key, found) for key in keys}, "additionalProperties": False,
    }  # fmt: skip
    return {"anyOf": [_POINTER, long, _REMOVE]}


def _values(model: type[Frozen]) -> Schema:
    properties: Schema = {
        "each": _described("each", _POINTER),
        "one_way": _described("one_way", {"const": "read"}),
        "fields": _fields(model, lists=False),
    }
    place: Schema = {
        "type": "object", "additionalProperties": False, "required": ["fields"],
        "properties": {"set": _described("set", _constants(model)), "fields": properties["fields"]},
    }  # fmt: skip
    listed: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"anyOf": [listed, {"type": "array", "items": place, "minItems": 1}]}


def _constants(model: type[Frozen]) -> Schema:
    known: Schema = {"enum": list(model.model_fields)}
    return {"type": "object", "propertyNames": known, "additionalProperties": _WORD}


def _rows(model: type[Frozen]) -> Schema:
    belongs = list(references(model))
    written_on = target(model, "written_on")
    forms: dict[str, Schema] = {
        "each": _POINTER, "slot": _WORD, "at": _POINTER, "was": _WORD,
        "key": {"anyOf": [_POINTER, {"type": "array", "items": _POINTER}]},
        "key_within": {"const": "parent"},
        "alike": {"type": "array", "items": _WORD},
        "belongs": {"enum": belongs} if belongs else {"not": {}},
        "orphans": _POINTER,
        "where": _conditions(record=False),
        "set": _constants(model),
        "on_create": {"type": "object", "additionalProperties": _WORD, "propertyNames": _POINTER},
        "person": _person(("at", "table")),
        "part": {"anyOf": [{"enum": [str(part) for part in Part]}, {"$ref": "#/$defs/rule-part"}]},
        "writer": _writer(),
        "written_on": _rule_of(written_on) if written_on else {},
        "one_way": {"const": "read"},
        "fields": {"$ref": f"#/$defs/{model.__name__}"},
        "status": {"const": "remove"},
    }  # fmt: skip
    keys = (*ROWS_KEYS, "was", "status")
    properties = {key: _described(key, forms[key] if key in _FIXED else _or_removed(forms[key])) for key in keys}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _person(keys: tuple[str, ...]) -> Schema:
    forms: dict[str, Schema] = {
        "at": _POINTER, "one_way": {"const": "read"}, "table": _WORD,
        "person": {"anyOf": [_WORD, {"type": "object"}]},
    }  # fmt: skip
    long: Schema = {"type": "object", "properties": {key: forms[key] for key in keys}, "additionalProperties": False}
    return {
        "anyOf": [
            _WORD,
            long,
            _REMOVE,
            {"type": "object", "additionalProperties": {"anyOf": [_POINTER, {"type": "object"}]}},
        ]
    }


def _writer() -> Schema:
    found = target(Element, "writer")
    services: Schema = {"enum": [str(service) for service in Service]}
    return {"anyOf": [services, _rule_of(found)] if found else [services]}


def _conditions(*, record: bool) -> Schema:
    words: Schema = {"anyOf": [_WORD, {"type": "array", "items": _WORD, "minItems": 1}]}
    one: Schema = {"anyOf": [_WORD, {
        "type": "object", "properties": {"not": words, "in": {"type": "array", "items": _WORD, "minItems": 1}},
        "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
    }, _REMOVE]}  # fmt: skip
    properties: Schema = {"has": {"type": "array", "items": _POINTER, "description": "Steder der det må stå noe"}}
    if record:
        properties["root"] = {"type": "string", "description": "Rotelementet i XML: {navnerom}navn"}
        properties["form"] = {**words, "description": "Skjemaets fingeravtrykk, eller ledetekster som må finnes"}
    return {"type": "object", "properties": properties, "patternProperties": {"^/": one}, "additionalProperties": False}


def _option(key: str, found: Target | None) -> Schema:
    members = list(found.members) if found else []
    codes: Schema = {"enum": [*members, *(int(one) for one in members if one.isdigit())]} if members else _WORD
    table: Schema = {"type": "object", "additionalProperties": {"anyOf": [codes, _REMOVE]}}
    several: Schema = {"anyOf": [_WORD, {"type": "array", "items": _WORD, "minItems": 1}]}
    forms: dict[str, Schema] = {
        "at": {"anyOf": [_POINTER, {"type": "array", "items": _POINTER, "minItems": 1}]},
        "one_way": {"const": "read"},
        "mark": {"enum": [True, "true"]},
        "number": {"const": "text"},
        "words": {"enum": ["nb", "nn"]},
        "unknown": {"enum": ["keep", "hold", "default"]},
        "date": several, "instant": several,
        "bool": {"type": "object", "properties": {"yes": several, "no": several}, "required": ["yes", "no"],
                 "additionalProperties": False},
        "codes": {"anyOf": [{"type": "string"}, table]},
        "read_as": table,
        "write_as": {"type": "object", "additionalProperties": {"anyOf": [_WORD, _REMOVE]}},
        "keep": {"type": "array", "items": codes},
        "default": codes if found and found.kind == "code" else _WORD,
        "const": codes if found and found.kind == "code" else _WORD,
    }  # fmt: skip
    return _described(key, _or_removed(forms.get(key, _WORD)))


def _or_removed(form: Schema) -> Schema:
    alternatives = form.get("anyOf")
    if len(form) == 1 and isinstance(alternatives, list):
        return {"anyOf": [*alternatives, _REMOVE]}
    return {"anyOf": [form, _REMOVE]}


def _described(key: str, form: Schema) -> Schema:
    return {"description": _PLAIN[key], **form}


def _titled(form: Schema, label: Label) -> Schema:
    return {"title": label.text("nb"), **form}
