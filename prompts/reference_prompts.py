"""The two prompts by which a reference answer is checked: answering, and comparing answers."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from prompts.files import toml_table
from prompts.neutralise import neutralise
from prompts.text import cut_at_holes


@dataclass(frozen=True, slots=True)
class Comparison:
    """A prompt that asks whether two answers come to the same result."""

    system: str
    user: str


def own_answer_system() -> str:
    """Return the system message under which a model answers by itself, reference unseen."""
    return _text("own-answer", "system")


def comparison(*, question: str, reference: str, answer: str) -> Comparison:
    """Return the prompt that compares an answer with a reference; texts are neutralised."""
    texts = {
        name: neutralise(text)[0]
        for name, text in (("question", question), ("reference", reference), ("answer", answer))
    }
    user = cut_at_holes(_text("compare", "user"), "prompt compare").filled(texts)
    return Comparison(_text("compare", "system"), user)


@cache
def _text(name: str, key: str) -> str:
    resource = files("prompts") / "references" / f"{name}.toml"
    return str(toml_table(resource.read_bytes(), f"built-in prompt {name}")[key]).strip()
