"""What makes two jobs the same run: the input, what is asked about it, and how it is labelled."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from judge.job.judging import ResolvedJudge
from judge.ledger.runs import RunJudge
from judge.policies.choice import policy_settings
from judge.settings.config import Settings


def run_settings(
    settings: Settings, judges: Sequence[ResolvedJudge], told: Mapping[str, object]
) -> dict[str, object]:
    """Return what a run remembers: how replies become labels, what is asked, and what was `told`.

    `judges` are in the order of the settings.
    """
    thresholds = [judge.accept_above for judge in settings.judges]
    policy = policy_settings(settings.run, [judge.judge_key for judge in judges], thresholds)
    asked: dict[str, object] = {"policy": policy} if policy else {}
    if settings.run.doubtful_references == "skip":
        asked["doubtful_references"] = "skip"
    return {"rule": settings.run.rule.value, **asked, **told}


def run_id(
    input_digest: str, remembered: Mapping[str, object], judges: Sequence[ResolvedJudge]
) -> str:
    """Return the id of an input under the settings of a run: the same job, the same run."""
    keys = sorted(judge.judge_key for judge in judges)
    identity = {"input": input_digest, **remembered, "judges": keys}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def run_judge(judge: ResolvedJudge) -> RunJudge:
    """Return what a run remembers of a judge."""
    return RunJudge(
        judge_key=judge.judge_key,
        name=judge.name,
        model=judge.model,
        prompt=judge.prompt.name,
        prompt_digest=judge.prompt.digest,
        sampling={**judge.sampling, "max_tokens": judge.max_tokens},
    )
