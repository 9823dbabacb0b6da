from shelfwire.books.upstream.circuit_breaker import CircuitBreaker


def test_a_failure_of_before_does_not_count_as_the_trial() -> None:
    breaker = CircuitBreaker(1, 30.0)
    assert breaker.failed(0.0, probe=False)
    assert breaker.retry_in(30.0) is None
    assert breaker.start()
    assert not breaker.failed(31.0, probe=False)
    breaker.cancelled(probe=False)
    assert breaker.retry_in(31.0) == 0.0
    assert breaker.failed(32.0, probe=True)
    assert breaker.retry_in(32.0) == 30.0
