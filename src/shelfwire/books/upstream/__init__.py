"""Requests to one outside service: rate limit, adaptive timeout, retries and circuit breaker."""
