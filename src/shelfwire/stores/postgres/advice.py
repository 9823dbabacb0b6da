"""What to do about a database that cannot be used: the usual mistakes in its URL and in how it is set up.

A connection that fails has no SQLSTATE, only a text: PostgreSQL's, in the server's language, libpq's, a pooler's. Where
none of the patterns is found the text stands alone.
"""

import re
from collections.abc import Sequence
from typing import Final

_ADVICE: Final[Sequence[tuple[str, str]]] = (
    (
        r"role \S+ does not exist",
        "Make the role with: createuser --pwprompt NAME; or correct the user in the URL",
    ),
    (
        r"database \S+ does not exist|no such database",
        "Make it with: createdb --owner ROLE NAME; or correct the name at the end of the URL",
    ),
    (
        r"password authentication failed|no password supplied|authentication failed",
        "Check the user and the password in the URL; characters such as @ : / # are percent-encoded there, @ as %40",
    ),
    (
        r"no pg_hba\.conf entry",
        "Allow this user from this machine in the server's pg_hba.conf, or add ?sslmode=require if it wants encryption",
    ),
    (
        r"does not support ssl",
        (
            "A database on another machine is reached by TLS, unless the URL says otherwise. Switch ssl on there, or, "
            "where nobody can be between, add ?sslmode=disable to the URL"
        ),
    ),
    (
        r"root certificate file|certificate verify failed|self-signed certificate|issuer certificate",
        (
            "The server's certificate is of an authority that this machine does not know. Name that one's in the URL: "
            "?sslrootcert=/path/of/ca.pem; or, where nobody can be between, add ?sslmode=require"
        ),
    ),
    (
        r"does not match host name",
        (
            "The server's certificate is for another name. Use that name in the URL; or add ?sslmode=verify-ca, which "
            "takes every name of an authority that you name by sslrootcert"
        ),
    ),
    (
        r"connection refused",
        "Check that it runs, and that it listens on the host and port of the URL (listen_addresses, port)",
    ),
    (
        r"failed to resolve|could not translate host|name or service not known",
        "Check the host in the URL",
    ),
    (
        r"timeout expired|timed out|no route to host|network is unreachable",
        "Check the host and the port in the URL, and firewalls between",
    ),
    (
        r"too many clients|too many connections|connection slots|no more connections allowed",
        "Raise max_connections there, lower database_pool here, or put a pooler between",
    ),
    (
        r"session is read-only|read-only transaction|standby mode|in recovery",
        "It is a standby. Name the primary in the URL, or all hosts: postgresql://user:password@one,two/name",
    ),
    (
        r"permission denied",
        (
            "Give the role the right to make a schema: GRANT CREATE ON DATABASE name TO role; or make the role the "
            "owner of the database"
        ),
    ),
)


def with_advice(text: str) -> str:
    """Return a text with what to do about it, as far as that is known."""
    for pattern, advice in _ADVICE:
        if re.search(pattern, text, re.IGNORECASE):
            return f"{text}. {advice}"
    return text
