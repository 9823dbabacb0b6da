"""Starts jobs from inside the process, for the application that shelfwire is part of."""

import hashlib
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypedDict

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.remote_draft import clean_metadata
from shelfwire.jobs.service import JobService, Terms, Token
from shelfwire.jobs.store import Idempotency
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.tokens import ALL_SCOPES, Scope, canonical

MAX_TAGS: Final = 10
TAG_PATTERN: Final = r"^[a-z0-9][a-z0-9_.:@/-]{0,99}$(?!\n)"


class Wanted(TypedDict, total=False):
    """What an application may want of a job that it starts.

    Attributes:
        metadata: describes the inputs to followers; by default their size.
        idempotency_key: the same key with the same request gives the same job, and one more token for it; with another
            request it is refused. It lasts as long as the job.
        job_id: the application's own choice of a UUID.
        scopes: what the token allows; everything by default.
        token_ttl: seconds for which the token is valid, where the server's setting is not less.
        tags: up to 10 words by which the job is found later, each up to 100 of a-z, 0-9 and _.:@/-
        callback_url: an address that is called when the job has ended; its host is in the setting `callback_hosts`.
    """

    metadata: Metadata
    idempotency_key: str
    job_id: str
    scopes: Collection[str]
    token_ttl: int
    tags: Sequence[str]
    callback_url: str | None


async def start(service: JobService, pipeline: str, inputs: Mapping[str, bytes], wanted: Wanted) -> Token:
    """Start a job.

    Args:
        service: the engine.
        pipeline: the name of the pipeline.
        inputs: what it reads, by name, the options among it.
        wanted: what else is wanted; an address to call was admitted.

    Raises:
        ShelfwireError: see `app.Shelfwire.start`.
    """
    terms = _terms(wanted)
    job_id = None if "job_id" not in wanted else _job_id(wanted["job_id"])
    metadata = wanted.get("metadata") or Metadata(file_size=sum(map(len, inputs.values())))
    idempotency = None
    if "idempotency_key" in wanted:
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(inputs.items())}
        same = [pipeline, job_id, digests, terms.tags, terms.callback_url]
        idempotency = Idempotency(key=_digest(["application", wanted["idempotency_key"]]), fingerprint=_digest(same))
    async with service.upload() as upload:
        for name, data in inputs.items():
            await upload.write(name, data)
        return await service.create(
            upload, pipeline, clean_metadata(metadata), job_id=job_id, idempotency=idempotency, terms=terms
        )


def _terms(wanted: Wanted) -> Terms:
    tags, scopes = tuple(wanted.get("tags", ())), frozenset(wanted.get("scopes", ALL_SCOPES))
    if isinstance(wanted.get("tags"), str):
        raise _invalid("tags must be a list of texts")
    for tag in tags:
        if not re.fullmatch(TAG_PATTERN, tag):
            raise _invalid(f"The tag {tag[:200]!r} is not up to 100 of a-z, 0-9 and _.:@/-, a letter or digit first")
    if len(tags) > MAX_TAGS:
        raise _invalid(f"A job has {MAX_TAGS} tags at most")
    if not scopes or not scopes <= ALL_SCOPES:
        raise _invalid(f"A token has one scope at least, of: {', '.join(sorted(ALL_SCOPES))}")
    ttl = wanted.get("token_ttl")
    if ttl is not None and ttl <= 0:
        raise _invalid("A token is valid for a second at least")
    return Terms(
        tags=tags,
        callback_url=wanted.get("callback_url"),
        scopes=frozenset(map(Scope, scopes)),
        token_ttl=None if ttl is None else ttl * 1000,
    )


def _job_id(text: str) -> str:
    try:
        return canonical(str(uuid.UUID(text)))
    except ValueError:
        raise _invalid("job_id must be a UUID; leave it out to get one") from None


def _digest(value: Any) -> bytes:
    return hashlib.sha256(msgspec.json.encode(value)).digest()


def _invalid(reason: str) -> ShelfwireError:
    return ShelfwireError(Code.INVALID_REQUEST, reason)
