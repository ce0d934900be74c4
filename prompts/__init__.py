"""Judge prompt templates as text files, and their loader."""

from prompts.errors import PromptError
from prompts.loader import built_in_prompts, load_prompt
from prompts.neutralise import neutralise
from prompts.template import JudgePrompt, Rendered

__all__ = [
    "JudgePrompt",
    "PromptError",
    "Rendered",
    "built_in_prompts",
    "load_prompt",
    "neutralise",
]
