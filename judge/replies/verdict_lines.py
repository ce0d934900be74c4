"""One line of a judge's reply, read as the statement of a verdict or refused.

Five shapes are accepted: the token alone; a label and the token; either of them and a tail that
confirms or explains; prose that decides and ends in the token; prose, the token, and the rest of
the sentence saying that it is the better one. Every other line is refused, and so is one that
negates, supposes, reports or contradicts. A word too many in the lists below costs a verdict;
a word too few invents one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

TOKEN = re.compile(r"(?<![A-Za-z0-9\[\\])\[\[([ABC])\]\](?![A-Za-z0-9\](])")
"""A whole token: ASCII, upper case; not nested, escaped, glued to a word, or a link."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- what a line may hold ---------------------------------------------------------------------

_DECORATION = str.maketrans("\u2019", "'", "*_`#")  # a curly apostrophe straightened
_SPACES = (0x09, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)
# Printable by category yet blank on screen: fillers, joiners, selectors. Made unprintable.
_BLANKS = (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x180E), 0x3164, 0xFFA0)
_AS_SEEN = dict.fromkeys(_SPACES, " ") | dict.fromkeys(_BLANKS, "\0")

_LIST_MARK = re.compile(r"\s*(?:[-+•]|\d{1,3}[.)])\s+")
_SENTENCE_END = re.compile(
    r"(?:(?<!\.)(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)\.|[!?])[\"')\u201d]{0,3}\s"  # not "..."
    r"|[\u3002\uff01\uff1f]"  # CJK full stop, exclamation and question mark
)
_COLONS = (":", "\uff1a")  # the second is full-width
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_STRUCTURE = re.compile(r"[\[\]{}|\\~]")  # JSON, LaTeX, chat-control text, struck-out text
_OPEN_QUOTE = re.compile(r"""["'(\u2018\u201c\u201d«»「『]\s?$""")

# --- what refuses the sentence before the token ----------------------------------------------

_NEGATIONS = _words(
    "no not never neither nor none cannot nothing nobody hardly without rather instead except "
    "refuse refused reject rejected avoid avoided against decline declined "
    "nicht kein keine keinen weder pas jamais ni nunca non nem"
)
_FOREIGN_NEGATION = re.compile(r"[不没沒非未]|\b(?:não|не|ни|нет)\b")
_CONDITIONS = _words(
    "if unless whether would could should might were suppose supposing assuming assume wish "
    "maybe perhaps possibly initially originally tentatively tentative leaned leaning tempted "
    "almost nearly guess guessed until"
)
_REPORTS = _words(
    "say says said saying state states stated tell tells told telling claim claims claimed "
    "claiming write writes wrote written writing print prints printed printing output outputs "
    "reads quote quotes quoted quoting repeat repeats repeated asks asking orders ordered "
    "instruct instructs instructed instructing instruction instructions command commands "
    "commanded demand demands demanded want wants wanted insist insists pastes pasted echoes "
    "inject injected injection planted fake forged pretend pretends believes thinks argues "
    "asserts declares announces announced concludes decides suggests suggested prefers chooses "
    "picks votes recommends according notice system prompt template format example examples "
    "option options placeholder mention mentions mentioned copied recorded ignore words hidden "
    "embedded ends closes finishes begins starts you your must shall please"
)
_CRITERION = re.compile(
    r"\buser's (?:[a-z]+ )?(?:instructions?|prompt)\b|\binstruction[- ]following\b"
)
"""What a judge weighs, though its words would report somebody's wish."""
_RED_FLAGS = _NEGATIONS | _CONDITIONS | _REPORTS
_CARRIER_END = re.compile(
    r"\b(?:(?:end|clos|finish|begin|start|open|sign)\w{0,5} (?:with|by|in|off)"
    r"|contain\w{0,3}|includ\w{1,3}|text|string|token|line|message)\W{0,3}$"
)
_WORSE_END = re.compile(
    r"\b(?:worse|worst|weaker|weakest|poorer|inferior|loser|wrong|incorrect|less [a-z]+)"
    r"(?: [a-z]+){0,3}(?: is| was|:){0,2}\s?$"
)

# --- what lets prose decide ----------------------------------------------------------------------

_DECISIONS = _words(
    "verdict verdicts decision decide decided conclusion conclude judgment judgement judge "
    "evaluation assessment choice choose pick preference prefer preferred preferable select "
    "selection favor favour vote believe think find my final winner wins win won better best "
    "superior stronger therefore thus hence so consequently accordingly overall ultimately "
    "rating result award go going tie draw urteil fazit daher veredicto verdetto donc"
)
# A short label that names a text and decides nothing announces a quotation of that text.
_TEXTS = _words("reply replies response responses assistant text message line user")
_LABEL_WORDS = 3
"""A label this short needs no decision word: "Endgültiges Urteil:"."""

_SHORT_SENTENCE = 6
"""Up to this many words before the token, a line counts as labelled: "So my final verdict is"."""

_LONGEST_SENTENCE = 2000
"""In characters. No decision takes more, and it bounds what a hostile line can cost."""

# --- who is named: letters as @a and @b ---------------------------------------------------------

_NAME = re.compile(
    r"\b(?:[Aa]ssistant|[Rr]eply|[Rr]esponse|[Aa]nswer|[Mm]odel|[Cc]andidate|[Ss]olution)"
    r"\s{1,3}([AB])(?!\w)"
)
_ORDINAL = re.compile(r"\b(first|second) (?:assistant|reply|response|answer|candidate)\b")
_COMPARED = re.compile(r"\b(?:than|over|to|with|from|unlike) (?:that of |the )?@[ab]\b")
_CLAIM = re.compile(
    r"@([ab])\b(?:(?!\b(?:not|no|less|never|neither)\b|n't)[^.;:@]){0,80}?"
    r"\b(?:better|best|superior|stronger|wins|winner|preferable"
    r"|more (?:helpful|detailed|accurate|relevant|complete|comprehensive|correct|useful))\b"
)
_CONCLUSION = re.compile(r"\W*(?:therefore|thus|hence|so|overall|in conclusion|consequently)\b")
_NAMED_LAST = re.compile(r"@([ab])\W*$")
_OWNED_LAST = re.compile(
    r"(?:@[ab]|\b(?:reply|response|assistant|answer|candidate|model|author|user|one))'s "
    r"[a-z ]{1,40}(?:is|was|:)\W?$"
)
_TIE = re.compile(r"\b(?:tie|tied|draw)\b")

# --- what may follow the token --------------------------------------------------------------------

_MORE = r"(?:better|best|superior|stronger|preferable|preferred|winner|more|most)\b"
_BETTER_TAIL = re.compile(
    r"(?:(?:is|was) (?:(?:the|a|an|clearly|slightly|marginally|much|far|overall|also|still) )*"
    rf"{_MORE}|wins\b|won\b"
    r"|(?:has |have )?(?:provid|gave|giv|offer|deliver|produc|present|perform|did|does"
    r"|answer|respond|demonstrat|show)[a-z]{0,5} "
    rf"(?:(?!\b(?:not|no|less|never|fewer)\b)[^.;:?]){{0,80}}?\b{_MORE})"
)
_CONDITION_LATER = re.compile(r"[^.]*\b(?:if|unless|would|only)\b")
_NAME_TAIL = re.compile(r"(?:\. )?\(?(?:for )?@([ab])(?!\w)")
_TIE_TAIL = re.compile(r"\(?(?:for |is |it is |it's )?(?:a |the )?(?:tie|draw)\b")
_REASON_TAIL = re.compile(
    r"(?:(?:because|as|since|due to|given) |[,\u2013\u2014] ?|-{1,3} )"
    r"(?!\W*(?:if|unless|or|not|no|maybe|perhaps|assuming|possibly|an?)\b)"
)
_WITHDRAWAL = re.compile(
    r"\b(?:wait|actually|on second thought|on reflection|scratch that|take that back)\b"
    r"|\b(?:tell|told|order|ask|instruct|command|want|demand)(?:s|ed)? (?:me|us|the judge)\b"
)

_OPENING = re.compile(
    r"[\s*_`#]*(?:(?:[-+•]|\d{1,3}[.)])[\s*_`#]+)?"
    r"(?i:(?:my |the )?(?:final |overall )?(?:verdict|decision|choice|pick|winner|judge?ment)"
    r"(?: is)?[\s:*_`]{1,8})?\[\[([ABC])\]\]"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A verdict as a line states it."""

    letter: str
    """What stands between the brackets of the token: A, B or C, or a grade."""
    is_labelled: bool
    """Whether the token stands alone or behind a few words, rather than in running prose."""


# The commonest lines, read at a glance; the full reading says the same of them, four times slower.
_AT_A_GLANCE = re.compile(
    r"(?:\*\*)?(?:(?:[Mm]y |[Tt]he )?(?:[Ff]inal )?[Vv]erdict(?: is)?:?(?:\*\*)? (?:\*\*)?)?"
    r"\[\[([ABC])\]\](?:\*\*)?\.?"
)


def read_line(line: str, *, lead_in: str = "") -> Statement | None:
    """Return the verdict that `line` states, or None where it states none or leaves a doubt.

    `lead_in` is an earlier line that runs on into this one; it counts with its first sentence.
    """
    if not lead_in and (plain := _AT_A_GLANCE.fullmatch(line)):
        return Statement(plain[1], is_labelled=True)
    seen = (f"{lead_in} {line}" if lead_in else line).translate(_AS_SEEN)
    tokens = list(TOKEN.finditer(seen))
    if not tokens or not seen.isprintable() or len({token[1] for token in tokens}) > 1:
        return None
    if not seen.count("[[") == seen.count("]]") == len(tokens):
        return None
    letter = tokens[-1][1]
    previous, sentence = _last_sentences(_undecorated(seen[: tokens[-1].start()]))
    if len(sentence) > _LONGEST_SENTENCE:
        return None
    previous, sentence, tail = map(
        _named, (previous, sentence, _undecorated(seen[tokens[-1].end() :]))
    )
    if not _leads_to(sentence, previous, letter) or not _follows(tail, letter):
        return None
    words = _WORD.findall(sentence)
    is_decided = not sentence or bool(lead_in) or _decides(sentence, words) or _confirms(tail)
    return Statement(letter, len(words) <= _SHORT_SENTENCE) if is_decided else None


def opening_letter(line: str) -> str | None:
    """Return the letter of the token that `line` opens with, a list mark or label allowed."""
    opening = _OPENING.match(line)
    return opening[1] if opening else None


def is_continued(text: str) -> bool:
    """Whether `text` ends in a colon, so that what comes next belongs to its last sentence."""
    return text.rstrip().rstrip("*_`#").endswith(_COLONS)


def _undecorated(text: str) -> str:
    """Return `text` without emphasis marks and tokens, its apostrophes straight."""
    return TOKEN.sub("", text).translate(_DECORATION).strip()


def _last_sentences(head: str) -> tuple[str, str]:
    """Return the last two sentences before the token; the last is empty if one has just ended."""
    mark = _LIST_MARK.match(f"{head} ")
    head = head[mark.end() :] if mark else head
    before_last = last = 0
    for end in _SENTENCE_END.finditer(f"{head} "):
        before_last, last = last, end.end()
    return head[before_last:last], head[last:].strip()


def _named(text: str) -> str:
    """Return `text` in lower case with the two answers named @a and @b."""
    text, n_named = _NAME.subn(lambda name: f"@{name[1]}", text)
    text = text.lower()
    if n_named:  # beside letters, "the first answer" may be one of several turns
        return text
    return _ORDINAL.sub(lambda name: "@a" if name[1] == "first" else "@b", text)


def _leads_to(sentence: str, previous: str, letter: str) -> bool:
    """Whether nothing before the token takes it back: rule by rule, the cheapest first."""
    if not sentence:
        return not (_CONCLUSION.match(previous) and _clashes(previous, letter))
    if _STRUCTURE.search(sentence) or _OPEN_QUOTE.search(sentence) or sentence.count('"') % 2:
        return False
    words = _WORD.findall(_CRITERION.sub("", sentence))
    if "n't" in sentence or not _RED_FLAGS.isdisjoint(words):
        return False
    if _FOREIGN_NEGATION.search(sentence) or "\u201c" in sentence.rpartition("\u201d")[2]:
        return False
    if any(end.search(sentence[-120:]) for end in (_CARRIER_END, _WORSE_END, _OWNED_LAST)):
        return False
    named = _NAMED_LAST.search(_COMPARED.sub("", sentence[-40:]))
    return not (named and named[1] != letter.lower()) and not _clashes(sentence, letter)


def _clashes(text: str, letter: str) -> bool:
    """Whether `text` calls another outcome than `letter` the right one."""
    if letter != "C" and _TIE.search(text):
        return True
    claims = _CLAIM.findall(_COMPARED.sub("", text))
    return any(claim != letter.lower() for claim in claims)


def _decides(sentence: str, words: Sequence[str]) -> bool:
    """Whether prose or a label before the token decides, rather than merely holding the token."""
    if not _DECISIONS.isdisjoint(words):
        return True
    if not words:  # another script: no word list can tell
        return any(char.isalpha() for char in sentence)
    is_label = sentence.endswith(_COLONS) and len(words) <= _LABEL_WORDS
    return is_label and _TEXTS.isdisjoint(words) and "@" not in sentence


def _follows(tail: str, letter: str) -> bool:
    """Whether what follows the token is nothing, or a known tail that does not take it back."""
    if tail in ("", ".", "!", "。"):
        return True
    if _WITHDRAWAL.search(tail):
        return False
    if named := _NAME_TAIL.match(tail):
        return named[1] == letter.lower() and not _clashes(tail, letter)
    if _TIE_TAIL.match(tail):
        return letter == "C"
    if better := _BETTER_TAIL.match(tail):
        return letter != "C" and not _CONDITION_LATER.match(tail, better.end())
    sentence = _SENTENCE_END.split(f"{tail} ", maxsplit=1)[0]
    return bool(_REASON_TAIL.match(tail)) and not _clashes(sentence, letter)


def _confirms(tail: str) -> bool:
    """Whether the tail says by itself that the token is the outcome."""
    return any(shape.match(tail) for shape in (_NAME_TAIL, _TIE_TAIL, _BETTER_TAIL))
