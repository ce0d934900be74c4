"""Judge prompt templates as text files, and their loader."""

from prompts.errors import PromptError
from prompts.loader import built_in_prompts, load_prompt
from prompts.neutralise import neutralise
from prompts.shown import ChatMessage, Shown, conversation
from prompts.template import JudgePrompt, Rendered, VerdictFormat

__all__ = [
    "ChatMessage",
    "JudgePrompt",
    "PromptError",
    "Rendered",
    "Shown",
    "VerdictFormat",
    "built_in_prompts",
    "conversation",
    "load_prompt",
    "neutralise",
]
