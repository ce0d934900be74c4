"""Template text cut at its holes, so that filling it is one join."""

from dataclasses import dataclass
from string import Template

from prompts.errors import PromptError


@dataclass(frozen=True, slots=True)
class Text:
    """Template text cut at its holes: literal, hole, literal, ..., literal."""

    pieces: tuple[str, ...]

    @property
    def holes(self) -> frozenset[str]:
        return frozenset(self.pieces[1::2])

    def fixed(self, hole: str, text: str) -> "Text":
        """Return the text with one hole filled for good, and never read for holes again."""
        pieces = [self.pieces[0]]
        for name, after in zip(self.pieces[1::2], self.pieces[2::2], strict=True):
            if name == hole:
                pieces[-1] += text + after
            else:
                pieces += [name, after]
        return Text(tuple(pieces))

    def filled(self, values: dict[str, str]) -> str:
        """Return the text with each hole replaced once; what is filled in is never read again."""
        if len(self.pieces) == 1:
            return self.pieces[0]
        filled = list(self.pieces)
        filled[1::2] = [values[hole] for hole in self.pieces[1::2]]
        return "".join(filled)


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
