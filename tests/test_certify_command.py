"""`judge certify` and `judge plan`: what they say of a ledger, and their exit codes."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App, Parameter

import judge
from judge.cli.door import exit_code_of
from judge.errors import ConfigError
from judge.trust.certifying import Certification, certify
from judge.trust.label_plan import Goal
from judge.trust.planning_labels import plan

PROMPTS = 120
Told = tuple[int, str, list[str]]

app = App(result_action="return_value", default_parameter=Parameter(negative=()))
app.command("judge.cli.certify:command", name="certify")
app.command("judge.cli.plan:command", name="plan")


def rows_of(prompts: int) -> dict[str, list[dict[str, Any]]]:
    """One pair per prompt: `good` always says the first answer, `poor` every fourth time not.

    Nine of ten votes are for the first answer.
    """
    names = [f"p{n}" for n in range(prompts)]
    said = {"good": lambda at: True, "poor": lambda at: at % 4 > 0}
    return {
        "pairs": [
            {"pair_id": name, "prompt": f"Q {name}", "first": "one", "second": "another"}
            for name in names
        ],
        "judgments": [
            {
                "pair_id": name,
                "judge": who,
                "order": order,
                "reply": f"[[{first if is_first(at) else other}]]",
            }
            for who, is_first in said.items()
            for at, name in enumerate(names)
            for order, first, other in (("forward", "A", "B"), ("reversed", "B", "A"))
        ],
        "votes": [
            {"pair_id": name, "annotator": "x", "preference": "first" if at % 10 else "second"}
            for at, name in enumerate(names)
        ],
    }


def a_ledger(folder: Path, rows: dict[str, list[dict[str, Any]]], *, judges: set[str]) -> Path:
    path = folder / "judge.db"
    kept = [row for row in rows["judgments"] if row["judge"] in judges]
    for kind, lines in {**rows, "judgments": kept}.items():
        if lines:
            file = folder / kind
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
            judge.import_file(file, kind, ledger=path)
    return path


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One judge with 108 of 120 votes on its side."""
    return a_ledger(tmp_path_factory.mktemp("one"), rows_of(PROMPTS), judges={"good"})


@pytest.fixture(scope="module")
def two_judges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_ledger(tmp_path_factory.mktemp("two"), rows_of(PROMPTS), judges={"good", "poor"})


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Told:
    code = exit_code_of(app, arguments)
    said = capsys.readouterr()
    return code, said.out, said.err.splitlines()


# ----------------------------------------------------------------------------------------------
# certify


def test_a_certificate_exits_0_and_says_what_it_rests_on(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, talk = told(capsys, "certify", "--ledger", str(ledger), "--at-least", "0.8")
    assert (code, talk) == (0, [])
    words = " ".join(out.split())
    assert words.startswith(
        "Certified: judge good agrees with the votes (S1, ties included) at least 80 % of the time "
        "(95 % confidence, one-sided). 90.0 % seen on 120 votes on 120 prompts; the lower bound is "
        "84.3 %. How far humans agree with each other here is unknown: no pair has votes by two "
        "annotators. This holds as long as"
    )
    assert "good (model good, prompt imported imported, parser mtbench/1); rule" in words
    assert "votes in the ledger, by 1 annotator, sha256" in words


def test_a_refusal_exits_1_and_says_what_would_decide_it(
    ledger: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "certificate.json"
    asked = ("certify", "--ledger", str(ledger), "--at-least", "0.85", "--json", str(file))
    code, out, talk = told(capsys, *asked)
    assert (code, talk) == (1, [f"certificate written to {file}"])
    words = " ".join(out.split())
    assert words.startswith("Not certified: that judge good agrees")
    # 281 prompts certify 85 % with 80 % power if the truth is 90 %.
    assert "About 161 more prompts, labelled like these, would decide it" in words
    written = json.loads(file.read_text())
    assert (written["schema"], written["is_granted"]) == ("certificate/1", False)
    assert written["certificate"]["more_prompts"] == 161


@pytest.mark.parametrize("share", ["80", "0", "1", "nan", "high"])
@pytest.mark.parametrize("flag", ["--at-least", "--confidence"])
def test_a_share_that_is_none_is_a_usage_error(
    ledger: Path, capsys: pytest.CaptureFixture[str], flag: str, share: str
) -> None:
    asked = ("certify", "--ledger", str(ledger), "--at-least=0.8", f"{flag}={share}")
    code, out, talk = told(capsys, *asked)
    assert (code, out) == (2, "")
    assert flag in talk[0]


def test_the_target_is_asked_for(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, talk = told(capsys, "certify", "--ledger", str(ledger))
    assert code == 2
    assert "--at-least" in talk[0]


def test_the_json_names_everything_that_made_the_certificate(ledger: Path, tmp_path: Path) -> None:
    found = certify(ledger=ledger, at_least=0.8, json=tmp_path / "c.json")
    assert isinstance(found, Certification)
    written = json.loads((tmp_path / "c.json").read_text())
    assert written["certificate"]["bound"] == found.certificate.bound
    provenance = written["provenance"]
    assert provenance["run"] == "import"
    assert [judge["parsers"] for judge in provenance["judges"]] == [["mtbench/1"]]
    lines = sorted(
        json.dumps([row["pair_id"], row["preference"]], separators=(",", ":"))
        for row in rows_of(PROMPTS)["votes"]
    )
    digest = hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()
    assert provenance["gold"] == {
        "source": "votes in the ledger", "sha256": digest, "annotators": 1,
    }  # fmt: skip


def test_the_digest_is_that_of_the_votes_and_not_of_their_file(
    ledger: Path, tmp_path: Path
) -> None:
    file = tmp_path / "gold.jsonl"
    votes = rows_of(PROMPTS)["votes"][::-1]
    file.write_text("".join(json.dumps(row) + "\n" for row in votes))
    of_ledger, of_file = (certify(ledger=ledger, at_least=0.8, gold=g) for g in (None, file))
    assert of_file.certificate == of_ledger.certificate
    assert of_file.provenance["gold"]["source"] == str(file)
    assert of_file.provenance["gold"]["sha256"] == of_ledger.provenance["gold"]["sha256"]
    file.write_text("".join(json.dumps(row) + "\n" for row in votes[1:]))
    fewer = certify(ledger=ledger, at_least=0.8, gold=file)
    assert fewer.provenance["gold"]["sha256"] != of_file.provenance["gold"]["sha256"]


def test_two_judges_are_certified_as_the_panel_that_is_delivered(two_judges: Path) -> None:
    found = certify(ledger=two_judges, at_least=0.8, metric="s2")
    assert found.judge == "panel"
    # They are split on a quarter of the pairs, which therefore have no label.
    assert found.votes_left_out == {"pair without a label": 30}
    assert found.votes_used == found.certificate.n == 90
    assert len(found.provenance["judges"]) == 2


def test_humans_stand_beside_the_judge_on_the_same_pairs(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    votes = rows_of(PROMPTS)["votes"]
    others = [{**row, "annotator": "y", "preference": "first"} for row in votes]
    file = tmp_path / "gold.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*votes, *others]))
    found = certify(ledger=ledger, at_least=0.95, gold=file)
    assert found.ceiling.value == pytest.approx(0.9)
    assert found.certificate.value == pytest.approx(0.95)
    asked = ("--ledger", str(ledger), "--at-least", "0.95", "--gold", str(file))
    out = told(capsys, "certify", *asked)[1]
    words = " ".join(out.split())
    assert (
        "On the same pairs humans agree with each other on 90.0 % (83.3-94.2); the target is"
        in (words)
    )
    assert certify(ledger=ledger, at_least=0.9, gold=file, metric="majority").ceiling.n == 240


def test_one_vote_of_each_prompt_is_drawn_by_a_seed(ledger: Path, tmp_path: Path) -> None:
    votes = rows_of(PROMPTS)["votes"]
    file = tmp_path / "gold.jsonl"
    others = [{**row, "annotator": "y", "preference": "first"} for row in votes]
    file.write_text("".join(json.dumps(row) + "\n" for row in [*votes, *others]))
    found = certify(ledger=ledger, at_least=0.8, gold=file, one_per_prompt=True, seed=3)
    assert (found.certificate.n, found.certificate.seed) == (PROMPTS, 3)
    assert found.certificate.method.startswith("exact")
    assert found.votes_used == 240


def test_without_votes_nothing_is_certified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = a_ledger(tmp_path, {**rows_of(4), "votes": []}, judges={"good"})
    code, out, _ = told(capsys, "certify", "--ledger", str(ledger), "--at-least", "0.8")
    assert code == 1
    assert out.startswith("Not certified; nothing can be said of judge good on the votes")
    assert "no human vote on a labelled pair" in " ".join(out.split())
    assert "This holds" not in out


def test_the_ledger_is_never_overwritten_by_its_certificate(ledger: Path) -> None:
    with pytest.raises(ConfigError, match="is the ledger itself"):
        certify(ledger=ledger, at_least=0.8, json=ledger)


def test_an_unknown_metric_is_named_with_the_known_ones(ledger: Path) -> None:
    with pytest.raises(ConfigError, match="'s3' is unknown; give one of s1, s2, majority"):
        certify(ledger=ledger, at_least=0.8, metric="s3")  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------
# plan


def only(goals: tuple[Goal, ...]) -> Goal:
    (goal,) = goals
    return goal


def test_a_plan_without_a_ledger_is_that_of_independent_labels(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, talk = told(capsys, "plan", "--at-least", "0.8", "--expected", "0.85")
    assert (code, talk) == (0, [])
    first, _, table = out.partition("\n\n")
    assert " ".join(first.split()) == (
        "To certify at least 80 % if the truth is 85 % (95 % confidence, 80 % power): 365 labels "
        "on 365 prompts."
    )
    assert [line.split() for line in table.splitlines()] == [
        ["goal", "independent", "deff", "prompts", "labels"],
        ["at", "least", "80", "%", "365", "1.00", "365", "365"],
    ]


def test_labels_that_share_a_prompt_cost_more_and_the_plan_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ("--at-least=0.8", "--expected=0.85", "--pairs-per-prompt=4", "--cost-per-label=0.5")
    _, out, _ = told(capsys, "plan", *asked)
    words = " ".join(out.split())
    assert "728 labels on 182 prompts, $364.00." in words
    assert "Note: labels of one prompt are taken to correlate by 0.3 (ICC)." in words
    assert "buy prompts rather than labels per prompt" in words


def test_each_goal_has_its_published_number() -> None:
    found = plan(half_width=0.05, difference=0.05, at_least=0.8, expected=0.85, discordance=0.2)
    certified, within, apart = found.goals
    assert (certified.items, certified.prompts, certified.labels) == (365, 365, 365)
    assert within.items == 196
    # Connor's 626 and the margin that the exact test needs.
    assert apart.items == apart.labels == 720


def test_a_half_width_without_an_expectation_takes_the_worst_case() -> None:
    found = plan(half_width=0.05)
    assert only(found.goals).items == 381
    assert found.notes == ("the agreement is taken as 50 %, which needs the most labels",)


def test_the_present_gold_counts_and_only_what_is_missing_is_planned(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = plan(ledger=ledger, at_least=0.85, cost_per_label=2)
    goal = only(found.goals)
    assert found.present is not None
    assert (found.present.labels, found.present.prompts) == (120, 120)
    assert (goal.expected, goal.prompts, goal.more_prompts) == (0.9, 281, 161)
    assert (goal.more_labels, goal.cost_usd, goal.is_met) == (161, 322, False)
    assert certify(ledger=ledger, at_least=0.85).certificate.more_prompts == goal.more_prompts
    out = told(capsys, "plan", "--ledger", str(ledger), "--at-least", "0.85")[1]
    words = " ".join(out.split())
    assert words.startswith("Present gold: 120 labels on 120 pairs of 120 prompts (1.0 a pair)")
    assert "161 more labels on 161 more prompts. The present gold certifies 84.3 %." in words


def test_a_goal_that_is_met_needs_no_more_labels(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    goals = plan(ledger=ledger, at_least=0.8, half_width=0.1, cost_per_label=2).goals
    assert [(g.is_met, g.more_prompts, g.more_labels, g.cost_usd) for g in goals] == (
        [(True, 0, 0, 0)] * 2
    )
    out = told(capsys, "plan", "--ledger", str(ledger), "--at-least", "0.8")[1]
    assert "the present gold is enough; it certifies 84.3 %." in " ".join(out.split())


def test_what_is_given_goes_before_what_the_ledger_says(ledger: Path) -> None:
    given = plan(ledger=ledger, at_least=0.85, expected=0.95, pairs_per_prompt=3, icc=0.5)
    goal = only(given.goals)
    assert (goal.expected, goal.deff, given.labels_per_prompt) == (0.95, 2, 3)
    assert goal.labels == 3 * (goal.prompts or 0)
    # 120 independent labels are worth 80 prompts of three that count for 1.5.
    assert goal.more_prompts == max(1, (goal.prompts or 0) - 80)


def test_the_discordance_of_two_judges_comes_from_their_labels(two_judges: Path) -> None:
    found = plan(ledger=two_judges, difference=0.1)
    assert found.present is not None
    assert found.present.discordance == pytest.approx(0.25)
    goal = only(found.goals)
    assert goal.expected == pytest.approx(0.25)
    assert goal.present is not None
    assert 0.1 < goal.present < 0.2
    assert goal.more_prompts == (goal.prompts or 0) - PROMPTS


def test_a_hopeless_target_has_no_number(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goal = only(plan(ledger=ledger, at_least=0.95).goals)
    assert (goal.items, goal.prompts, goal.more_prompts) == (None, None, None)
    code, out, _ = told(capsys, "plan", "--ledger", str(ledger), "--at-least", "0.95")
    assert code == 0
    assert "not above the target, so no number of labels certifies it" in " ".join(out.split())


def test_a_ledger_without_votes_falls_back_on_what_is_given(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, {**rows_of(4), "votes": []}, judges={"good"})
    found = plan(ledger=ledger, at_least=0.8, expected=0.85)
    assert only(found.goals).more_prompts == 365
    assert "tell nothing yet: no human vote on a labelled pair" in found.notes[0]
    with pytest.raises(ConfigError, match="the agreement to expect is not known"):
        plan(ledger=ledger, at_least=0.8)


def test_the_json_of_a_plan_holds_every_number(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = told(capsys, "plan", "--ledger", str(ledger), "--half-width=0.02", "--json")
    written = json.loads(out)
    assert (code, written["schema"]) == (0, "plan/1")
    assert written["present"]["agreement"]["n"] == 120
    assert written["goals"][0]["more_prompts"] == written["goals"][0]["prompts"] - 120


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({}, "nothing to plan for"),
        ({"at_least": 0.8}, "the agreement to expect is not known"),
        ({"at_least": 80, "expected": 0.9}, "at_least is 80"),
        ({"difference": 0.1}, "how often the two judges differ is not known"),
        ({"difference": 0.3, "discordance": 0.2}, "difference 0.3 is more than the discordance"),
        ({"half_width": 0.1, "gold": "g.jsonl"}, "needs the ledger"),
        ({"half_width": 0.1, "pairs_per_prompt": 0}, "give a number from 1"),
        ({"half_width": 0.1, "icc": 2}, "icc is 2"),
        ({"half_width": 0.1, "cost_per_label": -1}, "give dollars from 0"),
        ({"half_width": 0.1, "metric": "s3"}, "'s3' is unknown"),
    ],
)
def test_a_plan_that_cannot_be_made_says_what_to_give(asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        plan(**asked)
