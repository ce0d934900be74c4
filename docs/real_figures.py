"""Write docs/real-figures.md: what Evenhand says of published judges and people.

    .venv/bin/python docs/real_figures.py ../shared/data

The data is third-party and not part of this project; the folder named holds `pandalm/`,
`mt_bench/` and `llmbar/` as their projects published them. Every block is what the command above
it prints; only the conversion into our formats is done here.
"""

import contextlib
import csv
import io
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from judge.cli import app
from judge.cli.door import exit_code_of

OUT = Path(__file__).parent / "real-figures.md"
REPLIES = {"first": ("[[A]]", "[[B]]"), "second": ("[[B]]", "[[A]]"), "tie": ("[[C]]", "[[C]]")}
"""A preference as said in the forward and in the reversed order."""
Row = Mapping[str, Any]


def main(data: Path) -> None:
    """Import the published data into ledgers in a temporary folder, and write what is said."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        parts = [INTRODUCTION, *mt_bench(data / "mt_bench"), *pandalm(data / "pandalm"),
                 *llmbar(data / "llmbar" / "natural")]  # fmt: skip
    OUT.write_text("\n".join(parts) + "\n")
    print(f"written: {OUT}")


def mt_bench(folder: Path) -> Iterator[str]:
    """GPT-4 against 65 annotators, first turn."""
    texts = [json.loads(line) for line in (folder / "question.jsonl").read_text().splitlines()]
    question = {str(each["question_id"]): each for each in texts}
    with (folder / "labels.csv").open(newline="") as lines:
        compared = [row for row in csv.DictReader(lines) if row["turn"] == "1"]
    votes = [json.loads(line) for line in (folder / "human_judgments_turn1.jsonl").open()]
    write("pairs.jsonl", (mt_bench_pair(row, question[row["question_id"]]) for row in compared))
    write("votes.jsonl", (mt_bench_vote(vote) for vote in votes))
    write("judgments.jsonl", (said for row in compared for said in mt_bench_said(row)))
    imported("mt-bench.db")
    yield section("MT-Bench: GPT-4 beside 65 annotators", MT_BENCH)
    yield shown("judge agree --ledger mt-bench.db", through="Kappa: 0 is chance")
    yield shown("judge certify --ledger mt-bench.db --metric s2 --at-least 0.8", lines=5)
    yield shown("judge plan --ledger mt-bench.db --metric s2 --at-least 0.83")


def mt_bench_pair(row: Row, question: Row) -> Row:
    """A published comparison as a pair; the answers are not part of the votes' file."""
    models = (row["model_a"], row["model_b"])
    answers = [{"text": f"(answer of {model})", "model": model} for model in models]
    return {
        "pair_id": pair_id(row),
        "prompt": question["turns"][0],
        "prompt_id": row["question_id"],
        "first": answers[0],
        "second": answers[1],
        "tags": {"category": question["category"]},
    }


def mt_bench_vote(vote: Row) -> Row:
    """A published vote, in the orientation of its pair: models in the order of their names."""
    is_swapped = vote["model_a"] > vote["model_b"]
    sides = {"model_a": "second" if is_swapped else "first",
             "model_b": "first" if is_swapped else "second"}  # fmt: skip
    models = sorted((vote["model_a"], vote["model_b"]))
    named = {"question_id": vote["question_id"], "model_a": models[0], "model_b": models[1]}
    return {
        "pair_id": pair_id(named),
        "annotator": vote["judge"],
        "preference": sides.get(vote["winner"], "tie"),
    }


def mt_bench_said(row: Row) -> Iterator[Row]:
    """GPT-4's verdict in each order; where the two contradict each other, position A wins twice."""
    choice = {"A": "first", "B": "second", "tie": "tie"}[row["gpt4_winner"]]
    is_inconsistent = row["gpt4_inconsistent_order"] == "True"
    replies = ("[[A]]", "[[A]]") if is_inconsistent else REPLIES[choice]
    yield from judgments(pair_id(row), "gpt-4", replies)


def pair_id(row: Row) -> str:
    """The name of a comparison."""
    return f"{row['question_id']}:{row['model_a']}:{row['model_b']}"


def pandalm(folder: Path) -> Iterator[str]:
    """One annotator in the place of a judge, held against the two others."""
    rows = distinct(read(folder / "testset-v1.json"))
    write("rows.jsonl", rows)
    columns = "prompt=instruction+input,first=response1,second=response2,pair_id=idx"
    people = "vote:two=annotator2,vote:three=annotator3"
    run_judge("import", "rows.jsonl", "--ledger", "pandalm.db", "--map", f"{columns},{people}",
              "--values", "0=tie,1=first,2=second")  # fmt: skip
    chosen = {0: "tie", 1: "first", 2: "second"}
    said = (
        judgment
        for row in rows
        for judge, column in (("annotator 1", "annotator1"), ("annotator 2", "annotator2"))
        for judgment in judgments(str(row["idx"]), judge, REPLIES[chosen[row[column]]])
    )
    write("judgments.jsonl", said)
    gold = (
        {"pair_id": str(row["idx"]), "annotator": "three", "preference": chosen[row["annotator3"]]}
        for row in rows
    )
    write("gold.jsonl", gold)
    run_judge("import", "judgments.jsonl", "--kind", "judgments", "--ledger", "pandalm.db")
    yield section("PandaLM: which annotator is closer to the third?", PANDALM)
    yield shown('judge compare "annotator 1" "annotator 2" --ledger pandalm.db --gold gold.jsonl',
                lines=24)  # fmt: skip


def distinct(rows: Iterable[Row]) -> list[Row]:
    """Leave out rows whose texts occurred before: the same pair under another number."""
    found: dict[object, Row] = {}
    for row in rows:
        answers = frozenset((row["response1"], row["response2"]))
        found.setdefault((row["instruction"], row["input"], answers), row)
    return list(found.values())


def llmbar(folder: Path) -> Iterator[str]:
    """GPT-4 with and without reasoning against the experts' gold."""
    names = {"gpt-4 plain": "gpt-4.Vanilla_NoRules", "gpt-4 reasoning": "gpt-4.CoT"}
    results = {judge: read(folder / f"{name}.result.json") for judge, name in names.items()}
    rows = next(iter(results.values()))
    write("pairs.jsonl", (
        {"pair_id": str(at), "prompt": row["input"], "first": row["output_1"],
         "second": row["output_2"]}
        for at, row in enumerate(rows)
    ))  # fmt: skip
    side = {"1": "first", "2": "second"}
    write("votes.jsonl", (
        {"pair_id": str(at), "annotator": "experts", "preference": side[str(row["label"])]}
        for at, row in enumerate(rows)
    ))  # fmt: skip
    write("judgments.jsonl", (
        judgment
        for judge, given in results.items()
        for at, row in enumerate(given)
        for judgment in llmbar_said(str(at), judge, row["results"][0])
    ))  # fmt: skip
    imported("llmbar.db")
    yield section("LLMBar: does reasoning before the verdict help GPT-4?", LLMBAR)
    yield shown('judge compare "gpt-4 plain" "gpt-4 reasoning" --ledger llmbar.db', lines=22)


def llmbar_said(pair: str, judge: str, results: Row) -> Iterator[Row]:
    """A judge's winners, published as candidates, said as positions again."""
    winners = [str(results[f"swap = {order}"]["winner"]) for order in ("False", "True")]
    letters = ({"1": "[[A]]", "2": "[[B]]"}, {"1": "[[B]]", "2": "[[A]]"})
    replies = tuple(words.get(won, "") for words, won in zip(letters, winners, strict=True))
    yield from judgments(pair, judge, replies)


def judgments(pair: str, judge: str, replies: Iterable[str]) -> Iterator[Row]:
    """What a judge says about a pair in both orders."""
    for order, reply in zip(("forward", "reversed"), replies, strict=True):
        yield {"pair_id": pair, "judge": judge, "order": order, "reply": reply}


def imported(ledger: str) -> None:
    """Import pairs, votes and judgments from the files of those names."""
    for kind in ("pairs", "votes", "judgments"):
        run_judge("import", f"{kind}.jsonl", "--kind", kind, "--ledger", ledger)


def run_judge(*words: str) -> str:
    """Return what a command prints; SystemExit where it fails."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()) as talk:
        code = exit_code_of(app, list(words))
    if code > 1:
        raise SystemExit(f"judge {' '.join(words)}: exit code {code}\n{talk.getvalue()}")
    return printed.getvalue()


def shown(command: str, *, lines: int | None = None, through: str | None = None) -> str:
    """Return a command and what it prints, down to a number of lines or a line that starts so."""
    import shlex

    printed = run_judge(*shlex.split(command)[1:]).splitlines()
    if through is not None:
        last = next(at for at, line in enumerate(printed) if line.startswith(through))
        lines = last + 1
    kept = printed if lines is None or lines >= len(printed) else [*printed[:lines], "..."]
    return "\n".join(["```console", f"$ {command}", *kept, "```", ""])


def section(title: str, text: str) -> str:
    """A heading and what to know before the figures."""
    return f"## {title}\n\n{text.strip()}\n"


def write(name: str, rows: Iterable[Row]) -> None:
    """Write rows as JSON Lines."""
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(path: Path) -> list[dict[str, Any]]:
    """Read a JSON list."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows


INTRODUCTION = """# Real figures

What Evenhand says of judges and people whose verdicts others have published. The page is written
by `docs/real_figures.py`; every block is what the command prints. The data is not part of this
project: it was read in place.
"""
MT_BENCH = """
Votes on the first turn of 80 questions, and GPT-4's verdict asked in both orders
([mt_bench_human_judgments](https://huggingface.co/datasets/lmsys/mt_bench_human_judgments),
CC-BY-4.0). The published file gives GPT-4's collapsed verdict; an inconsistent one is entered as
position A winning twice, so "moved to first" below only says how many there are. The paper's
Table 5 (experts only) has S1 66 % and S2 85 %, humans 63 % and 81 %: with experts alone the same
figures come out to the vote (`tests/test_real_mt_bench.py`). What the paper does not print is the
intervals. Clustered by question they overlap: these votes do not show GPT-4 above a human.
"""
PANDALM = """
999 rows with three votes each ([PandaLM](https://github.com/WeOpenML/PandaLM), Apache-2.0), 863 of
them different pairs. Two annotators take the place of judges; the third is the gold.
"""
LLMBAR = """
100 pairs with an objectively better answer ([LLMBar](https://github.com/princeton-nlp/LLMBar),
MIT), GPT-4 asked in both orders with and without reasoning.
"""

if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
