"""Counting the tokens of prompts before they are sent, and saying how sure the count is.

Best first: the model's own tokenizer, where tiktoken has it on this machine already; what the
endpoint counted for earlier prompts of the model; a rule of thumb by characters.
"""

import hashlib
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from judge.chat import ChatRequest
from judge.prices.pricing import HIGH_SHARE, LOW_SHARE, Range, estimate_tokens, prompt_tokens

RULE_OF_THUMB = "characters, 4 a token"
LEAST_MEASURED = 5
"""Prompts that a measure rests on; from fewer, one odd prompt would decide it."""
LEAST_SPREAD = 0.05
"""A count is never called surer than this, up or down."""
LEAST_REPLY_SPREAD = 0.1
TOKENIZER_SPREAD = 0.03
"""What a chat template adds is not told, nor what an endpoint does to a prompt."""
ENCODINGS = {
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}
"""tiktoken's encodings: the name of the file that it keeps of each, and that file's SHA-256. One
that is missing or damaged it would fetch, so both are looked at first."""


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts the tokens of one model's prompts."""

    source: str
    """How it counts, in words."""
    low_share: float
    high_share: float
    count_text: Callable[[str], int] = estimate_tokens
    scale: float = 1.0
    """Tokens of the endpoint for each one counted."""

    def prompt(self, request: ChatRequest) -> float:
        """Return about how many tokens the prompt of a request has."""
        return self.scale * prompt_tokens(request, self.count_text)

    def text(self, text: str) -> float:
        """Return about how many tokens a text has."""
        return self.scale * self.count_text(text)

    def range(self, tokens: float) -> Range:
        """Return the range that the true count of so many counted tokens likely lies in."""
        return Range(self.low_share * tokens, tokens, self.high_share * tokens)


BY_CHARACTERS = TokenCounter(RULE_OF_THUMB, LOW_SHARE, HIGH_SHARE)


def counter_for(model: str, measured: Sequence[tuple[int, int]] = ()) -> TokenCounter:
    """Return the best counter there is for a model, without asking any network.

    `measured` are earlier prompts of the model: tokens by the rule of thumb, and as its endpoint
    counted them.
    """
    return tiktoken_counter(model) or measured_counter(measured) or BY_CHARACTERS


def measured_counter(measured: Sequence[tuple[int, int]]) -> TokenCounter | None:
    """Return the rule of thumb scaled to what an endpoint counted; None without enough of it.

    The range is from the 10th to the 90th percentile of the prompts' own scales: another mix of
    languages or of code may lie anywhere there.
    """
    usable = [(guess, counted) for guess, counted in measured if guess > 0 and counted > 0]
    if len(usable) < LEAST_MEASURED:
        return None
    scale = sum(counted for _, counted in usable) / sum(guess for guess, _ in usable)
    scales = sorted(counted / guess / scale for guess, counted in usable)
    low, high = scales[len(scales) // 10], scales[-1 - len(scales) // 10]
    return TokenCounter(
        source=f"characters, scaled to {len(usable):,} prompts in the ledger",
        low_share=min(low, 1 - LEAST_SPREAD),
        high_share=max(high, 1 + LEAST_SPREAD),
        scale=scale,
    )


@cache
def tiktoken_counter(model: str) -> TokenCounter | None:
    """Return a counter by the model's own tokenizer.

    None for a model that tiktoken does not know, where it is not installed, and where it would
    have to fetch the encoding.
    """
    try:
        tiktoken = import_module("tiktoken")
        name = tiktoken.encoding_name_for_model(model.rpartition("/")[2])
    except (ImportError, KeyError):
        return None
    if name not in ENCODINGS or not _is_cached(name):
        return None
    encoding = tiktoken.get_encoding(name)
    return TokenCounter(
        source=f"tiktoken's {name}",
        low_share=1 - TOKENIZER_SPREAD,
        high_share=1 + TOKENIZER_SPREAD,
        count_text=lambda text: len(encoding.encode_ordinary(text)),
    )


def reply_percentiles(tokens: Sequence[int]) -> Range | None:
    """Return the tokens of one reply, by earlier ones: 10th percentile, mean, 90th percentile.

    At least a tenth below and above the mean. None where too few are known to tell.
    """
    if len(tokens) < LEAST_MEASURED:
        return None
    ordered = sorted(tokens)
    tenth = len(ordered) // 10
    mean = math.fsum(ordered) / len(ordered)
    least, most = (1 - LEAST_REPLY_SPREAD) * mean, (1 + LEAST_REPLY_SPREAD) * mean
    return Range(min(ordered[tenth], least), mean, max(ordered[-1 - tenth], most))


def _is_cached(name: str) -> bool:
    """Return whether tiktoken has an encoding on this machine, whole."""
    kept_as, digest = ENCODINGS[name]
    try:
        return hashlib.sha256((_cache_folder() / kept_as).read_bytes()).hexdigest() == digest
    except OSError:
        return False


def _cache_folder() -> Path:
    """Return where tiktoken keeps what it has fetched."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if variable in os.environ:
            return Path(os.environ[variable])
    return Path(tempfile.gettempdir()) / "data-gym-cache"
