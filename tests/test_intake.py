"""Reading an input: what is taken, what is refused, and that a refusal costs nothing stored."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from judge.errors import ConfigError, InputError
from judge.inputs import intake
from judge.inputs.intake import IntakeReport, Selection, input_digest, read_input
from judge.ledger.facts import whole_pairs
from judge.ledger.intake import add_pairs
from judge.ledger.runs import begin_run, find_run, list_runs
from judge.ledger.schema import contents, pairs
from judge.ledger.store import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "x.db") as opened:
        yield opened


def row(number: int, **fields: Any) -> str:
    plain = {
        "pair_id": f"p{number}",
        "prompt": f"Question {number}?",
        "first": f"first {number}",
        "second": f"second {number}",
    }
    return json.dumps(plain | fields)


def write(folder: Path, *lines: str, name: str = "pairs.jsonl") -> str:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def read(
    ledger: Ledger,
    path: str,
    run_id: str = "r",
    *,
    selection: Selection | None = None,
    skip_bad_lines: bool = False,
) -> IntakeReport:
    begin_run(
        ledger,
        run_id,
        kind="judge",
        source=path,
        settings={"rule": "conservative"},
        judges=(),
        now="2026",
    )
    return read_input(
        ledger,
        run_id,
        path,
        selection=selection or Selection(),
        skip_bad_lines=skip_bad_lines,
    )


def chosen(ledger: Ledger, run_id: str = "r") -> list[str]:
    return [pair.pair_id for pair, _ in whole_pairs(ledger, run_id, [])]


def stored(ledger: Ledger) -> tuple[int, int]:
    with ledger.snapshot() as connection:
        counts = [
            connection.scalar(select(func.count()).select_from(table)) or 0
            for table in (pairs, contents)
        ]
    return counts[0], counts[1]


def test_an_input_is_read_whole_and_in_order(tmp_path: Path, ledger: Ledger) -> None:
    path = write(tmp_path, *(row(n) for n in (3, 1, 2)))
    report = read(ledger, path)
    assert report == IntakeReport(pairs=3)
    assert chosen(ledger) == ["p3", "p1", "p2"]
    assert find_run(ledger, "r").is_complete


def test_an_input_of_several_chunks_is_read_whole(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "CHUNK", 4)
    path = write(tmp_path, *(row(n) for n in range(11)))
    assert read(ledger, path).pairs == 11
    assert chosen(ledger) == [f"p{n}" for n in range(11)]


def test_long_texts_are_stored_before_more_are_read(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    real = add_pairs

    def note(ledger_: Ledger, run_id: str, given: Any) -> Any:
        held.append(len(given))
        return real(ledger_, run_id, given)

    monkeypatch.setattr(intake, "add_pairs", note)
    monkeypatch.setattr(intake, "CHUNK_CHARS", 1000)
    read(ledger, write(tmp_path, *(row(n, first="x" * 600) for n in range(5))))
    assert held == [2, 2, 1]
    assert len(chosen(ledger)) == 5


def test_the_first_lines_are_a_limit(tmp_path: Path, ledger: Ledger) -> None:
    path = write(tmp_path, *(row(n) for n in range(9)), "this line is never read")
    assert read(ledger, path, selection=Selection(limit=4)).pairs == 4
    assert chosen(ledger) == ["p0", "p1", "p2", "p3"]


def test_a_limit_beyond_the_end_takes_everything(tmp_path: Path, ledger: Ledger) -> None:
    assert read(ledger, write(tmp_path, row(1)), selection=Selection(limit=10)).pairs == 1


def test_the_same_seed_draws_the_same_sample_and_another_seed_another(
    tmp_path: Path, ledger: Ledger
) -> None:
    path = write(tmp_path, *(row(n) for n in range(60)))
    for run_id, seed in (("r1", 1), ("r2", 1), ("r3", 2)):
        read(ledger, path, run_id, selection=Selection(sample=20, seed=seed))
    assert len(chosen(ledger, "r1")) == 20
    assert chosen(ledger, "r1") == chosen(ledger, "r2")
    assert chosen(ledger, "r1") != chosen(ledger, "r3")
    numbers = [int(pair_id[1:]) for pair_id in chosen(ledger, "r1")]
    assert numbers == sorted(numbers)
    assert numbers != list(range(20))


def test_a_sample_of_more_than_there_is_takes_everything(tmp_path: Path, ledger: Ledger) -> None:
    path = write(tmp_path, row(1), row(2))
    assert read(ledger, path, selection=Selection(sample=3)).pairs == 2


def test_every_line_has_the_same_chance_to_be_drawn(tmp_path: Path) -> None:
    path = write(tmp_path, *(row(n) for n in range(10)))
    drawn = [Selection(sample=3, seed=seed).lines(path) or frozenset() for seed in range(400)]
    assert all(len(lines) == 3 for lines in drawn)
    counts = [sum(n in lines for lines in drawn) for n in range(10)]
    assert min(counts) > 85  # 120 expected, standard deviation 9
    assert max(counts) < 155


def test_standard_input_cannot_be_sampled() -> None:
    with pytest.raises(InputError, match="--sample needs a file"):
        Selection(sample=1).lines("-")


@pytest.mark.parametrize(
    ("flag", "fields"), [("--limit", {"limit": 0}), ("--sample", {"sample": -1})]
)
def test_a_selection_of_nothing_is_refused(flag: str, fields: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=f"{flag} .*: give 1 or more"):
        Selection(**fields)


def test_a_bad_line_takes_the_whole_run_back_and_keeps_what_was_there(
    tmp_path: Path, ledger: Ledger
) -> None:
    good = write(tmp_path, row(1), row(2))
    read(ledger, good, "r1")
    before = stored(ledger)
    bad = write(tmp_path, row(2), row(3), "{broken", name="bad.jsonl")
    with pytest.raises(InputError) as caught:
        read(ledger, bad, "r2")
    first, remedy = str(caught.value).splitlines()
    assert first.startswith(f"{bad}:3: not JSON")
    assert remedy == "nothing was asked; mend the lines, or leave them out with --skip-bad-lines"
    assert [run.run_id for run in list_runs(ledger)] == ["r1"]
    assert stored(ledger) == before
    assert chosen(ledger, "r1") == ["p1", "p2"]


def test_the_mended_input_is_read_as_if_nothing_had_happened(
    tmp_path: Path, ledger: Ledger
) -> None:
    with pytest.raises(InputError):
        read(ledger, write(tmp_path, row(1, first="mistaken"), "{broken"), "r1")
    assert read(ledger, write(tmp_path, row(1, first="mended"), row(2)), "r2").pairs == 2


def test_bad_lines_can_be_left_out(tmp_path: Path, ledger: Ledger) -> None:
    path = write(tmp_path, row(1), "{broken", row(2), row(1, first="other"))
    report = read(ledger, path, skip_bad_lines=True)
    assert (report.pairs, report.n_bad_lines) == (2, 2)
    assert report.bad_lines[0].startswith(f"{path}:2: not JSON")
    assert report.bad_lines[1] == (
        f'{path}:4: pair_id "p1" is known with another content; give this pair another pair_id'
    )
    assert chosen(ledger) == ["p1", "p2"]


def test_an_input_of_bad_lines_alone_is_refused_even_then(tmp_path: Path, ledger: Ledger) -> None:
    with pytest.raises(InputError, match="no line of the input could be used"):
        read(ledger, write(tmp_path, "{", "["), skip_bad_lines=True)
    assert list_runs(ledger) == []


def test_a_file_of_prompts_is_named_as_such_and_leaves_no_run(
    tmp_path: Path, ledger: Ledger
) -> None:
    path = write(tmp_path, json.dumps({"prompt": "Q?"}), json.dumps({"prompt": "R?"}))
    with pytest.raises(InputError, match="holds prompts where pairs are needed"):
        read(ledger, path, skip_bad_lines=True)
    assert list_runs(ledger) == []


def test_many_bad_lines_are_named_first_and_then_counted(tmp_path: Path, ledger: Ledger) -> None:
    path = write(tmp_path, *["{"] * 25)
    with pytest.raises(InputError) as caught:
        read(ledger, path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 12
    assert lines[9].startswith(f"{path}:10: ")
    assert lines[10] == "and 15 more bad lines"


def test_pairs_that_are_known_with_other_tags_are_counted(tmp_path: Path, ledger: Ledger) -> None:
    read(ledger, write(tmp_path, row(1), row(2, tags={"n": 1})), "r1")
    report = read(ledger, write(tmp_path, row(1), row(2, tags={"n": 2}), row(3)), "r2")
    assert (report.pairs, report.differing, report.differing_fields) == (3, 1, {"tags": 1})
    assert report.n_warnings == len(report.warnings) == 1


def test_odd_pairs_are_kept_and_warned_about(tmp_path: Path, ledger: Ledger) -> None:
    path = write(tmp_path, row(1, first=""), row(2, first="same", second="same"), row(3))
    report = read(ledger, path)
    assert report.pairs == 3
    assert report.n_warnings == 2
    assert report.warnings == [
        f'{path}:1: pair "p1": "first" is an empty answer; it is judged as it is',
        f'{path}:2: pair "p2": the two answers are identical; expect ties',
    ]


def test_warnings_are_named_first_and_then_counted() -> None:
    report = IntakeReport()
    report.warn(f"odd {n}" for n in range(25))
    assert report.n_warnings == 25
    assert report.warnings == [f"odd {n}" for n in range(10)]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "no.jsonl", tmp_path):
        with pytest.raises(InputError, match=f"^{path}: ") as caught:
            input_digest(str(path))
        assert str(caught.value).endswith("; check the path")


def test_the_digest_is_of_the_bytes_and_not_of_the_name(tmp_path: Path) -> None:
    one, two = write(tmp_path, row(1), name="one"), write(tmp_path, row(1), name="two")
    assert input_digest(one) == input_digest(two)
    assert input_digest(one) != input_digest(write(tmp_path, row(2), name="three"))
    assert input_digest("-") != input_digest("-")
