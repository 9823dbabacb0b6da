"""The AsyncAPI 3.0 document of the progress socket, made from the types and tables that the socket itself uses."""

from typing import Any, Final

from shelfwire.protocol.close_codes import CLOSES
from shelfwire.protocol.json_schema import envelope_name, message_components
from shelfwire.protocol.messages import TYPES, VERSION

CHANNEL: Final = "progress"
FROM_CLIENTS: Final = ("ping", "sync_request")
SCHEMAS: Final = "#/components/schemas/{name}"
ABOUT: Final = """\
Live progress of long jobs. A client with a job's token attaches to the job and receives, whenever it attaches:
`job_started` if the job has started, the newest `job_progress`, and whatever follows, or the terminal message at once
if the job has ended. It may attach early, late or again, and any number of clients may attach to one job."""
CHANNEL_TEXT: Final = """\
One job's messages. The handshake is answered with 101; with 400 if there is no `jobId`; with 401 if the token is
missing, wrong, expired or revoked, or there is no such job; with 403 if the token lacks the scope `watch`; with 426 if
it is no upgrade; and with 503 and `Retry-After` if the server has too many followers. The terminal message,
`job_complete` or `error`, is followed by a close with 1000."""
LISTENING: Final = """\
A `ping` is answered with `pong` at once, a `sync_request` with the current state. Frames may be text or binary. Any
other frame is ignored; the twentieth closes the socket."""


def asyncapi(root: str = "") -> dict[str, Any]:
    """The document, as JSON values.

    Args:
        root: where shelfwire is mounted on its server.
    """
    sent = [name for name in TYPES if name not in FROM_CLIENTS]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "shelfwire progress",
            "version": VERSION,
            "description": ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {"shelfwire": _server(root)},
        "channels": {CHANNEL: _channel()},
        "operations": {
            "send": _operation("send", sent, "The messages from the server to a follower."),
            "receive": _operation("receive", FROM_CLIENTS, LISTENING),
        },
        "components": {
            "messages": {name: _message(name) for name in TYPES},
            "schemas": message_components(SCHEMAS),
            "securitySchemes": _SECURITY,
        },
    }


def _server(root: str) -> dict[str, Any]:
    return {
        "host": "{host}",
        **({"pathname": root} if root else {}),
        "protocol": "ws",
        "protocolVersion": "13",
        "description": "A shelfwire server; `wss` behind a proxy that terminates TLS.",
        "variables": {"host": {"default": "127.0.0.1:8787", "description": "Where `shelfwire serve` listens."}},
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in _SECURITY],
    }


def _channel() -> dict[str, Any]:
    return {
        "address": "/ws/progress",
        "title": "Progress of a job",
        "description": CHANNEL_TEXT,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in TYPES},
        "bindings": {"ws": {"method": "GET", "query": _QUERY, "bindingVersion": "0.1.0"}},
        "x-close-codes": [
            {"code": int(code), "name": code.name, "when": close.when, "reconnect": close.reconnect}
            for code, close in CLOSES.items()
        ],
    }


def _operation(action: str, names: Any, text: str) -> dict[str, Any]:
    channel = f"#/channels/{CHANNEL}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "summary": text,
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in names],
    }


def _message(name: str) -> dict[str, Any]:
    schema = envelope_name(name)
    return {"name": name, "title": schema, "payload": {"$ref": SCHEMAS.format(name=schema)}}


_QUERY: Final = {
    "type": "object",
    "required": ["jobId"],
    "properties": {
        "jobId": {"type": "string", "format": "uuid", "description": "The job."},
        "token": {"type": "string", "description": "The job's token, for clients that cannot send it in a header."},
        "after": {
            "type": "integer",
            "minimum": 0,
            "description": "The `seq` that the client has shown already; older messages are left out.",
        },
    },
}
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The job's token, in `Authorization`."},
    "subprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "`shelfwire.v1, shelfwire.bearer.<token>`; the server selects `shelfwire.v1`.",
    },
    "query": {
        "type": "httpApiKey",
        "in": "query",
        "name": "token",
        "description": "The job's token in the URL, which proxies may log.",
    },
}
