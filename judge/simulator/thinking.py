"""Where a simulated judge's thinking goes, and what is left of a reply at a limit. Pure."""

from dataclasses import dataclass, replace

from judge.simulator.settings import Reasoning


@dataclass(frozen=True, slots=True)
class Said:
    """A reply as its fields hold it."""

    content: str
    finish_reason: str = "stop"
    reasoning: str = ""
    """What comes in a field of its own, before the content."""

    def cut_to(self, chars: int) -> "Said":
        """Return what is written when a limit of so many characters is reached, if it is."""
        if chars >= len(self.reasoning) + len(self.content):
            return self
        left = max(0, chars - len(self.reasoning))
        cut = replace(self, reasoning=self.reasoning[:chars], content=self.content[:left])
        return replace(cut, finish_reason="length")


def said_after(thinking: str, content: str, where: Reasoning) -> Said:
    """Return a reply that was thought about first."""
    match where:
        case Reasoning.FIELD:
            return Said(content, reasoning=thinking)
        case Reasoning.TAGS:
            return Said(f"<think>\n{thinking}\n</think>\n\n{content}")
        case Reasoning.ONLY:
            return Said("", reasoning=f"{thinking}\n\n{content}")
        case Reasoning.NONE:
            return Said(content)
