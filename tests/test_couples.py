"""Cohen's kappa between humans, against a table for every two annotators and real annotators."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.agreement import VoteColumns, human_human_agreement
from calibration.chance import cohens_kappa
from calibration.couples import couple_tables, human_kappa

PANDALM = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "pandalm"
PANDALM_VOTES = PANDALM / "testset-v1.json"
CODES = {0: 0, 1: 1, 2: -1}

VOTES = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 4), st.sampled_from([1, 0, -1])), max_size=40
)


def columns(rows: list[tuple[int, int, int]]) -> VoteColumns:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return VoteColumns(table[:, 0], table[:, 1], table[:, 2].astype(np.int8))


def couples_of(rows: list[tuple[int, int, int]]) -> list[tuple[tuple[int, int], int, int]]:
    """Every couple as ((annotator, other), choice, other's choice), by looking at all of them."""
    found = []
    for (pair, who, choice), (other_pair, other, others_choice) in combinations(rows, 2):
        if pair == other_pair and who != other:
            said = sorted([(who, choice), (other, others_choice)])
            found.append(((said[0][0], said[1][0]), said[0][1], said[1][1]))
    return found


def chance_over_all_ways(couples: list[tuple[tuple[int, int], int, int]]) -> float:
    """The mean chance over every choice of whose votes are the rows, for each two annotators."""
    tables: dict[tuple[int, int], np.ndarray] = {}
    for who, one, other in couples:
        tables.setdefault(who, np.zeros((3, 3)))[one + 1, other + 1] += 1
    chances = []
    for way in range(2 ** len(tables)):
        turned = [t.T if way >> bit & 1 else t for bit, t in enumerate(tables.values())]
        table = sum(turned, start=np.zeros((3, 3)))
        chances.append(float(table.sum(axis=1) @ table.sum(axis=0)) / table.sum() ** 2)
    return float(np.mean(chances))


def test_two_annotators_have_the_kappa_of_their_table() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.choice([1, 0, -1], 60, p=[0.6, 0.3, 0.1]), rng.choice([1, 0, -1], 60)
    other[:40] = one[:40]
    table = np.zeros((3, 3))
    for a, b in zip(one, other, strict=True):
        table[a + 1, b + 1] += 1
    rows = [(pair, 0, int(one[pair])) for pair in range(60)]
    rows += [(pair, 1, int(other[pair])) for pair in range(60)]
    kappa = human_kappa(columns(rows), np.arange(60))
    assert kappa.value == pytest.approx(cohens_kappa(table))
    assert kappa.n == 60
    assert kappa.low is not None
    assert kappa.high is not None
    assert kappa.low < kappa.value < kappa.high


@given(VOTES)
def test_tables_and_chance_are_those_of_counting_every_couple(
    rows: list[tuple[int, int, int]],
) -> None:
    couples, clusters = couples_of(rows), np.arange(8) // 2
    found = couple_tables(columns(rows), clusters)
    total = found.tables.sum(axis=0)
    assert total.sum() == pytest.approx(len(couples))
    assert np.trace(total) == pytest.approx(sum(a == b for _, a, b in couples))
    assert (found.tables == found.tables.transpose(0, 2, 1)).all()
    if couples:
        marginal = total.sum(axis=0) / len(couples)
        chance = float(marginal @ marginal) - found.asymmetry
        assert chance == pytest.approx(chance_over_all_ways(couples))


@given(VOTES)
def test_the_couples_are_those_that_human_agreement_counts(
    rows: list[tuple[int, int, int]],
) -> None:
    agreement = human_human_agreement(columns(rows), np.arange(8)).s1
    tables = couple_tables(columns(rows), np.arange(8)).tables
    assert tables.sum() == agreement.n
    if agreement.value is not None:
        assert np.einsum("gkk->", tables) / tables.sum() == pytest.approx(agreement.value)


@given(VOTES, st.permutations(range(5)))
def test_neither_exchanged_candidates_nor_renamed_annotators_change_kappa(
    rows: list[tuple[int, int, int]], names: list[int]
) -> None:
    def kappa(votes: list[tuple[int, int, int]]) -> float | None:
        return human_kappa(columns(votes), np.arange(8), draws=20).value

    before = kappa(rows)
    for after in (
        kappa([(pair, who, -choice) for pair, who, choice in rows]),
        kappa([(pair, names[who], choice) for pair, who, choice in rows]),
    ):
        assert after == (None if before is None else pytest.approx(before))


def test_annotators_with_one_vote_each_do_not_explain_their_agreement_by_habit() -> None:
    # Were chance taken from each annotator's own single vote, every agreement would be chance.
    rows = [(pair, 2 * pair + k, [1, -1][pair % 2]) for pair in range(40) for k in (0, 1)]
    assert human_kappa(columns(rows), np.arange(40)).value == pytest.approx(1, abs=0.05)


def test_without_two_annotators_on_a_pair_there_is_no_kappa_and_the_reason_is_told() -> None:
    kappa = human_kappa(columns([(0, 1, 1), (1, 2, 1), (0, 1, -1)]), np.arange(2))
    assert (kappa.value, kappa.n) == (None, 0)
    assert kappa.why == "no pair has votes by two annotators"
    ties = human_kappa(columns([(0, 1, 0), (0, 2, 0), (1, 1, 0), (1, 2, 0)]), np.arange(2))
    assert ties.value is None
    assert "same single choice" in (ties.why or "")


def test_one_prompt_gives_kappa_without_an_interval() -> None:
    rows = [(0, 0, 1), (0, 1, 1), (1, 0, -1), (1, 1, 1), (2, 0, 0), (2, 1, 0)]
    kappa = human_kappa(columns(rows), np.zeros(3, int))
    assert kappa.value is not None
    assert kappa.low is kappa.high is None


@pytest.mark.skipif(not PANDALM_VOTES.exists(), reason=f"no published votes at {PANDALM_VOTES}")
def test_the_published_kappas_of_the_annotators_come_out_of_their_votes() -> None:
    given_rows = json.loads(PANDALM_VOTES.read_text("utf-8"))
    names = ("annotator1", "annotator2", "annotator3")

    def votes_of(*who: str) -> VoteColumns:
        return columns(
            [
                (pair, names.index(name), CODES[row[name]])
                for pair, row in enumerate(given_rows)
                for name in who
            ]
        )

    prompts = np.unique([row["instruction"] + row["input"] for row in given_rows], return_inverse=1)
    pairwise = [
        human_kappa(votes_of(*two), prompts[1], draws=200).value for two in combinations(names, 2)
    ]
    assert sorted(pairwise) == pytest.approx([0.852, 0.862, 0.879], abs=5e-4)
    pooled = human_kappa(votes_of(*names), prompts[1])
    assert pooled.n == 3 * len(given_rows)
    assert min(pairwise) < pooled.value < max(pairwise)
    assert pooled.low is not None
    assert 0.8 < pooled.low < pooled.value
