"""What a whole reply amounts to: a verdict with all that came with it, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from judge.chat import Reply
from judge.records import ShownRatings, Status, Verdict
from judge.replies.ratings import PARSER as RATINGS_PARSER
from judge.replies.ratings import Unreadable, parse_ratings
from judge.replies.rubric_scores import PARSER as SCORES_PARSER
from judge.replies.rubric_scores import parse_scores
from judge.replies.rubric_scores import verdict_of as verdict_of_scores
from judge.replies.thinking import flaw_of_thinking
from judge.replies.verdict_grades import PARSER as GRADES_PARSER
from judge.replies.verdict_grades import parse_grade
from judge.replies.verdict_grades import verdict_of as verdict_of_grade
from judge.replies.verdict_json import PARSER as JSON_PARSER
from judge.replies.verdict_json import parse_verdict_json
from judge.replies.verdict_token import PARSER as TOKEN_PARSER
from judge.replies.verdict_token import parse_verdict_token, verdict_probabilities
from judge.replies.verdicts import PARSER as MTBENCH_PARSER
from judge.replies.verdicts import parse_verdict
from prompts.criteria import Criteria
from prompts.template import VerdictFormat

UNCLEAR = "the reply does not end in one clear verdict"
_PERHAPS_THINKING = (Status.UNPARSED, Status.TRUNCATED)


@dataclass(frozen=True, slots=True)
class Read:
    """What a reply says about the shown positions; either a verdict, or a status and its reason."""

    verdict: Verdict | None = None
    status: Status | None = None
    reason: str | None = None
    probabilities: tuple[float, float, float] | None = None
    """Of A, B and tie."""
    grade: int | None = None
    ratings: Mapping[str, ShownRatings] | None = None


def parser_of(verdict_format: VerdictFormat) -> str:
    """Return the name and version of the rule that reads replies in a format."""
    return _PARSERS[verdict_format]


_PARSERS = {
    VerdictFormat.MTBENCH: MTBENCH_PARSER,
    VerdictFormat.TOKEN: TOKEN_PARSER,
    VerdictFormat.GRADES: GRADES_PARSER,
    VerdictFormat.RATINGS: RATINGS_PARSER,
    VerdictFormat.SCORES: SCORES_PARSER,
    VerdictFormat.JSON: JSON_PARSER,
}


def read_reply(
    reply: Reply,
    *,
    allows_tie: bool,
    verdict_format: VerdictFormat,
    criteria: Criteria | None = None,
) -> Read:
    """Return what a reply amounts to. Only one that ended by itself is read.

    A cut reply may end in a working guess, and so may thinking, wherever it stands.
    """
    if reply.is_refusal:
        return Read(status=Status.REFUSED, reason="the model refused, in the words of its reply")
    read = read_reply_text(
        reply.text,
        reply.finish_reason,
        allows_tie=allows_tie,
        verdict_format=verdict_format,
        criteria=criteria,
        reasoning=reply.reasoning,
    )
    if read.verdict is None or not reply.alternatives or verdict_format is not VerdictFormat.TOKEN:
        return read
    probabilities = verdict_probabilities(reply.text, reply.alternatives, allow_tie=allows_tie)
    return replace(read, probabilities=probabilities)


def read_reply_text(
    text: str,
    finish_reason: str,
    *,
    allows_tie: bool,
    verdict_format: VerdictFormat = VerdictFormat.MTBENCH,
    criteria: Criteria | None = None,
    reasoning: str | None = None,
) -> Read:
    """Return what a reply amounts to of which little but the text is known.

    `criteria` are those that the judge was shown; ratings and scores cannot be read without.
    `reasoning` is thinking that came beside the text; it can only explain why there is no verdict.
    """
    read = _read(
        text,
        finish_reason,
        allows_tie=allows_tie,
        verdict_format=verdict_format,
        criteria=criteria,
    )
    if read.status not in _PERHAPS_THINKING or finish_reason not in ("stop", "length"):
        return read
    flaw = flaw_of_thinking(text, reasoning, is_cut=finish_reason == "length")
    return read if flaw is None else replace(read, reason=flaw)


def _read(
    text: str,
    finish_reason: str,
    *,
    allows_tie: bool,
    verdict_format: VerdictFormat,
    criteria: Criteria | None,
) -> Read:
    if finish_reason == "length":
        cut = "cut at the token limit; raise max_tokens of the judge"
        return Read(status=Status.TRUNCATED, reason=cut)
    if finish_reason == "content_filter":
        filtered = "the provider's content filter stopped the reply"
        return Read(status=Status.REFUSED, reason=filtered)
    if finish_reason == "error":
        failed = "the judge's endpoint failed; no reply was given"
        return Read(status=Status.FAILED, reason=failed)
    if finish_reason != "stop":
        reason = f"finish reason {finish_reason} is not an answer"
        return Read(status=Status.UNPARSED, reason=reason)
    if verdict_format is VerdictFormat.GRADES:
        return _graded(text, allows_tie=allows_tie)
    if verdict_format is VerdictFormat.SCORES and criteria is not None:
        return _scored(text, criteria)
    if verdict_format is VerdictFormat.JSON:
        found = parse_verdict_json(text, allow_tie=allows_tie)
        return _unparsed(found.reason) if isinstance(found, Unreadable) else Read(found)
    parse = parse_verdict_token if verdict_format is VerdictFormat.TOKEN else parse_verdict
    verdict = parse(text, allow_tie=allows_tie)
    if verdict is None:
        return _unparsed(UNCLEAR)
    if verdict_format is VerdictFormat.RATINGS and criteria is not None:
        return _rated(text, verdict, criteria)
    return Read(verdict)


def _graded(text: str, *, allows_tie: bool) -> Read:
    grade = parse_grade(text, allow_tie=allows_tie)
    return _unparsed(UNCLEAR) if grade is None else Read(verdict_of_grade(grade), grade=grade)


def _scored(text: str, criteria: Criteria) -> Read:
    scores = parse_scores(text, scale=criteria.scale)
    if isinstance(scores, Unreadable):
        return _unparsed(scores.reason)
    return Read(verdict_of_scores(scores), ratings={criteria.column: scores})


def _rated(text: str, verdict: Verdict, criteria: Criteria) -> Read:
    ratings = parse_ratings(text, attributes=criteria.attribute_names, scale=criteria.scale)
    if isinstance(ratings, Unreadable):
        return _unparsed(ratings.reason)
    return Read(verdict, ratings=ratings)


def _unparsed(reason: str) -> Read:
    return Read(status=Status.UNPARSED, reason=reason)
