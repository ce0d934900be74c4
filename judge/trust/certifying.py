"""Certifying a judge: the votes of a run become a certificate, with all that it rests on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

from pydantic_core import to_json

from calibration.agreement import human_human_agreement, leave_one_out_agreement
from calibration.certificates import Certificate, Metric
from calibration.certificates import certify as certify_columns
from calibration.intervals import Estimate
from judge.api.base import DEFAULT_LEDGER
from judge.atomic import atomic_writer
from judge.errors import ConfigError
from judge.ledger.looks import Look
from judge.ledger.parser_versions import parsers_of
from judge.ledger.runs import find_run
from judge.ledger.store import Ledger
from judge.trust.audit import Gathered, gather_in
from judge.trust.gold_split import DEFAULT_SHARE, Split, prompts_under_test, split_gathered
from judge.trust.looking import NotedLook, look_id_of, note_look

SCHEMA = "certificate/1"

WITHOUT_LABEL = "pair without a label"

_CHOICES = {1: "first", 0: "tie", -1: "second"}


@dataclass(frozen=True, slots=True)
class Certification:
    """A certificate of the delivered labels, beside the human ceiling and what it rests on."""

    judge: str
    certificate: Certificate
    ceiling: Estimate
    """How far humans agree among themselves, by the same metric on the same pairs: two votes with
    each other, or for the majority a vote with the majority of the others."""
    votes_used: int
    votes_left_out: Mapping[str, int]
    assumptions: tuple[str, ...]
    """What must hold for the certificate to mean what it says, in words."""
    provenance: Mapping[str, Any]
    look: NotedLook | None = None
    """This look among all at the same test prompts; None where it saw none."""
    after_looks: Certificate | None = None
    """The certificate at the confidence that several looks leave (Bonferroni); None for one."""

    @property
    def is_granted(self) -> bool:
        """Whether the target is certified, whatever number of looks it took."""
        return (self.after_looks or self.certificate).is_granted

    def as_dict(self) -> dict[str, Any]:
        """The certification as JSON, schema "certificate/1"."""
        return {
            "schema": SCHEMA,
            "judge": self.judge,
            "is_granted": self.is_granted,
            "certificate": asdict(self.certificate),
            "look": None
            if self.look is None
            else {"number": self.look.number, "of": self.look.looks},
            "after_looks": None if self.after_looks is None else asdict(self.after_looks),
            "ceiling": self.ceiling.as_dict(),
            "votes_used": self.votes_used,
            "votes_left_out": dict(self.votes_left_out),
            "assumptions": list(self.assumptions),
            "provenance": dict(self.provenance),
        }


def certify(
    *,
    at_least: float,
    ledger: str | Path = DEFAULT_LEDGER,
    gold: str | Path | None = None,
    run: str = "latest",
    metric: Metric = "s1",
    confidence: float = 0.95,
    one_per_prompt: bool = False,
    seed: int = 0,
    split: str = "all",
    test_share: float = DEFAULT_SHARE,
    json: str | Path | None = None,
) -> Certification:
    """Return whether the delivered labels agree with the votes at least so often, and how surely.

    `at_least` and `confidence` lie between 0 and 1; the votes are the ledger's, or those of the
    file `gold`. `one_per_prompt` counts one vote of each prompt, drawn by `seed`. `split` "dev"
    or "test" takes the votes of one part of the prompts. A look at test prompts is noted in the
    ledger first; after several the target must hold at the confidence that they leave. Writes the
    certificate, granted or not, to the file `json`. Raises ConfigError, InputError, LedgerError.
    """
    check_share("at_least", at_least)
    check_share("confidence", confidence)
    check_metric(metric)
    path, out = Path(ledger), Path(json) if json else None
    with Ledger(path, read_only=True) as opened:
        if out is not None and out.exists() and out.samefile(path):
            raise ConfigError(f"{out} is the ledger itself; write the certificate to another file")
        found = find_run(opened, run)
        everything = gather_in(opened, found, gold=str(gold) if gold else None)
        gathered = split_gathered(everything, Split(split), share=test_share)
        parsers = parsers_of(opened, found)

    def certified(confidence: float) -> Certification:
        return certification_of(
            gathered,
            target=at_least,
            metric=metric,
            confidence=confidence,
            one_per_prompt=one_per_prompt,
            seed=seed,
            parsers=parsers,
        )

    # One bound answers for every target, so another target is no other look.
    question = [metric, confidence, one_per_prompt, seed]
    certification = certified(confidence)
    look = note_look(path, _look(gathered, certification, question, (Split(split), test_share)))
    if look is not None:
        again = look.looks > 1
        stricter = certified(1 - (1 - confidence) / look.looks).certificate if again else None
        certification = replace(certification, look=look, after_looks=stricter)
    if out is not None:
        with atomic_writer(out) as file:
            file.write(to_json(certification.as_dict(), indent=2) + b"\n")
    return certification


def _look(
    gathered: Gathered,
    found: Certification,
    question: Sequence[object],
    part: tuple[Split, float],
) -> Look:
    split, share = part
    facts = [found.provenance["gold"]["sha256"].encode(), gathered.delivered.label.tobytes()]
    return Look(
        look_id=look_id_of(["certify", *question, split.value, share], facts),
        command="certify",
        subject=found.judge,
        split=split.value,
        share=share,
        prompts=prompts_under_test(gathered, share=share),
        result={"bound": found.certificate.bound, "is_granted": found.certificate.is_granted},
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
    )


def certification_of(
    gathered: Gathered,
    *,
    target: float,
    metric: Metric = "s1",
    confidence: float = 0.95,
    one_per_prompt: bool = False,
    seed: int = 0,
    parsers: Mapping[str, tuple[str, ...]] | None = None,
) -> Certification:
    """Return the certification of gathered columns; `parsers` by judge key. Pure."""
    delivered, cluster = gathered.delivered, gathered.pairs.cluster
    rows = delivered.has_label
    used = gathered.votes.on(rows)
    tally = used.counts(len(rows))
    certificate = certify_columns(
        delivered.label[rows],
        tally[rows],
        cluster=cluster[rows],
        metric=metric,
        target=target,
        confidence=confidence,
        one_per_prompt=one_per_prompt,
        seed=seed,
    )
    left_out = Counter(gathered.votes_left_out)
    left_out[WITHOUT_LABEL] += len(gathered.votes.pair) - len(used.pair)
    provenance = _provenance(gathered, parsers or {}, rows)
    if metric == "majority":
        ceiling = leave_one_out_agreement(used, cluster).s1
    else:
        ceiling = getattr(human_human_agreement(used, cluster), metric)
    return Certification(
        judge=delivered.name,
        certificate=certificate,
        ceiling=ceiling,
        votes_used=len(used.pair),
        votes_left_out={reason: count for reason, count in left_out.items() if count},
        assumptions=_assumptions(provenance),
        provenance=provenance,
    )


def check_share(name: str, share: float) -> None:
    """Raise ConfigError unless a share lies between 0 and 1, both excluded."""
    if not 0 < share < 1:
        raise ConfigError(f"{name} is {share}; give a share between 0 and 1, such as 0.8")


def check_metric(metric: str) -> None:
    """Raise ConfigError for an unknown metric."""
    if metric not in get_args(Metric):
        raise ConfigError(
            f"metric {metric!r} is unknown; give one of {', '.join(get_args(Metric))}"
        )


def _provenance(
    gathered: Gathered, parsers: Mapping[str, tuple[str, ...]], rows: Any
) -> dict[str, Any]:
    run = gathered.run
    return {
        "run": run.run_id,
        "source": run.source,
        "rule": run.rule,
        "judges": [
            {**asdict(judge), "parsers": list(parsers.get(judge.judge_key, ()))}
            for judge in run.judges
        ],
        "gold": {
            "source": gathered.source or "votes in the ledger",
            "sha256": votes_digest(gathered, rows),
            "annotators": len(set(gathered.votes.on(rows).annotator.tolist())),
        },
    }


def votes_digest(gathered: Gathered, rows: Any) -> str:
    """Return the SHA-256 of the votes on the pairs of a mask, whatever order they came in.

    It is that of the sorted JSON lines `["pair_id","preference"]`, each ended by a line feed.
    """
    used = gathered.votes.on(rows)
    names = gathered.pair_ids
    lines = sorted(
        to_json([names[pair], _CHOICES[choice]])
        for pair, choice in zip(used.pair.tolist(), used.choice.tolist(), strict=True)
    )
    return sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


def _assumptions(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    gold = provenance["gold"]
    frozen = "; ".join(_judge_words(judge) for judge in provenance["judges"])
    return (
        "the labelled pairs are a random sample of the traffic that the judge will see; pairs "
        "chosen because they looked doubtful, or easy, are none",
        f"judge, prompt and parser stay as they are: {frozen}; rule {provenance['rule']}",
        f"agreement means agreement with this gold: {gold['source']}, by "
        f"{gold['annotators']:,} {'annotator' if gold['annotators'] == 1 else 'annotators'}, "
        f"sha256 {gold['sha256'][:12]}",
        "the target was set before these votes were looked at, and neither judge nor prompt was "
        "chosen with them except in looks that the ledger counts",
        "pairs left without a label are no part of it",
    )


def _judge_words(judge: Mapping[str, Any]) -> str:
    parsers = " and ".join(judge["parsers"]) or "unknown"
    sampling = ", ".join(f"{name} {value}" for name, value in sorted(judge["sampling"].items()))
    digest = judge["prompt_digest"][:12]
    words = f"{judge['name']} (model {judge['model']}, prompt {judge['prompt']} {digest}"
    return f"{words}, parser {parsers}{f', {sampling}' if sampling else ''})"
