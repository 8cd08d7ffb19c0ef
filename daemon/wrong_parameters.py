"""What is wrong with parameters that don't fit, in one sentence that says what to do?

The validator says "Expected `str` of length >= 1 - at `$.query`". Covers finding the first parameter that is wrong of a
flat Struct, as the socket's methods and the tools of the MCP server take them. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec.inspect import (
    BoolType,
    Field,
    FloatType,
    IntType,
    ListType,
    Metadata,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    type_info,
)

SHOWN_CHARS = 60
WORDS: dict[type[Type], str] = {IntType: "a whole number", FloatType: "a number", BoolType: "true or false"}


def what_is_wrong(takes: type[msgspec.Struct], given: object, *, strict: bool = True) -> str:
    """Return why msgspec refuses to convert `given` to `takes`.

    `strict=False`: numbers in quotes are numbers, as they were when it refused.
    """
    shape = type_info(takes)
    assert isinstance(shape, StructType)
    fields = {field.encode_name: field for field in shape.fields}
    if not isinstance(given, Mapping):
        return f"the parameters are {_shown(given)}, they have to be an object{_such_as(fields)}"
    for name in given:
        if name not in fields:
            return _unknown(name, fields)
    for name, field in fields.items():
        if name not in given and field.required:
            return f"{name} is missing: give {_described(field)}"
        if name in given and not _fits(given[name], takes, name, strict=strict):
            return _refused(name, given[name], field)
    return "the parameters are not as they have to be"


def _fits(value: object, takes: type[msgspec.Struct], name: str, *, strict: bool) -> bool:
    declared = next(field.type for field in msgspec.structs.fields(takes) if field.encode_name == name)
    try:
        msgspec.convert(value, declared, strict=strict)
    except msgspec.ValidationError:
        return False
    return True


def _unknown(name: object, fields: Mapping[str, Field]) -> str:
    near = get_close_matches(str(name), fields, 1)
    known = f"it takes {', '.join(fields) or 'none'}"
    return f"there is no parameter {_shown(name)}: {f'did you mean {near[0]}?' if near else known}"


def _refused(name: str, value: object, field: Field) -> str:
    kind, wanted = _plain(field.type), _wanted(field.type)
    if isinstance(kind, StrType) and isinstance(value, str):
        if not value.strip():
            return f"{name} is empty: give {_described(field)}"
        return f"{name} has {len(value)} characters, at most {kind.max_length} are allowed"
    if isinstance(kind, ListType) and isinstance(value, list):
        at, wrong = next(((at, item) for at, item in enumerate(value) if not isinstance(item, str)), (0, None))
        return f"{name}[{at}] is {_shown(wrong)}, it has to be {_wanted(kind.item_type)}"
    return f"{name} is {_shown(value)}, it has to be {wanted}"


def _wanted(declared: Type) -> str:
    kind = _plain(declared)
    if isinstance(kind, ListType):
        return "a list of texts"
    word = WORDS.get(type(kind), "a text")
    if not isinstance(kind, IntType | FloatType) or kind.ge is None:
        return word
    return f"{word}, {kind.ge:g} or more" if kind.le is None else f"{word} from {kind.ge:g} to {kind.le:g}"


def _described(field: Field) -> str:
    """What a parameter is, in the words of its declaration."""
    about = (field.type.extra_json_schema or {}).get("description", "") if isinstance(field.type, Metadata) else ""
    return about[:1].lower() + about[1:].rstrip(".") or _wanted(field.type)


def _plain(declared: Type) -> Type:
    """The type itself, without its description and without null."""
    while isinstance(declared, Metadata | UnionType):
        declared = (
            declared.type
            if isinstance(declared, Metadata)
            else next(one for one in declared.types if not isinstance(one, NoneType))
        )
    return declared


def _such_as(fields: Mapping[str, Field]) -> str:
    example = {name: "..." for name, field in fields.items() if field.required}
    return f" such as {json.dumps(example)}" if example else ""


def _shown(value: Any) -> str:
    """A value as JSON, its beginning if it is long."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 3]}..."
