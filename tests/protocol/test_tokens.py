import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.errors import Code, ErrorCode, ShelfwireError
from shelfwire.protocol.tokens import (
    ALL_SCOPES,
    MAX_GRANTS,
    MAX_REPEATS,
    Grant,
    Scope,
    check,
    derive,
    digest,
    issue,
    may_add,
    mint,
    opens,
)

TOKEN = mint(bytes(range(32)))


def grant(scopes: frozenset[Scope] = ALL_SCOPES, expires_at: int | None = None) -> Grant:
    return Grant(digest=digest(TOKEN), job_id="mine", scopes=scopes, expires_at=expires_at)


def refusal(
    known: Grant | None, token: str, job_id: str = "mine", scope: Scope = Scope.WATCH, now: int = 0
) -> ErrorCode:
    with pytest.raises(ShelfwireError) as refused:
        check(known, token, job_id, scope, now=now)
    return refused.value.code


@given(st.binary(min_size=32, max_size=32))
def test_a_token_is_url_safe_and_holds_all_its_random_bits(random: bytes) -> None:
    token = mint(random)
    assert len(token) == 43
    assert token.replace("-", "").replace("_", "").isalnum()


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_different_random_bytes_give_different_tokens(one: bytes, other: bytes) -> None:
    assert (mint(one) == mint(other)) == (one == other)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_token_of_fewer_or_more_random_bits_is_never_made(size: int) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        mint(bytes(size))


def test_only_the_sha256_of_a_token_is_stored() -> None:
    assert digest(TOKEN) == hashlib.sha256(TOKEN.encode()).digest()


@pytest.mark.parametrize("scope", sorted(ALL_SCOPES))
def test_the_right_token_passes_for_every_scope_it_has(scope: Scope) -> None:
    check(grant(), TOKEN, "mine", scope, now=0)


def test_a_wrong_token_another_jobs_token_and_no_such_job_look_the_same() -> None:
    refusals = [
        refusal(None, TOKEN),
        refusal(grant(), "wrong"),
        refusal(grant(), TOKEN, job_id="another"),
        refusal(grant(), "\ud800"),
        refusal(grant(), ""),
    ]
    assert set(refusals) == {Code.UNAUTHORIZED}


def test_only_the_holder_of_a_token_learns_that_it_has_expired() -> None:
    assert refusal(grant(expires_at=5), TOKEN, now=5) is Code.TOKEN_EXPIRED
    assert refusal(grant(expires_at=5), "wrong", now=5) is Code.UNAUTHORIZED
    assert refusal(grant(expires_at=5), TOKEN, job_id="another", now=5) is Code.UNAUTHORIZED
    check(grant(expires_at=5), TOKEN, "mine", Scope.WATCH, now=4)


def test_a_token_without_the_scope_is_forbidden_and_the_scope_named() -> None:
    watch_only = grant(frozenset({Scope.WATCH}))
    check(watch_only, TOKEN, "mine", Scope.WATCH, now=0)
    with pytest.raises(ShelfwireError, match="control") as refused:
        check(watch_only, TOKEN, "mine", Scope.CONTROL, now=0)
    assert refused.value.code is Code.FORBIDDEN


NARROW = frozenset({Scope.WATCH, Scope.CONTROL})


def test_a_token_requested_without_scopes_permits_what_the_callers_does() -> None:
    made = derive(grant(NARROW), b"new", scopes=None, ttl=None, now=7)
    assert made == Grant(digest=b"new", job_id="mine", scopes=NARROW)


def test_a_token_may_be_narrower_but_never_wider_than_the_callers() -> None:
    watching = frozenset({Scope.WATCH})
    assert derive(grant(NARROW), b"new", scopes=watching, ttl=None, now=7).scopes == watching
    with pytest.raises(ShelfwireError, match="results") as refused:
        derive(grant(NARROW), b"new", scopes=ALL_SCOPES, ttl=None, now=7)
    assert refused.value.code is Code.FORBIDDEN


@pytest.mark.parametrize(
    ("own", "requested", "lasts"), [(None, None, None), (None, 5, 5), (9, None, 9), (9, 5, 5), (9, 50, 9)]
)
def test_a_token_lasts_no_longer_than_the_callers_was_made_to(
    own: int | None, requested: int | None, lasts: int | None
) -> None:
    caller = issue(b"old", "mine", ttl=own, now=0)
    made = derive(caller, b"new", scopes=None, ttl=requested, now=100)
    assert made.ttl == lasts
    assert made.expires_at == (None if lasts is None else 100 + lasts)


def test_a_token_of_this_job_that_has_not_expired_opens_it() -> None:
    grant = Grant(digest=b"d" * 32, job_id="job-1", expires_at=10)
    assert opens(grant, "JOB-1", now=9)
    assert opens(Grant(digest=b"d" * 32, job_id="job-1"), "job-1", now=10**15)
    assert not opens(grant, "job-1", now=10)
    assert not opens(grant, "job-2", now=9)


@pytest.mark.parametrize(
    ("lasting", "replacing", "repeated", "allowed"),
    [
        (MAX_GRANTS - 1, False, False, True),
        (MAX_GRANTS, False, False, False),
        (MAX_GRANTS, True, False, True),
        (MAX_GRANTS + MAX_REPEATS - 1, True, True, True),
        (MAX_GRANTS + MAX_REPEATS, True, True, False),
    ],
)
def test_a_full_job_lets_tokens_be_replaced_and_a_lost_answer_be_asked_for_again(
    lasting: int, *, replacing: bool, repeated: bool, allowed: bool
) -> None:
    assert may_add(lasting, replacing=replacing, repeated=repeated) is allowed
