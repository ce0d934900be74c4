"""What `--map` and `--values` say: which columns of a foreign table mean what.

    --map prompt=instruction+input,first=response1,second=response2,vote:ann1=annotator1
    --values 0=tie,1=first,2=second

A map is TARGET=COLUMN[+COLUMN...], items separated by commas. Targets are prompt, first, second
(these three are needed), reference, pair_id, prompt_id, first_model, second_model, tags.NAME and
vote:ANNOTATOR. Only prompt, first, second and reference may join several columns. A column such
as `conversation.0.content` reaches into nested objects and lists.

Values are VALUE=PREFERENCE, where the preference is first, second, tie, both_bad or skip.

White space around a name does not count. A name that holds a comma, plus or equals sign is
written in double quotes, or with a backslash before the sign: `"a, b"` or `a\\, b`.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from judge.errors import ConfigError
from judge.formats.problems import shown

VotePreference = Literal["first", "second", "tie", "both_bad", "skip"]

DEFAULT_VALUES: Mapping[str, VotePreference] = {
    "first": "first",
    "second": "second",
    "tie": "tie",
    "both_bad": "both_bad",
    "skip": "skip",
    "A": "first",
    "B": "second",
    "model_a": "first",
    "model_b": "second",
}
"""What vote columns may hold where `--values` is not given."""

NEEDED = ("prompt", "first", "second")

_JOINED = (*NEEDED, "reference")
_SINGLE = ("pair_id", "prompt_id", "first_model", "second_model")
_TAG, _VOTE = "tags.", "vote:"
_SHOWN_TARGETS = (*_JOINED, *_SINGLE, "tags.NAME", "vote:ANNOTATOR")
Marked: TypeAlias = list[tuple[str, bool]]

_PREFERENCES: tuple[VotePreference, ...] = get_args(VotePreference)


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """The columns of each target. Several columns of one target are joined in their order."""

    prompt: tuple[str, ...]
    first: tuple[str, ...]
    second: tuple[str, ...]
    reference: tuple[str, ...] = ()
    pair_id: str | None = None
    prompt_id: str | None = None
    first_model: str | None = None
    second_model: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """Column by name of the tag."""
    votes: Mapping[str, str] = field(default_factory=dict)
    """Column by annotator."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named, in the order of the fields; a column may come twice."""
        single = (self.pair_id, self.prompt_id, self.first_model, self.second_model)
        return (
            *(*self.prompt, *self.first, *self.second, *self.reference),
            *(column for column in single if column is not None),
            *self.tags.values(),
            *self.votes.values(),
        )


def parse_map(text: str) -> ColumnMap:
    """Return the map that a text spells; raises ConfigError that names the wrong item."""
    joined: dict[str, tuple[str, ...]] = {}
    single: dict[str, str] = {}
    tags: dict[str, str] = {}
    votes: dict[str, str] = {}
    seen: set[str] = set()
    for item, target, right in _items("--map", text, form="TARGET=COLUMN"):
        columns = tuple(_name(part) for part in _split(right, "+"))
        _check(item, target, columns, seen)
        seen.add(target)
        if target in _JOINED:
            joined[target] = columns
        elif target.startswith(_TAG):
            tags[target.removeprefix(_TAG).strip()] = columns[0]
        elif target.startswith(_VOTE):
            votes[target.removeprefix(_VOTE).strip()] = columns[0]
        else:
            single[target] = columns[0]
    for target in NEEDED:
        if target not in joined:
            raise ConfigError(f"--map: no column for {target}; add {target}=COLUMN")
    return ColumnMap(
        prompt=joined["prompt"],
        first=joined["first"],
        second=joined["second"],
        reference=joined.get("reference", ()),
        tags=tags,
        votes=votes,
        **single,
    )


def parse_values(text: str) -> Mapping[str, VotePreference]:
    """Return the preference of each value; raises ConfigError that names the wrong item.

    Values are texts: the number 1 of a JSON file is "1", and `true` is "true". What is returned
    replaces `DEFAULT_VALUES`, it does not add to them.
    """
    values: dict[str, VotePreference] = {}
    for item, value, right in _items("--values", text, form="VALUE=PREFERENCE"):
        name = _name(right)
        preference = next((known for known in _PREFERENCES if known == name), None)
        if preference is None:
            remedy = _did_you_mean(name, _PREFERENCES) + f"give {', '.join(_PREFERENCES)}"
            raise ConfigError(f'--values: unknown preference "{shown(name)}" in {item}; {remedy}')
        if values.setdefault(value, preference) != preference:
            raise ConfigError(f'--values: two preferences for "{shown(value)}"; give one of them')
    return values


def _check(item: str, target: str, columns: tuple[str, ...], seen: Collection[str]) -> None:
    if target.strip() in (_TAG, _VOTE):
        raise ConfigError(f"--map: {item} has no name after {target.strip()}; give one")
    if not target.startswith((_TAG, _VOTE)) and target not in (*_JOINED, *_SINGLE):
        remedy = _did_you_mean(target, _SHOWN_TARGETS) + f"known are {', '.join(_SHOWN_TARGETS)}"
        raise ConfigError(f'--map: unknown target "{shown(target)}"; {remedy}')
    if target in seen:
        remedy = "join its columns with +" if target in _JOINED else "give it once"
        raise ConfigError(f"--map: {shown(target)} is given twice; {remedy}")
    if "" in columns:
        raise ConfigError(f"--map: {item} names no column; write TARGET=COLUMN")
    if len(columns) > 1 and target not in _JOINED:
        raise ConfigError(
            f"--map: {item} joins columns, which only {', '.join(_JOINED)} can; name one column, "
            "in double quotes if its name holds a +"
        )


def _items(option: str, text: str, *, form: str) -> Iterator[tuple[str, str, Marked]]:
    """Every item as (the item to show, the name on the left, the right side)."""
    for piece in _split(_marked(option, text), ","):
        item = f'"{shown("".join(character for character, _ in piece).strip())}"'
        if not _name(piece):
            raise ConfigError(f"{option}: an empty item; write {form}, separated by commas")
        sides = _split(piece, "=")
        if len(sides) != 2 or not (left := _name(sides[0])):
            raise ConfigError(
                f"{option}: {item} is not {form}; write one = in it, and put a name that holds "
                "= or , in double quotes"
            )
        yield item, left, sides[1]


def _marked(option: str, text: str) -> Marked:
    """The characters of a text, each with whether it was quoted, without the quoting signs."""
    marked: Marked = []
    is_quoted = is_escaped = False
    for character in text:
        if is_escaped:
            marked.append((character, True))
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        elif character == '"':
            is_quoted = not is_quoted
        else:
            marked.append((character, is_quoted))
    if is_quoted:
        raise ConfigError(f"{option}: a double quote is never closed; close it")
    if is_escaped:
        raise ConfigError(f"{option}: ends in a backslash; write two for one that is meant")
    return marked


def _split(marked: Marked, separator: str) -> list[Marked]:
    """The pieces between the separators that are not quoted; at least one."""
    pieces: list[Marked] = [[]]
    for character in marked:
        if character == (separator, False):
            pieces.append([])
        else:
            pieces[-1].append(character)
    return pieces


def _name(marked: Marked) -> str:
    """The text of a name, without the white space around it that is not quoted."""
    solid = [
        at for at, (character, is_quoted) in enumerate(marked) if is_quoted or character.strip()
    ]
    kept = marked[solid[0] : solid[-1] + 1] if solid else []
    return "".join(character for character, _ in kept)


def _did_you_mean(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name[:100], known, n=1)
    return f'did you mean "{close[0]}"? ' if close else ""
