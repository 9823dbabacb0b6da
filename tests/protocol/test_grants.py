import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.grants import ALL_SCOPES, Grant, Scope, check, digest, mint

TOKEN = mint(bytes(range(32)))


def grant(scopes: frozenset[Scope] = ALL_SCOPES, expires_at: int | None = None) -> Grant:
    return Grant(digest=digest(TOKEN), job_id="mine", scopes=scopes, expires_at=expires_at)


def refusal(known: Grant | None, token: str, job_id: str = "mine", scope: Scope = Scope.WATCH, now: int = 0) -> Code:
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


@pytest.mark.parametrize("scope", Scope)
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


def test_an_expired_token_is_told_so_only_to_who_holds_it() -> None:
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
