"""What a whole reply amounts to: a verdict with all that came with it, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass

from judge.chat import Reply
from judge.records import ShownRatings, Status, Verdict
from judge.verdict_token import PARSER as TOKEN_PARSER
from judge.verdict_token import parse_verdict_token
from judge.verdicts import PARSER as MTBENCH_PARSER
from judge.verdicts import parse_verdict
from prompts.template import VerdictFormat

UNCLEAR = "the reply does not end in one clear verdict"


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
    return TOKEN_PARSER if verdict_format is VerdictFormat.TOKEN else MTBENCH_PARSER


def read_reply(reply: Reply, *, allows_tie: bool, verdict_format: VerdictFormat) -> Read:
    """Return what a reply amounts to. Only one that ended by itself is read.

    A cut reply may end in a working guess.
    """
    return read_reply_text(
        reply.text, reply.finish_reason, allows_tie=allows_tie, verdict_format=verdict_format
    )


def read_reply_text(
    text: str,
    finish_reason: str,
    *,
    allows_tie: bool,
    verdict_format: VerdictFormat = VerdictFormat.MTBENCH,
) -> Read:
    """Return what a reply amounts to of which nothing but the text is known."""
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
    parse = parse_verdict_token if verdict_format is VerdictFormat.TOKEN else parse_verdict
    verdict = parse(text, allow_tie=allows_tie)
    if verdict is None:
        return Read(status=Status.UNPARSED, reason=UNCLEAR)
    return Read(verdict)
