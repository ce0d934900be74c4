"""Random numbers that are functions of what they are about: no generator, no state."""

from hashlib import blake2b

NUMBERS = 8
"""Independent numbers in one digest."""


def digest(seed: int, purpose: bytes, *parts: bytes) -> bytes:
    """Return 64 bytes decided by all arguments; `purpose` (at most 16 bytes) keeps uses apart."""
    key = seed.to_bytes(8, "little")
    return blake2b(b"\0".join(parts), digest_size=64, key=key, person=purpose).digest()


def uniform(source: bytes, number: int) -> float:
    """Return one of the `NUMBERS` numbers in a digest, uniform in the open interval (0, 1)."""
    word = int.from_bytes(source[8 * number : 8 * number + 8], "little")
    # 52 bits and a half: the largest is still below 1 after rounding, so a normal quantile exists.
    return ((word >> 12) + 0.5) * 2.0**-52
