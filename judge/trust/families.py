"""Which family a model belongs to, told from its name.

A heuristic: names follow no rule, and a fine-tuned model is of its base model's family only where
its name says so.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from calibration.agreement import Codes, Index

_FAMILIES = {
    "deepseek": r"deepseek",
    "eleuther": r"gpt-?(?:j|neo)",
    "gpt": r"[a-z]*gpt|^o[1-9](?![0-9a-z])|(?:text-)?davinci|codex",
    "claude": r"claude",
    "gemini": r"gemini|palm(?![a-z])|bard(?![a-z])|(?:text|chat)-bison",
    "gemma": r"[a-z]*gemma",
    "llama": r"[a-z]*llama",
    "mistral": r"mi[sx]tral|ministral|magistral|codestral|pixtral|devstral",
    "qwen": r"[a-z]*qwen|qwq|qvq",
    "phi": r"phi(?![a-z])",
    "command": r"command(?![a-z])|c4ai|aya(?![a-z])",
    "grok": r"grok",
    "nova": r"nova(?![a-z])",
    "glm": r"(?:chat)?glm",
    "kimi": r"kimi|moonshot",
}
"""Family -> how its names begin, where a word begins; the family named first in a name counts."""

_NAMED = re.compile(
    r"(?<![a-z0-9])(?:"
    + "|".join(f"(?P<{family}>{pattern})" for family, pattern in _FAMILIES.items())
    + ")"
)
_WORD = re.compile(r"[^\W\d_]{2,}")


@lru_cache(maxsize=4096)
def family_of(model: str) -> str | None:
    """Return the family that a model's name tells, in lower case; None for a name of no word.

    The part after the last slash decides, by the first family named in it: `openai/gpt-4o` is
    "gpt", `o3-mini` too, `Mixtral-8x7B` is "mistral", `DeepSeek-R1-Distill-Llama-8B` "deepseek".
    Any other name is of the family of its first word: `vicuna-13b` is "vicuna".
    """
    name = model.lower().rstrip("/").rpartition("/")[2]
    if named := _NAMED.search(name):
        return named.lastgroup
    word = _WORD.search(name)
    return None if word is None else word.group()


def own_family_codes(
    judge_model: str, systems: Sequence[str | None], *, first: Index, second: Index
) -> Codes | None:
    """Return 1 where only the first answer is of the judge's family, -1 where only the second is.

    Shape (n_pairs,), else 0. `first` and `second` are places in `systems`, the names of the
    models that answered. A pair with an answer of unknown origin is 0, and None comes back where
    no pair has two known ones.
    """
    own = family_of(judge_model)
    families = [None if name is None else family_of(name) for name in systems]
    is_known = np.array([family is not None for family in families], bool)
    known = is_known[first] & is_known[second]
    if own is None or not known.any():
        return None
    is_own = np.array([family == own for family in families], np.int8)
    return np.where(known, is_own[first] - is_own[second], 0).astype(np.int8)
