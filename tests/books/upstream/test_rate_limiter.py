from shelfwire.books.upstream.rate_limiter import RateLimiter


def test_a_rate_limiter_knows_how_long_until_the_next() -> None:
    limiter = RateLimiter(2, 1.0)
    limiter.start(0.0)
    assert limiter.delay(0.0) == 0.0
    limiter.start(0.25)
    assert limiter.delay(0.5) == 0.5
    assert limiter.delay(1.0) == 0.0


def test_what_begins_is_spread_over_the_period_and_catches_up_what_was_late() -> None:
    limiter = RateLimiter(10, 1.0, burst=2)
    begun = [0.0, 0.0]
    limiter.start(0.0)
    limiter.start(0.0)
    now = 0.0
    while len(begun) < 40:
        now += limiter.delay(now)
        # Each timer is late by a fiftieth of a second.
        now += 0.02
        limiter.start(now)
        begun.append(now)
    assert max(sum(at <= other < at + 1.0 for other in begun) for at in begun) <= 10
    assert max(sum(at <= other < at + 0.15 for other in begun) for at in begun) <= 2
    assert begun[-1] <= 4.1, "forty in four seconds, but for the last timer"
