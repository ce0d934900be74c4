"""A prompt template that was read, and how it is filled."""

from dataclasses import dataclass, field
from string import Template

from prompts.errors import PromptError
from prompts.neutralise import neutralise


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt ready to send: one system message, one user message."""

    system: str
    user: str
    rewrites: int
    """Spots of the filled-in texts that were neutralised."""


@dataclass(frozen=True, slots=True)
class Text:
    """Template text cut at its holes: literal, hole, literal, ..., literal."""

    pieces: tuple[str, ...]

    @property
    def holes(self) -> frozenset[str]:
        return frozenset(self.pieces[1::2])

    def filled(self, values: dict[str, str]) -> str:
        """Return the text with each hole replaced once; what is filled in is never read again."""
        if len(self.pieces) == 1:
            return self.pieces[0]
        filled = list(self.pieces)
        filled[1::2] = [values[hole] for hole in self.pieces[1::2]]
        return "".join(filled)


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """A judge prompt template; `load_prompt` makes one."""

    name: str
    source: str
    """Where the idea of the prompt comes from."""
    system: str
    user: str
    verdict_format: str
    """How the judge is told to write its verdict, which decides how the reply is read."""
    allows_tie: bool
    digest: str
    """16 hexadecimal digits over all that can change a reply; name and source are not in it."""
    holes: frozenset[str]
    """The fields that `render` needs, all of them and no others."""
    system_text: Text = field(repr=False, compare=False)
    user_text: Text = field(repr=False, compare=False)

    def render(self, **fields: str) -> Rendered:
        """Return the prompt with every hole filled by the neutralised field of its name.

        Raises PromptError where a field is missing or unknown.
        """
        if fields.keys() != self.holes:
            raise PromptError(self._mismatch(set(fields)))
        rewrites = 0
        for name, text in fields.items():
            fields[name], spots = neutralise(text)
            rewrites += spots
        return Rendered(self.system_text.filled(fields), self.user_text.filled(fields), rewrites)

    def _mismatch(self, given: set[str]) -> str:
        missing, unknown = sorted(self.holes - given), sorted(given - self.holes)
        causes = [f"field {name} is missing" for name in missing]
        causes += [f"field {name} has no hole" for name in unknown]
        return (
            f"prompt {self.name}: {', '.join(causes)}; pass exactly {', '.join(sorted(self.holes))}"
        )


def cut_at_holes(text: str, where: str) -> Text:
    """Return `text` cut at its `$name` and `${name}` holes, with `$$` read as one dollar.

    `where` names the text in the PromptError that a stray dollar raises.
    """
    pieces = [""]
    end = 0
    for match in Template.pattern.finditer(text):
        pieces[-1] += text[end : match.start()]
        end = match.end()
        if match["escaped"] is not None:
            pieces[-1] += "$"
        elif hole := match["named"] or match["braced"]:
            pieces += [hole, ""]
        else:
            line = text.count("\n", 0, match.start()) + 1
            raise PromptError(
                f"{where}: line {line} has a $ that begins no hole; write $$ for a dollar sign"
            )
    pieces[-1] += text[end:]
    return Text(tuple(pieces))
