"""The AsyncAPI document is one by the official schema, and says of the socket what the code does."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from shelfwire.protocol.asyncapi import asyncapi
from shelfwire.protocol.close_codes import CLOSES, FINAL_CLOSE_CODES, CloseCode
from shelfwire.protocol.json_schema import envelope_name
from shelfwire.protocol.messages import TYPES
from tests.wire import VECTORS

OFFICIAL = Path(__file__).parent.parent / "asyncapi" / "3.0.0.json.gz"
DOCUMENT = asyncapi()


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    return Draft7Validator(json.loads(gzip.decompress(OFFICIAL.read_bytes())))


def pointed(reference: str) -> Any:
    """What a reference within the document points to."""
    node: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def references(node: Any) -> list[str]:
    match node:
        case {"$ref": str(reference)}:
            return [reference]
        case dict():
            return [found for value in node.values() for found in references(value)]
        case list():
            return [found for value in node for found in references(value)]
        case _:
            return []


@pytest.mark.parametrize("root", ["", "/shelfwire"])
def test_it_is_valid_by_the_official_schema_wherever_it_is_mounted(official: Draft7Validator, root: str) -> None:
    official.validate(asyncapi(root))


@pytest.mark.parametrize(
    ("place", "value"),
    [("channels", []), ("operations", {"send": {"action": "publish"}}), ("info", {"title": "x"}), ("extra", 1)],
)
def test_the_official_schema_refuses_what_is_no_such_document(
    official: Draft7Validator, place: str, value: object
) -> None:
    assert not official.is_valid({**DOCUMENT, place: value})


def test_every_reference_leads_somewhere() -> None:
    found = references(DOCUMENT)
    assert len(found) > 3 * len(TYPES)
    assert all(pointed(reference) for reference in found)


def test_each_message_is_sent_or_listened_to_and_none_is_both() -> None:
    sent, listened = (
        [reference["$ref"].rsplit("/", 1)[1] for reference in DOCUMENT["operations"][name]["messages"]]
        for name in ("send", "receive")
    )
    assert sorted([*sent, *listened]) == sorted(TYPES)
    assert sorted(listened) == ["ping", "sync_request"]


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_golden_message_is_valid_by_the_payload_of_its_name(path: Path) -> None:
    payload = DOCUMENT["components"]["messages"][path.stem]["payload"]
    assert payload["$ref"].endswith(f"/{envelope_name(path.stem)}")
    Draft7Validator({**payload, "components": DOCUMENT["components"]}).validate(json.loads(path.read_bytes()))


def test_every_close_code_is_there_with_what_a_client_does_about_it() -> None:
    codes = DOCUMENT["channels"]["progress"]["x-close-codes"]
    assert [entry["code"] for entry in codes] == sorted(CLOSES) == sorted(CloseCode)
    assert {entry["code"] for entry in codes if not entry["reconnect"]} == FINAL_CLOSE_CODES == {1000, 1008}
