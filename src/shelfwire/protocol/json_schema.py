"""The JSON Schema of the wire messages, made from the types that encode and decode them."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from shelfwire.protocol.messages import MAX_MESSAGE_BYTES, TYPES, VERSION, Envelope

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
DESCRIPTION: Final = f"""\
Every frame on the progress socket is one such message, and so is the data of every server-sent event. Integers are
written without fraction and exponent. Optional fields that are unset are left out and never null. A reader ignores
fields and types it does not know. No message reaches {MAX_MESSAGE_BYTES} bytes."""

Schema = dict[str, Any]


def message_schema() -> Schema:
    """The JSON Schema (2020-12) of all messages: one branch for each type, distinguished by the constant `type`."""
    template = "#/$defs/{name}"
    return {
        "$schema": DIALECT,
        "$id": f"urn:shelfwire:messages:{VERSION}",
        "title": "Message",
        "description": DESCRIPTION,
        "oneOf": branches(template),
        "$defs": message_components(template),
    }


def branches(ref_template: str) -> list[Schema]:
    """One reference for each type of message.

    Args:
        ref_template: the place of the envelopes, such as `#/$defs/{name}`.
    """
    return [{"$ref": ref_template.format(name=envelope_name(name))} for name in TYPES]


def message_components(ref_template: str) -> dict[str, Schema]:
    """The schemas that make up the messages, by name: each type's envelope, and the payloads with their parts.

    Args:
        ref_template: their place, such as `#/$defs/{name}`.
    """
    parts = components([Envelope, *TYPES.values()], ref_template)
    envelope = parts.pop(Envelope.__name__)
    envelopes = {envelope_name(name): _envelope_of(name, envelope, parts, ref_template) for name in TYPES}
    return envelopes | parts


def envelope_name(name: str) -> str:
    """The name of the schema of a whole message; the payload's own is that of its class."""
    return f"{TYPES[name].__name__}Message"


def components(
    types: Iterable[type[msgspec.Struct]], ref_template: str, *, take_null: bool = False
) -> dict[str, Schema]:
    """The schemas of some structs and of all that they refer to, by name.

    Args:
        types: the structs.
        ref_template: their place, such as `#/$defs/{name}`.
        take_null: whether fields that default to None may also be null, as in what is only read; what is written
            leaves them out.
    """
    _, schemas = msgspec.json.schema_components(types, ref_template=ref_template)
    return schemas if take_null else {name: _written(schema) for name, schema in schemas.items()}


def _envelope_of(name: str, envelope: Schema, parts: dict[str, Schema], ref_template: str) -> Schema:
    payload = TYPES[name].__name__
    fields = envelope["properties"]
    narrowed = {
        "type": fields["type"] | {"const": name},
        "version": fields["version"] | {"const": VERSION},
        "payload": {"$ref": ref_template.format(name=payload)},
    }
    own = {"title": envelope_name(name), "description": parts[payload]["description"]}
    return envelope | own | {"properties": fields | narrowed}


def _written(schema: Schema) -> Schema:
    """A struct as it is written: fields that are None are left out."""
    properties = {name: _present(field) for name, field in schema.get("properties", {}).items()}
    return schema | ({"properties": properties} if properties else {})


def _present(field: Schema) -> Schema:
    """The schema of a field that is left out if it is None."""
    if field.get("default", ...) is not None:
        return field
    kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
    kept = {key: value for key, value in field.items() if key not in {"anyOf", "default"}}
    return kept | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})
