"""Parameters of a request, which come as text: of its query, and the options of the job that it creates."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from shelfwire.errors import Code, ShelfwireError

T = TypeVar("T", bound=msgspec.Struct)


def query_of(request: Request, kind: type[T]) -> T:
    """Read the query parameters of a request.

    Args:
        request: the request.
        kind: a struct whose fields are the parameters, under their encoded names. Others are ignored.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: one of them is missing or not valid; the message names it.
    """
    return from_text(request.query_params, kind)


def from_text(given: Mapping[str, str], kind: type[T]) -> T:
    """Convert texts to the fields of a struct, by their encoded names. Values that are no text are written as in JSON.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: one is missing or not valid, and the message names it and its values; or
            the struct refuses them together.
    """
    values = {}
    for field in _fields(kind):
        text = given.get(field.encode_name)
        if text is not None:
            values[field.name] = _value(field, text)
        elif field.required:
            raise ShelfwireError(Code.INVALID_REQUEST, f"{field.encode_name} is missing")
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:  # as msgspec has it, a struct may refuse its values so
        raise ShelfwireError(Code.INVALID_REQUEST, str(error)) from None


def names_of(kind: type[msgspec.Struct]) -> Sequence[str]:
    """Return the encoded names of a struct's fields."""
    return kind.__struct_encode_fields__


def _value(field: msgspec.structs.FieldInfo, text: str) -> Any:
    try:
        return msgspec.convert(text, field.type)
    except msgspec.ValidationError as error:
        reason = str(error)
    try:
        return msgspec.json.decode(text, type=field.type)
    except msgspec.ValidationError as error:
        reason = str(error)
    except msgspec.DecodeError:
        pass  # it is no JSON
    few = _few_values(field.type)
    reason = f"must be {few}" if few else f"is not valid: {reason}"
    raise ShelfwireError(Code.INVALID_REQUEST, f"{field.encode_name} {reason}")


@lru_cache(maxsize=256)
def _fields(kind: type[msgspec.Struct]) -> Sequence[msgspec.structs.FieldInfo]:
    return msgspec.structs.fields(kind)


def _few_values(kind: Any) -> str:
    """Return the values of a type in words, where they are few."""
    info = msgspec.inspect.type_info(kind)
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    match info:
        case msgspec.inspect.EnumType(cls=members):
            return f"one of: {', '.join(str(member.value) for member in members)}"
        case msgspec.inspect.LiteralType(values=values):
            return f"one of: {', '.join(map(str, values))}"
        case msgspec.inspect.BoolType():
            return "true or false"
        case _:
            return ""
