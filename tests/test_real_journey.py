"""The whole path on real pairs, real votes and real judges' texts, with the figures they imply."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.chance import cohens_kappa
from calibration.intervals import Estimate
from calibration.report.model import Report
from judge.api.deliver import agree, export, import_file
from judge.api.label import run
from judge.job.pipeline import RunResult
from judge.outcomes.exporting import Manifest
from judge.records import Verdict
from judge.replies.verdicts import parse_verdict
from judge.simulator.process import simulator_process
from judge.simulator.settings import MODEL, SimulatorSettings

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
PANDALM = DATA / "pandalm" / "testset-v1.json"
POSITION_BIAS = DATA / "position_bias"
MT_BENCH = DATA / "mt_bench" / "gpt-4_pair.phi-3_vs_phi-3-dpo.jsonl"
pytestmark = pytest.mark.skipif(
    not (PANDALM.exists() and POSITION_BIAS.is_dir() and MT_BENCH.exists()),
    reason="the real pairs and judge texts (../shared/data) are not on this machine",
)

CHOICES = {0: "tie", 1: "first", 2: "second"}
SIDES = {"first": 1, "tie": 0, "inconsistent": 0, "second": -1}
ANNOTATORS = ("annotator1", "annotator2", "annotator3")
CONTENTS = 863
Row = dict[str, Any]


def write(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lines_of(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def pandalm_pairs(given: Iterable[Row]) -> list[Row]:
    return [
        {
            "pair_id": f"pandalm-{row['idx']}",
            "prompt": "\n\n".join(part for part in (row["instruction"], row["input"]) if part),
            "first": as_text(row["response1"]),
            "second": as_text(row["response2"]),
            "tags": {"source": row["motivation_app"]},
        }
        for row in given
    ]


def pandalm_votes(given: Iterable[Row]) -> list[Row]:
    return [
        {"pair_id": f"pandalm-{row['idx']}", "annotator": who, "preference": CHOICES[row[who]]}
        for row in given
        for who in ANNOTATORS
    ]


@dataclass(frozen=True)
class Journey:
    """Everything that one way from pairs to training data made."""

    given: list[Row]
    folder: Path
    result: RunResult
    again: RunResult
    asks: int
    votes_new: int
    report: Report
    manifest: Manifest
    labels: dict[str, str]

    @property
    def ledger(self) -> Path:
        return self.folder / "judge.db"


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    given = json.loads(PANDALM.read_text("utf-8"))
    folder = tmp_path_factory.mktemp("pandalm")
    ledger = folder / "judge.db"
    pairs = write(folder / "pairs.jsonl", pandalm_pairs(given))
    votes = write(folder / "votes.jsonl", pandalm_votes(given))
    noisy = SimulatorSettings(
        seed=7, position_bias=0.1, tie_rate=0.1, unparsable_rate=0.01, reply_words=20
    )
    with simulator_process(noisy) as simulator:
        settings = {"endpoints.default.base_url": simulator.base_url, "judges.0.model": MODEL}
        arguments: Row = {"overrides": settings, "environ": {}, "ledger": ledger}
        result = run(pairs, **arguments)
        asks = simulator.stats().requests
        again = run(pairs, **arguments)
        assert simulator.stats().requests == asks
    imported = import_file(votes, "votes", ledger=ledger)
    export(folder / "labels.jsonl", ledger=ledger, to="labels")
    return Journey(
        given=given,
        folder=folder,
        result=result,
        again=again,
        asks=asks,
        votes_new=imported.new,
        report=agree(ledger=ledger, json=folder / "report.json"),
        manifest=export(folder / "train.jsonl", ledger=ledger, style="standard"),
        labels={row["pair_id"]: row["outcome"] for row in lines_of(folder / "labels.jsonl")},
    )


def share(estimate: Estimate) -> tuple[int, int]:
    """The hits and the count behind a share that has an interval around it."""
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0 <= estimate.low < estimate.value < estimate.high <= 1
    return round(estimate.value * estimate.n), estimate.n


def test_equal_contents_are_asked_once_whichever_way_round_they_were_given(
    journey: Journey,
) -> None:
    result = journey.result
    assert result.cause is None
    assert (result.intake.pairs, result.progress.total) == (999, 2 * CONTENTS)
    assert journey.asks == result.progress.judged == 2 * CONTENTS
    assert (journey.again.progress.stored_before, journey.again.progress.judged) == (1726, 0)
    assert journey.again.outcomes == result.outcomes


def test_empty_answers_are_named_and_kept(journey: Journey) -> None:
    intake = journey.result.intake
    assert (intake.n_warnings, len(intake.warnings)) == (54, 10)
    assert all("is an empty answer; it is judged as it is" in w for w in intake.warnings)
    assert intake.n_bad_lines == 0
    assert len(journey.labels) == 999


def test_exchanged_twins_have_mirrored_labels(journey: Journey) -> None:
    connection = sqlite3.connect(journey.ledger)
    twins = defaultdict(list)
    for pair_id, content, is_exchanged in connection.execute(
        "SELECT pair_id, content_id, is_exchanged FROM pairs"
    ):
        outcome = journey.labels[pair_id]
        swapped = {"first": "second", "second": "first"}.get(outcome, outcome)
        twins[content].append((bool(is_exchanged), swapped if is_exchanged else outcome))
    connection.close()
    assert len(twins) == CONTENTS
    assert sum(len({side for side, _ in rows}) == 2 for rows in twins.values()) == 37
    assert all(len({outcome for _, outcome in rows}) == 1 for rows in twins.values())


def test_the_judge_agrees_with_the_votes_as_counting_them_says(journey: Journey) -> None:
    assert journey.votes_new == 2997
    s1, s2 = Counter[bool](), Counter[bool]()
    for vote in pandalm_votes(journey.given):
        label = journey.labels[vote["pair_id"]]
        if label == "undecided":
            continue
        said, voted = SIDES[label], SIDES[vote["preference"]]
        s1[said == voted] += 1
        if said and voted:
            s2[said == voted] += 1
    figures = journey.report.judges[MODEL]
    assert share(figures.s1.micro) == (s1[True], s1.total())
    assert share(figures.s2.micro) == (s2[True], s2.total())
    assert 2800 < s1.total() < 2997
    assert journey.report.votes.votes_used == s1.total()
    assert sum(journey.report.votes.votes_left_out.values()) == 2997 - s1.total()
    assert figures.s1.micro.low is not None
    assert figures.s1.micro.high is not None
    # Rows of one prompt are alike, so the interval is wider than that of independent votes.
    assert figures.s1.micro.high - figures.s1.micro.low > 2 * 1.96 * (0.25 / 2997) ** 0.5


def test_the_human_ceiling_stands_beside_the_judge(journey: Journey) -> None:
    couples = [(r[a], r[b]) for r in journey.given for a, b in combinations(ANNOTATORS, 2)]
    decided = [couple for couple in couples if 0 not in couple]
    humans = journey.report.ceiling.human_human
    assert share(humans.s1) == (sum(one == other for one, other in couples), 2997)
    assert share(humans.s2) == (sum(one == other for one, other in decided), len(decided))


def test_the_published_kappas_between_the_annotators_are_reproduced(journey: Journey) -> None:
    kappas = []
    for one, other in combinations(ANNOTATORS, 2):
        table = np.zeros((3, 3))
        for row in journey.given:
            table[row[one], row[other]] += 1
        kappas.append(cohens_kappa(table))
    assert sorted(kappas) == pytest.approx([0.852, 0.862, 0.879], abs=5e-4)


def test_annotators_taken_for_judge_and_gold_have_the_kappa_of_their_table(
    journey: Journey,
) -> None:
    folder, rows = journey.folder / "human", one_row_per_content(journey)
    folder.mkdir()
    ledger, said = folder / "judge.db", {0: ("C", "C"), 1: ("A", "B"), 2: ("B", "A")}
    judgments = [
        {
            "pair_id": f"pandalm-{row['idx']}",
            "judge": "annotator1",
            "order": order,
            "reply": f"[[{reply}]]",
        }
        for row in rows
        for order, reply in zip(("forward", "reversed"), said[row["annotator1"]], strict=True)
    ]
    gold = [vote for vote in pandalm_votes(rows) if vote["annotator"] == "annotator2"]
    import_file(write(folder / "pairs.jsonl", pandalm_pairs(rows)), "pairs", ledger=ledger)
    import_file(write(folder / "judgments.jsonl", judgments), "judgments", ledger=ledger)
    report = agree(ledger=ledger, gold=write(folder / "gold.jsonl", gold))
    table = np.zeros((3, 3))
    for row in rows:
        table[row["annotator1"], row["annotator2"]] += 1
    kappa = report.judges["annotator1"].kappa
    assert kappa.n == CONTENTS
    assert kappa.value == pytest.approx(cohens_kappa(table))


def one_row_per_content(journey: Journey) -> list[Row]:
    connection = sqlite3.connect(journey.ledger)
    query = "SELECT MIN(rowid), pair_id FROM pairs GROUP BY content_id"
    chosen = {row[1] for row in connection.execute(query)}
    connection.close()
    return [row for row in journey.given if f"pandalm-{row['idx']}" in chosen]


def test_the_training_data_and_its_manifest_add_up(journey: Journey) -> None:
    outcomes = Counter(journey.labels.values())
    manifest = journey.manifest
    assert manifest.rows == outcomes["first"] + outcomes["second"]
    assert (manifest.pairs, manifest.is_partial) == (999, False)
    assert manifest.rows + sum(manifest.left_out.values()) == 999
    assert manifest.left_out["inconsistent"] == outcomes["inconsistent"] > 0
    assert manifest.left_out["tie"] == outcomes["tie"] > 0
    assert manifest.left_out["undecided: unparsed"] == outcomes["undecided"] > 0
    assert dict(journey.result.outcomes) == {
        "first": outcomes["first"],
        "second": outcomes["second"],
        **manifest.left_out,
    }
    assert manifest.agreement is not None
    assert manifest.agreement["s1"] == journey.report.judges[MODEL].s1.micro.as_dict()

    expected = []
    for row in pandalm_pairs(journey.given):
        sides = {"first": ("first", "second"), "second": ("second", "first")}
        if winner := sides.get(journey.labels[row["pair_id"]]):
            chosen, rejected = (row[side] for side in winner)
            expected.append({"prompt": row["prompt"], "chosen": chosen, "rejected": rejected})
    assert lines_of(journey.folder / "train.jsonl") == expected


# Texts that real judges wrote, imported as judgments


def position_bias_files(judge: str) -> tuple[list[Row], list[Row]]:
    """Pairs with stand-in texts, the models in the order of their names, and the judgments."""
    pairs, judgments = {}, []
    for row in lines_of(POSITION_BIAS / f"Repetition1.{judge}.jsonl"):
        first, second = sorted((row["model_a"], row["model_b"]))
        pair_id = f"{row['question_id']}/{first}/{second}"
        pairs[pair_id] = {
            "pair_id": pair_id,
            "prompt": f"Question {row['question_id']}",
            "first": f"The answer of {first}.",
            "second": f"The answer of {second}.",
        }
        order = "forward" if row["model_a"] == first else "reversed"
        judgments.append(
            {"pair_id": pair_id, "judge": judge, "order": order, "reply": row["judgment"]}
        )
    return list(pairs.values()), judgments


def twice_equal(judgments: Iterable[Row]) -> tuple[int, int]:
    """Pairs with one meaning in both orders, and pairs with two verdicts, by the parser alone."""
    said: dict[str, list[Verdict | None]] = defaultdict(lambda: [None, None])
    other = {Verdict.A: Verdict.B, Verdict.B: Verdict.A, Verdict.TIE: Verdict.TIE, None: None}
    for row in judgments:
        verdict = parse_verdict(row["reply"])
        is_forward = row["order"] == "forward"
        said[row["pair_id"]][not is_forward] = verdict if is_forward else other[verdict]
    decided = [both for both in said.values() if None not in both]
    return sum(one == two for one, two in decided), len(decided)


@pytest.mark.parametrize(
    ("judge", "published"),
    [("gpt-4-0613", 170 / 192), ("gpt-3.5-turbo-1106", 152 / 190), ("gemini-pro", 112 / 188)],
)
def test_imported_texts_have_the_published_consistency(
    tmp_path: Path, judge: str, published: float
) -> None:
    pairs, judgments = position_bias_files(judge)
    ledger = tmp_path / "judge.db"
    assert import_file(write(tmp_path / "p", pairs), "pairs", ledger=ledger).new == 96
    assert import_file(write(tmp_path / "j", judgments), "judgments", ledger=ledger).new == 192
    report = agree(ledger=ledger)
    figures = report.judges[judge]
    assert share(figures.consistency) == twice_equal(judgments)
    assert figures.consistency.value == pytest.approx(published, abs=0.03)
    assert figures.counts.judgments == 192
    flips = [figures.consistency, figures.toward_first, figures.toward_second]
    assert sum(figure.value or 0 for figure in flips) == pytest.approx(1)
    manifest = export(tmp_path / "data.jsonl", ledger=ledger)
    assert manifest.rows + sum(manifest.left_out.values()) == 96


def outcome_of(row: Row) -> str:
    """The label that two published winners amount to."""
    games = {row["g1_winner"], row["g2_winner"]}
    if "error" in games:
        return "undecided"
    names = {"model_1": "first", "model_2": "second", "tie": "tie"}
    return names[games.pop()] if len(games) == 1 else "inconsistent"


def test_imported_mt_bench_verdicts_are_labelled_as_they_were_published(tmp_path: Path) -> None:
    rows, ledger = lines_of(MT_BENCH), tmp_path / "judge.db"
    pairs = [
        {
            "pair_id": str(row["question_id"]),
            "prompt": f"Question {row['question_id']}",
            "first": f"The answer of {row['model_1']}.",
            "second": f"The answer of {row['model_2']}.",
        }
        for row in rows
    ]
    # The second game shows the second model first.
    judgments = [
        {"pair_id": str(row["question_id"]), "judge": "gpt-4", "order": order, "reply": row[game]}
        for row in rows
        for order, game in (("forward", "g1_judgment"), ("reversed", "g2_judgment"))
    ]
    import_file(write(tmp_path / "p", pairs), "pairs", ledger=ledger)
    assert import_file(write(tmp_path / "j", judgments), "judgments", ledger=ledger).new == 150
    export(tmp_path / "labels.jsonl", ledger=ledger, to="labels")
    labels = {row["pair_id"]: row["outcome"] for row in lines_of(tmp_path / "labels.jsonl")}
    published = {str(row["question_id"]): outcome_of(row) for row in rows}
    assert Counter(published.values())["undecided"] == 2
    different = [pair_id for pair_id in labels if labels[pair_id] != published[pair_id]]
    assert all(labels[pair_id] == "undecided" for pair_id in different)
    assert len(different) <= 2
    assert share(agree(ledger=ledger).judges["gpt-4"].consistency) == twice_equal(judgments)
