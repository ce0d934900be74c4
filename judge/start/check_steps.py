"""What a check has found, step by step, and the words for it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from judge.backends.probing import TokenProbabilities
from judge.candidates.generators import Generator
from judge.errors import ConfigError, EndpointError, EvenhandError
from judge.job.judging import Deferred, ResolvedJudge
from judge.records import Judgment, Status
from judge.replies.thinking import ROOM
from judge.settings.config import Endpoint, Judge
from judge.settings.suggestion import did_you_mean
from prompts.criteria import Criteria
from prompts.template import Rendered, VerdictFormat

FIXED_SQLITE = (3, 51, 3)
"""The first version without the WAL-reset bug, by which two writers at once can lose a commit."""
LONGEST_LINE = 200
_PROBABILITIES = ("p_a", "p_b", "p_tie")
_TOKENS = ("input_tokens", "output_tokens")

_REMEDIES = {
    Status.UNPARSED: "end the prompt in a plain order for the verdict's form, or take a model that "
    "follows it",
    Status.TRUNCATED: "give the judge more room: max_tokens for its reply, reasoning_tokens for "
    "thinking, of which thousands are usual",
    Status.REFUSED: "take a model or an endpoint without this filter",
    Status.FAILED: "change what the endpoint objects to",
}


class Mark(StrEnum):
    """How a step went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at."""

    subject: str
    """Such as "settings", 'endpoint "local"' or 'judge "strong"'."""
    mark: Mark
    found: str
    """In one line; may quote what an endpoint wrote."""
    remedy: str | None = None
    exit_code: int = 0
    """What a failure makes the exit code: 2 for settings and ledger, 5 for endpoints."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """The same as data, where there is any."""


def failure(subject: str, error: EvenhandError, *, exit_code: int) -> Step:
    """Return the step that an error ends; its message names cause and remedy."""
    return Step(subject, Mark.FAILED, str(error), exit_code=exit_code)


def judge_step(judge: Judge, endpoint: Endpoint) -> Step:
    """Return what a judge is."""
    asked = f"model {judge.model} at {endpoint.address}, prompt {judge.prompt}"
    return Step(subject_of(judge.display_name), Mark.OK, asked)


def generator_step(generator: Generator, endpoint: Endpoint) -> Step:
    """Return what a generator is."""
    asked = f"model {generator.model} at {endpoint.address}, {generator.n} candidates a prompt"
    return Step(f'generator "{generator.display_name}"', Mark.OK, asked)


def no_judge_step(*, has_generators: bool) -> Step:
    """Return that no judge is set, which generating alone does not need."""
    remedy = "add a [[judges]] table to the config or give --model"
    if has_generators:
        return Step("settings", Mark.WARNING, "no judge is set, so nothing can be judged", remedy)
    return Step("settings", Mark.FAILED, "no judge is set", remedy, exit_code=2)


def template_step(judge: ResolvedJudge, example: Rendered) -> Step:
    """Return what a judge's prompt template is; `example` is what it is asked in this check."""
    prompt = judge.prompt
    found = (
        f"template {prompt.name}, digest {prompt.digest}: shows {', '.join(sorted(prompt.holes))}; "
        f"{'ties allowed' if prompt.allows_tie else 'no ties'}"
    )
    if prompt.verdict_format is VerdictFormat.JSON:
        found += f"; verdicts as JSON, the schema {'is' if judge.json_schema else 'is not'} sent"
    if prompt.criteria is not None:
        found += f"; {_criteria_words(prompt.criteria, rated=prompt.rated)}"
    if prompt.needs_reference:
        found += "; only pairs with a reference answer can be asked"
    figures = {
        "template": prompt.name,
        "digest": prompt.digest,
        "holes": sorted(prompt.holes),
        "allows_tie": prompt.allows_tie,
        "is_verbatim": prompt.is_verbatim,
        "criteria": prompt.criteria.name if prompt.criteria else None,
        "rated": list(prompt.rated),
        "rendered": {"system": example.system, "user": example.user},
    }
    if not prompt.is_verbatim:
        return Step(subject_of(judge.name), Mark.OK, found, figures=figures)
    return Step(
        subject_of(judge.name),
        Mark.WARNING,
        f"{found}; answers are filled in as they are, so one can pose as the judge's instructions",
        remedy="use it to compare with published results, and a built-in prompt otherwise",
        figures=figures,
    )


def _criteria_words(criteria: Criteria, *, rated: Sequence[str]) -> str:
    held = {
        "principles": len(criteria.principles),
        "attributes": len(criteria.attributes),
        "scores": len(criteria.scores),
    }
    words = ", ".join(f"{what}: {count}" for what, count in held.items() if count)
    scale = f", rated from 1 to {criteria.scale}: {', '.join(rated)}" if rated else ""
    return f"criteria {criteria.name} ({words}){scale}"


def key_step(name: str, endpoint: Endpoint, problem: ConfigError | None) -> Step:
    """Return whether an endpoint's key can be had; the key itself is never shown."""
    subject = endpoint_subject(name)
    if problem is not None:
        return failure(subject, problem, exit_code=2)
    if endpoint.api_key_env is None:
        return Step(subject, Mark.OK, "no key is sent: api_key_env is not set")
    return Step(subject, Mark.OK, f"the key variable {endpoint.api_key_env} is set")


def reachable_step(name: str, endpoint: Endpoint, round_trip_s: float) -> Step:
    """Return how an endpoint answered the question for its models."""
    found = f"{endpoint.address} answers in {1000 * round_trip_s:.0f} ms"
    figures = {"round_trip_s": round_trip_s}
    return Step(endpoint_subject(name), Mark.OK, found, figures=figures)


def engine_step(name: str, version: str, models: Iterable[str]) -> Step:
    """Return what is known of an engine in this process without loading its model."""
    found = (
        f"vLLM {version} is installed and has every option; {', '.join(models)} is loaded when a "
        "job starts, so it was not asked"
    )
    return Step(endpoint_subject(name), Mark.OK, found, figures={"vllm": version})


def listing_step(name: str, model: str, listed: Sequence[str]) -> Step:
    """Return whether an endpoint lists a model; many do not list any, or not every name."""
    subject = endpoint_subject(name)
    if model in listed:
        return Step(subject, Mark.OK, f"model {model} is listed")
    if not listed:
        return Step(subject, Mark.OK, f"lists no models, so {model} is looked up by asking it")
    shown = ", ".join(sorted(listed)[:3]) + (", ..." if len(listed) > 3 else "")
    return Step(
        subject,
        Mark.WARNING,
        f"model {model} is not listed{did_you_mean(model, listed)}; it lists {shown}",
        remedy="correct the judge's model unless the call below is answered",
    )


def call_step(judge: ResolvedJudge, result: Judgment | Deferred) -> Step:
    """Return what came of one live question to a judge."""
    subject = subject_of(judge.name)
    if isinstance(result, Deferred):
        return failure(subject, result.failure, exit_code=5)
    figures = {
        name: getattr(result, name)
        for name in ("verdict", "status", *_PROBABILITIES, "finish_reason", *_TOKENS)
    } | {"latency_s": result.latency_s, "requests": result.attempts}
    if result.verdict is not None:
        found = f"verdict {result.verdict.value} read{_odds(result)}; {_circumstances(result)}"
        return Step(subject, Mark.OK, found, figures=figures)
    assert result.status is not None  # a judgment has one of the two
    found = f"no verdict, {result.status.value}: {result.reason}; {_circumstances(result)}"
    if result.reply:
        figures["last_line"] = last_line(result.reply)
        found += f"; the reply's last line is: {last_line(result.reply)}"
    is_said = ROOM in (result.reason or "")  # the cause names its remedy
    remedy = None if is_said else _REMEDIES[result.status]
    return Step(subject, Mark.FAILED, found, remedy, exit_code=5, figures=figures)


def probabilities_step(judge: ResolvedJudge, found: TokenProbabilities | EndpointError) -> Step:
    """Return whether a judge's replies come with token probabilities when asked to."""
    subject = subject_of(judge.name)
    if isinstance(found, EndpointError):
        return Step(subject, Mark.WARNING, f"token probabilities: not known ({found})")
    told = f"token probabilities: {found.value}"
    figures = {"token_probabilities": found.value}
    wants_them = judge.prompt.verdict_format is VerdictFormat.TOKEN
    if found is TokenProbabilities.OFFERED or not wants_them:
        return Step(subject, Mark.OK, told, figures=figures)
    remedy = (
        "verdicts are read all the same, without probabilities; for those take another endpoint, "
        "or set top_logprobs = false and ask several samples"
    )
    return Step(subject, Mark.WARNING, told, remedy, figures=figures)


def sqlite_step(version: tuple[int, ...]) -> Step:
    """Return whether SQLite's version is good enough for how the ledger uses it."""
    name = ".".join(map(str, version))
    found = f"SQLite {name}"
    if version < FIXED_SQLITE:
        fixed = ".".join(map(str, FIXED_SQLITE))
        found += (
            f"; before {fixed} two writers at once could lose a commit, and the ledger's lock "
            "allows one, so it is fine"
        )
    return Step("ledger", Mark.OK, found, figures={"sqlite": name})


def settings_step(path: str | None, variables: Iterable[str], overrides: Iterable[str]) -> Step:
    """Return where the settings come from."""
    found = [f"read from {path}" if path else "no file"]
    if names := ", ".join(variables):
        found.append(f"from the environment: {names}")
    if keys := ", ".join(overrides):
        found.append(f"from flags: {keys}")
    return Step("settings", Mark.OK, "; ".join(found))


def subject_of(judge_name: str) -> str:
    """Return how a judge is called in steps."""
    return f'judge "{judge_name}"'


def endpoint_subject(name: str) -> str:
    """Return how an endpoint is called in steps."""
    return f'endpoint "{name}"'


def last_line(reply: str) -> str:
    """Return the last line of a reply that holds anything, cut where it is long."""
    line = reply.rstrip().rpartition("\n")[2]
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 3] + "..."


def _odds(judgment: Judgment) -> str:
    """Return what probabilities came with a verdict, in words; nothing where none did."""
    told = {"A": judgment.p_a, "B": judgment.p_b, "tie": judgment.p_tie}
    words = [f"{name} {p:.3f}" for name, p in told.items() if p is not None]
    return f" (probability of {', '.join(words)})" if words else ""


def _circumstances(judgment: Judgment) -> str:
    counted = (judgment.input_tokens, judgment.output_tokens)
    given, made = ("unknown" if count is None else f"{count:,}" for count in counted)
    parts = [f"tokens in {given}, out {made}"]
    if judgment.latency_s is not None:
        parts.append(f"{judgment.latency_s:.2f} s")
    if judgment.finish_reason is not None:
        parts.append(f"finish reason {judgment.finish_reason}")
    if judgment.reasoning:
        parts.append(f"thinking of {len(judgment.reasoning):,} characters beside the reply")
    if judgment.attempts > 1:
        parts.append(f"{judgment.attempts} requests")
    return ", ".join(parts)
