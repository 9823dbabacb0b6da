"""Writes `src/messages.gen.ts` and `src/codes.gen.ts` from the schemas and the table of error codes.

With --check it only says whether they are stale. Run it as `make client`.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from shelfwire.app import Shelfwire
from shelfwire.errors import known_codes
from shelfwire.protocol.json_schema import message_schema

SOURCES: Final = Path(__file__).with_name("src")
HEAD: Final = "// Made by generate.py from the server's schemas. Do not edit.\n"
DOCUMENTS: Final = ("State", "ResultPage")
"""The documents of HTTP answers that the client hands on, with all that they refer to."""
_PLAIN: Final[Mapping[str, str]] = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}
_NAME: Final = re.compile(r"[A-Za-z_]\w*")


def messages() -> str:
    """The types of the messages, and of the documents in HTTP answers."""
    schema = message_schema()
    parts: dict[str, Any] = schema["$defs"] | _documents()
    union = " | ".join(_name(branch) for branch in schema["oneOf"])
    declarations = "".join(f"\n{_declared(name, part)}" for name, part in sorted(parts.items()))
    return f"{HEAD}{declarations}\nexport type Message = {union};\n"


def codes() -> str:
    """The table of error codes, a constant for each, so that a bundler keeps only those that are used."""
    entries = "".join(
        f"\nexport const {code} = {{ code: {json.dumps(code)}, retryable: {json.dumps(code.entry.retryable)}, "
        f"message: {_text(code.entry.message)}, userMessage: {_text(code.entry.user_message)} }} as const;\n"
        for code in sorted(known_codes())
    )
    return HEAD + entries


GENERATED: Final = {"messages.gen.ts": messages, "codes.gen.ts": codes}


def _documents() -> dict[str, Any]:
    schemas = Shelfwire().openapi()["components"]["schemas"]
    found: dict[str, Any] = {}
    waiting = list(DOCUMENTS)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = schemas[name]
            waiting.extend(_references(schemas[name]))
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _name(schema)
        for part in schema.values():
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _declared(name: str, schema: Mapping[str, Any]) -> str:
    return f"{_comment(schema)}export type {name} = {_type(schema)};\n"


def _type(schema: Mapping[str, Any], indent: str = "") -> str:
    match schema:
        case {"$ref": _}:
            written = _name(schema)
        case {"const": value}:
            written = json.dumps(value)
        case {"enum": values}:
            written = " | ".join(json.dumps(value) for value in values)
        case {"anyOf": kinds}:
            written = " | ".join(_type(kind, indent) for kind in kinds)
        case {"type": "object", "properties": _}:
            written = _struct(schema, indent)
        case {"type": "object"}:
            written = "Record<string, unknown>"
        case {"type": "array", "prefixItems": items}:
            written = f"readonly [{', '.join(_type(item, indent) for item in items)}]"
        case {"type": "array"}:
            written = f"ReadonlyArray<{_type(schema.get('items', {}), indent)}>"
        case _:
            written = _PLAIN.get(schema.get("type", ""), "unknown")
    return written


def _struct(schema: Mapping[str, Any], indent: str) -> str:
    if not schema["properties"]:
        return "Record<string, never>"
    required = schema.get("required", ())
    deeper = f"{indent}  "
    members = "".join(
        f"{_comment(member, deeper)}{deeper}readonly {name if _NAME.fullmatch(name) else json.dumps(name)}"
        f"{'' if name in required else '?'}: {_type(member, deeper)};\n"
        for name, member in schema["properties"].items()
    )
    return f"{{\n{members}{indent}}}"


def _comment(schema: Mapping[str, Any], indent: str = "") -> str:
    return f"{indent}/** {schema['description']} */\n" if "description" in schema else ""


def _name(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def main(folder: Path = SOURCES, *, check: bool = False) -> int:
    """Write the files, or say with exit code 1 which are stale."""
    stale = [
        folder / name
        for name, made in GENERATED.items()
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != made()
    ]
    for path in stale:
        if check:
            sys.stderr.write(f"{path} is not what the server's schemas say. Write it with: make client\n")
        else:
            path.write_text(GENERATED[path.name](), encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv))
