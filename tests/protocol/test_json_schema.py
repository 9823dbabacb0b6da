"""The JSON Schema of the messages says what the encoder writes, and no more."""

import json
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from shelfwire.protocol.json_schema import envelope_name, message_schema
from shelfwire.protocol.messages import TYPES, Message, encode
from tests.wire import VECTORS, messages

GOLDEN: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_bytes()) for path in VECTORS}
SCHEMA = message_schema()
validator = Draft202012Validator(SCHEMA)


def test_it_is_a_schema_of_the_dialect_it_names() -> None:
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_golden_message_is_valid_as_its_type_and_no_other(name: str) -> None:
    validator.validate(GOLDEN[name])
    fitting = [
        other
        for other in TYPES
        if validator.evolve(schema={"$ref": f"#/$defs/{envelope_name(other)}", "$defs": SCHEMA["$defs"]}).is_valid(
            GOLDEN[name]
        )
    ]
    assert fitting == [name]


@given(messages)
def test_whatever_is_encoded_is_valid(message: Message) -> None:
    validator.validate(json.loads(encode(message)))


def required() -> list[tuple[str, str, str]]:
    fields = [
        (name, part, field)
        for name in TYPES
        for part, schema in (("envelope", envelope_name(name)), ("payload", TYPES[name].__name__))
        for field in SCHEMA["$defs"][schema]["required"]
    ]
    assert len(fields) > 6 * len(TYPES)
    return fields


@pytest.mark.parametrize(("name", "part", "field"), required())
def test_a_message_without_a_required_field_is_not_valid(name: str, part: str, field: str) -> None:
    broken = {**GOLDEN[name], "payload": dict(GOLDEN[name]["payload"])}
    del (broken["payload"] if part == "payload" else broken)[field]
    assert not validator.is_valid(broken)


def counts() -> list[tuple[str, str]]:
    fields = [
        (name, field)
        for name, payload in TYPES.items()
        for field, schema in SCHEMA["$defs"][payload.__name__]["properties"].items()
        if schema.get("minimum") == 0
    ]
    assert ("job_progress", "processedCount") in fields
    return fields


@pytest.mark.parametrize("value", [-1, 0.5, "7", None, True], ids=repr)
@pytest.mark.parametrize(("name", "field"), counts())
def test_a_count_that_is_no_natural_number_is_not_valid(name: str, field: str, value: Any) -> None:
    payload = GOLDEN[name]["payload"]
    validator.validate({**GOLDEN[name], "payload": {**payload, field: 7}})
    assert not validator.is_valid({**GOLDEN[name], "payload": {**payload, field: value}})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("job_started", {"type": "job_paused"}),
        ("job_started", {"version": "2.0.0"}),
        ("job_started", {"timestamp": -1}),
        ("job_started", {"seq": 1.5}),
        ("job_progress", {"payload": {"processedCount": 1, "currentTitle": "x" * 201}}),
        ("job_progress", {"payload": {"processedCount": 1, "userMessage": None}}),
        ("job_progress", {"payload": {"processedCount": 1, "currentItem": {"isbn": 9780743273565}}}),
        ("ping", {"payload": {"clientTime": "now"}}),
        ("sync_request", {"payload": None}),
    ],
    ids=str,
)
def test_what_no_encoder_of_ours_would_write_is_not_valid(name: str, change: dict[str, Any]) -> None:
    assert not validator.is_valid({**GOLDEN[name], **change})


@pytest.mark.parametrize("name", GOLDEN)
def test_fields_that_a_later_version_may_add_are_valid(name: str) -> None:
    payload = {**GOLDEN[name]["payload"], "x": [None]}
    validator.validate({**GOLDEN[name], "payload": payload, "x": 1})


def test_every_field_of_a_payload_says_what_it_means() -> None:
    silent = [
        (name, field)
        for name, schema in SCHEMA["$defs"].items()
        for field, about in schema.get("properties", {}).items()
        if "description" not in about and "$ref" not in about
    ]
    assert silent == []
    assert SCHEMA["$defs"]["JobComplete"]["properties"]["duration"]["description"] == (
        "Seconds from the start to the end."
    )
