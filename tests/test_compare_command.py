"""`judge compare`: names, the sentence, the pairs behind it, and looks that are counted."""

import json
from pathlib import Path

import pytest

import judge
from calibration.compare import Bucket, Metric
from judge.cli import app
from judge.cli.door import exit_code_of
from judge.errors import ConfigError, LedgerError
from judge.ledger.runs import IMPORT_RUN, RunJudge
from judge.ledger.store import Ledger
from judge.trust.gold_split import is_test
from tests.test_run_listing import FLIP, LOSS, NOTHING, STRONG, TIE, WEAK, WIN, add, add_run, vote

Told = tuple[int, str, list[str]]
PAIRS = range(1, 41)
THIRD = RunJudge("key-3", "third", "model-3", "pair-tie", "digest-3", {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def told(path: Path) -> Path:
    """Two runs on 40 prompts: people always want the first answer, `two` says so more often."""
    with Ledger(path) as ledger:
        add_run(ledger, "one", {n: WIN if n % 2 else LOSS for n in PAIRS})
        later = {n: WIN if n % 4 else LOSS for n in PAIRS} | {1: LOSS, 2: TIE, 3: FLIP}
        add_run(ledger, "two", later, judges=(WEAK,))
        add(ledger, *(vote(n) for n in PAIRS))
    return path


def compare(capsys: pytest.CaptureFixture[str], *arguments: object) -> Told:
    code = exit_code_of(app, ["compare", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err.splitlines()


# Labels


def test_labels_of_two_runs_are_compared_pair_by_pair_without_any_vote(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN, 2: WIN, 3: FLIP, 4: LOSS, 5: NOTHING, 9: TIE})
        add_run(
            ledger, "two",
            {5: NOTHING, 4: LOSS, 3: TIE, 2: WIN, 1: LOSS, 8: WIN, 7: WIN}, judges=(WEAK,),
        )  # fmt: skip
    before = path.read_bytes()
    found = judge.compare("one", "two", ledger=path)
    assert path.read_bytes() == before
    assert found.look is None
    assert (found.common, found.compared, found.equal, found.n_changed) == (5, 4, 3, 2)
    assert [side.pairs for side in found.sides] == [6, 7]
    assert found.outcomes == {
        "first": {"first": 1, "second": 1},
        "second": {"second": 1},
        "inconsistent": {"tie": 1},
        "no label": {"no label": 1},
    }
    assert {(c.pair_id, c.first, c.second, c.bucket) for c in found.changed} == {
        ("p1", "first", "second", "no vote"),
        ("p3", "inconsistent", "tie", "no vote"),
    }
    assert found.shift is not None
    assert found.shift.stuart_maxwell.n == 2
    [couple] = found.couples
    assert couple.comparison.difference.why == "no human vote on a pair that every judge labelled"
    assert couple.p_adjusted is None


def test_comparing_the_other_way_round_mirrors_everything(told: Path) -> None:
    there, back = (judge.compare(*names, ledger=told) for names in (("one", "two"), ("two", "one")))
    cells = {(a, b): n for a, row in there.outcomes.items() for b, n in row.items()}
    assert cells == {(b, a): n for a, row in back.outcomes.items() for b, n in row.items()}
    one, other = there.couples[0].comparison, back.couples[0].comparison
    assert one.p == other.p
    assert one.agreement(Metric.S1) == other.agreement(Metric.S1)[::-1]
    assert one.difference.value == -(other.difference.value or 0)
    assert one.buckets[Bucket.FIXED] == other.buckets[Bucket.BROKEN]


def test_only_pairs_labelled_by_both_count_and_the_rest_is_told(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN, 2: WIN, 3: LOSS, 4: NOTHING})
        add_run(ledger, "two", {1: LOSS, 2: WIN, 4: WIN}, judges=(WEAK,))
        add(ledger, *(vote(n) for n in range(1, 5)), vote(1, "skip"))
    found = judge.compare("one", "two", ledger=path)
    assert (found.common, found.compared, found.votes_used) == (3, 2, 2)
    assert found.votes_left_out == {
        "skipped by the annotator": 1,
        "pair not given to every judge": 1,
        "pair without a label from every judge": 1,
    }
    assert found.couples[0].comparison.difference.value == -0.5


# Names


def test_judges_are_named_by_run_by_judge_or_by_both(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "aaa1", {1: WIN, 2: WIN})
        add_run(ledger, "aab2", {1: LOSS, 2: WIN}, judges=(STRONG, WEAK))
    named = {
        ("strong", "weak"): [("aab2", "strong"), ("aab2", "weak")],
        ("aaa", "latest"): [("aaa1", "strong"), ("aab2", "panel")],
        ("aaa1/strong", "latest/weak"): [("aaa1", "strong"), ("aab2", "weak")],
        ("panel", "aab/strong"): [("aab2", "panel"), ("aab2", "strong")],
    }
    for names, meant in named.items():
        found = judge.compare(*names, ledger=path)
        assert [(side.run_id, side.judge) for side in found.sides] == meant


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ((), "nothing cannot be compared"),
        (("one",), '"one" alone cannot be compared'),
        (("one", "one/strong"), "are the same labels"),
        (("two", "latest"), "are the same labels"),
        (("one", "nobody"), r'"nobody" is neither a run .* runs: .*one, two; judges: weak'),
        (("one", "two/strong"), 'run two has no judge "strong"; it has weak'),
        (("one", "bare"), "run bare .* has no judgments"),
        (("o", ""), '"" is neither'),
    ],
)
def test_a_name_that_means_nothing_says_what_there_is(
    path: Path, names: tuple[str, ...], problem: str
) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "bare", {1: None}, judges=(), kind=IMPORT_RUN)
        add_run(ledger, "one", {1: WIN})
        add_run(ledger, "two", {1: WIN}, judges=(WEAK,))
    with pytest.raises((ConfigError, LedgerError), match=problem):
        judge.compare(*names, ledger=path)


def test_the_beginning_of_two_runs_is_no_name(path: Path) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "aa1", {1: WIN})
        add_run(ledger, "aa2", {1: WIN})
    with pytest.raises(LedgerError, match="begins several runs: aa1, aa2"):
        judge.compare("aa", "latest", ledger=path)


# The command


def test_the_answer_comes_first_and_its_pairs_by_name(
    told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, talk = compare(capsys, "one", "two", "--ledger", told)
    assert (code, talk) == (0, [])
    sentence = " ".join(out.split("\n\n")[0].split())
    assert sentence.startswith(
        "two agrees with 67.5 % of the votes, one with 50.0 %: two 17.5 points more (95 % CI +0.1 "
    )
    assert "clustered by prompt); p = 0.065. This is look 1 at the votes on" in sentence
    assert "by the majority of the votes: fixed 9, broken 2, still right 18, still wrong 11" in out
    assert "(exact McNemar test); 11 prompts of 40 differ" in out
    changed = [" ".join(line.split()) for line in out.splitlines() if "people:" in line]
    assert "broken p1 first -> second people: first 1" in changed
    assert "fixed p6 second -> first people: first 1" in changed
    assert "changed labels: 12 pairs, 10 of them are" in out
    assert all(len(line) <= 100 for line in out.splitlines())


def test_the_json_holds_what_was_said(
    told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "comparison.json"
    _, _, talk = compare(capsys, "one", "two", "--ledger", told, "--json", file)
    assert talk == [f"comparison written to {file}"]
    document = json.loads(file.read_text())
    assert document["schema"] == "comparison/1"
    [couple] = document["couples"]
    assert couple["differences"]["s1"]["value"] == pytest.approx(0.175)
    assert couple["buckets"]["fixed"] == 9
    assert document["look"]["looks"] == 1
    assert document["labels"]["outcomes"]["second"]["first"] == 9
    with pytest.raises(ConfigError, match="the ledger itself"):
        judge.compare("one", "two", ledger=told, json=told)


def test_a_margin_that_is_not_surely_kept_exits_1(
    told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, talk = compare(capsys, "one", "two", "--ledger", told, "--margin", "0.02")
    assert (code, talk) == (0, [])
    assert "two is not inferior to one by the margin of 2 points: lower bound +0.1 points" in out
    code, _, [line] = compare(capsys, "two", "one", "--ledger", told, "--margin", "0.02")
    assert code == 1
    assert line.startswith("threshold failed: one is not surely within 2 points of two; it may be")
    code, _, [line, *_] = compare(capsys, "two", "one", "--ledger", told, "--margin", "2")
    assert code == 2
    assert "--margin" in line


def test_three_judges_get_one_test_and_every_couple(
    told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(told) as ledger:
        add_run(ledger, "three", dict.fromkeys(PAIRS, WIN), judges=(THIRD,))
    code, out, _ = compare(capsys, "one", "two", "three", "--ledger", told)
    assert code == 0
    assert "one, two, three are not all the same in their agreement with people" in out
    rows = [line.split()[:2] for line in out.splitlines() if " to +" in line]
    assert rows == [["one", "two"], ["one", "three"], ["two", "three"]]
    assert "changed labels" not in out


def test_what_is_missing_is_told_without_votes(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(path) as ledger:
        add_run(ledger, "one", {1: WIN})
        add_run(ledger, "two", {1: LOSS}, judges=(WEAK,))
    code, out, _ = compare(capsys, "one", "two", "--ledger", path)
    assert code == 0
    assert out.startswith("Which of one and two agrees more with people is unknown: no human vote")
    assert "equal labels: 0 of 1" in out
    assert "not computed: S2, without ties (no human vote" in out


# Gold and looks


def test_votes_of_a_file_take_the_place_of_those_in_the_ledger(told: Path, tmp_path: Path) -> None:
    gold = tmp_path / "gold.jsonl"
    votes = [{"pair_id": f"p{n}", "annotator": "x", "preference": "second"} for n in PAIRS]
    gold.write_text("".join(json.dumps(row) + "\n" for row in votes))
    found = judge.compare("one", "two", ledger=told, gold=gold)
    assert (found.couples[0].comparison.difference.value or 0) < 0
    assert found.gold == str(gold)


def test_dev_is_looked_at_as_often_as_one_likes(told: Path) -> None:
    before = told.read_bytes()
    for metric in ("s1", "s2", "majority"):
        found = judge.compare("one", "two", ledger=told, split="dev", metric=metric)
        assert found.look is None
        assert found.votes_used == sum(not is_test(f"q{n}") for n in PAIRS)
    assert told.read_bytes() == before


def test_every_other_look_at_test_votes_counts_and_a_repeated_one_does_not(
    told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge.compare("one", "two", ledger=told, split="test")
    judge.compare("two", "one", ledger=told, split="test")
    _, out, _ = compare(capsys, "one", "two", "--ledger", told)
    assert "look 2 at the votes on these test prompts" in out
    assert "with Bonferroni over 2 looks the level is 0.0250" in " ".join(out.split())
    _, out, _ = compare(capsys, "one", "two", "--ledger", told, "--split", "test")
    assert "look 1, repeated, at the votes on" in out
    with Ledger(told) as ledger:
        add(ledger, vote(2, "second", "another"))
    found = judge.compare("one", "two", ledger=told)
    assert found.look is not None
    assert (found.look.number, found.look.looks, found.look.is_repeated) == (3, 3, False)


def test_a_difference_that_luck_among_the_looks_explains_is_said_not_to_hold(
    told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(told) as ledger:
        better = {n: WIN if n % 2 or n < 14 else LOSS for n in PAIRS}
        add_run(ledger, "three", better, judges=(THIRD,))
    first = judge.compare("one", "three", ledger=told)
    assert first.couples[0].p_adjusted == pytest.approx(2 / 2**6)
    _, out, _ = compare(capsys, "one", "three", "--ledger", told, "--metric", "majority")
    assert "where the difference does not hold any more" in " ".join(out.split())


def test_a_ledger_in_use_shows_no_test_figure_but_dev_ones(
    told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(told):
        code, out, [problem] = compare(capsys, "one", "two", "--ledger", told)
        assert (code, out) == (2, "")
        assert "is in use by process" in problem
        assert "--split dev" in problem
        assert compare(capsys, "one", "two", "--ledger", told, "--split", "dev")[0] == 0
