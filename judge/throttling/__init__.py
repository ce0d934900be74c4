"""How hard an endpoint may be pushed: adaptive limit, rates, circuit breaker, and their gate."""
