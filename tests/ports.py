"""Ports for servers that have to come back to theirs."""

import random
import socket
from typing import Final

PORTS: Final = range(20_000, 32_000)
"""Below the ephemeral range: a client that reconnects to a port of that range while nobody listens may meet itself."""


def free_port() -> int:
    """Find a port that a server can come back to after each kill."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - a port is no secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
