"""Tuning: what a grid tries, how variants stand, and that the truth is found where there is any."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic_core import to_json

import judge
from judge.errors import ConfigError
from judge.formats.pairs import pair_row, read_pairs
from judge.formats.votes import vote_row
from judge.ledger.store import Ledger
from judge.policies.rules import PolicyName
from judge.records import Candidate, Message, Pair, Prompt, Vote
from judge.settings.config import Endpoint, Judge, Run, Settings
from judge.settings.loading import load_settings
from judge.simulator.quality import human_votes
from judge.simulator.server import running_simulator
from judge.simulator.settings import MODEL, SimulatorSettings
from judge.trust.gold_split import is_test
from judge.tuning.tune_job import TuneResult
from judge.tuning.tuning_grid import Grid, read_grid, table_of, variants_of

NOWHERE = Endpoint(base_url="http://127.0.0.1:1/v1")
OFFLINE = Settings(endpoints={"e": NOWHERE}, judges=(Judge(model="m", endpoint="e"),))
PROMPTS = 72
EXAMPLES = Grid(few_shots=(0, 2))


def pairs_of(seed: int, prompts: int = PROMPTS) -> list[Pair]:
    def said(n: int, side: str) -> Candidate:
        return Candidate(messages=(Message(role="assistant", content=f"{side} {n} of {seed}"),))

    def asked(n: int) -> Prompt:
        message = Message(role="user", content=f"Question {n} of {seed}?")
        return Prompt(prompt_id=f"{seed}-{n}", messages=(message,))

    return [
        Pair(pair_id=f"p{n}", prompt=asked(n), first=said(n, "one"), second=said(n, "two"))
        for n in range(prompts)
    ]


def write(folder: Path, seed: int, *, prompts: int = PROMPTS) -> tuple[Path, Path]:
    pairs = pairs_of(seed, prompts)
    votes = human_votes(pairs, seed=seed, annotators=3, accuracy=0.9)
    files = folder / f"pairs{seed}.jsonl", folder / f"votes{seed}.jsonl"
    files[0].write_bytes(b"".join(to_json(pair_row(pair)) + b"\n" for pair in pairs))
    files[1].write_bytes(b"".join(to_json(vote_row(vote)) + b"\n" for vote in votes))
    return files


def settings_at(base_url: str, *judges: Judge, run: Run | None = None) -> Settings:
    one = Judge(model=MODEL, endpoint="sim", name="mine")
    return Settings(
        endpoints={"sim": Endpoint(base_url=base_url)}, judges=judges or (one,), run=run or Run()
    )


async def tuned(
    folder: Path,
    simulated: SimulatorSettings,
    *judges: Judge,
    grid: Grid = EXAMPLES,
    race: bool = False,
    run: Run | None = None,
    prompts: int = PROMPTS,
) -> TuneResult:
    pairs, votes = write(folder, simulated.seed, prompts=prompts)
    async with running_simulator(simulated) as simulator:
        return await judge.atune(
            pairs,
            grid,
            gold=votes,
            settings=settings_at(simulator.base_url, *judges, run=run),
            ledger=folder / f"x{simulated.seed}.db",
            race=race,
            environ={},
        )


# The grid


def test_the_first_judge_is_the_incumbent_and_no_variant_is_tried_twice() -> None:
    grid = Grid(prompts=("pair-tie", "pair"), temperatures=(0.0, 0.0, 0.7))
    found = variants_of(OFFLINE, grid, None)
    assert [one.name for one in found] == [
        "m, pair-tie, 0 shots, t 0",
        "m, pair-tie, 0 shots, t 0.7",
        "m, pair, 0 shots, t 0",
        "m, pair, 0 shots, t 0.7",
    ]
    assert len({one.judge_key for one in found}) == 4
    assert found[0].judge_key == variants_of(OFFLINE, Grid(prompts=("pair",)), None)[0].judge_key


def test_variants_that_are_all_the_judge_itself_are_nothing_to_try() -> None:
    with pytest.raises(ConfigError, match='nothing to try: every variant of the grid is judge "m"'):
        variants_of(OFFLINE, Grid(prompts=("pair-tie",), temperatures=(0.0,)), None)


def test_several_judges_are_tried_unless_the_grid_names_some() -> None:
    both = OFFLINE.model_copy(
        update={"judges": (*OFFLINE.judges, Judge(model="n", endpoint="e", name="other"))}
    )
    assert [one.base for one in variants_of(both, Grid(), None)] == ["m", "other"]
    named = variants_of(both, Grid(judges=("m",), temperatures=(1.0,)), None)
    assert [one.base for one in named] == ["m", "m"]
    with pytest.raises(ConfigError, match='no judge "othr"; did you mean "other"'):
        variants_of(both, Grid(judges=("othr",)), None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('promts = ["pair"]', 'unknown key "promts"; did you mean "prompts"?'),
        ("few_shots = [-1]", '"few_shots.0"'),
        ('temperatures = ["hot"]', '"temperatures.0"'),
        ("prompts = [", "not valid TOML"),
    ],
)
def test_a_broken_grid_names_file_key_and_remedy(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_grid(path)
    assert str(caught.value).startswith(str(path))
    assert why in str(caught.value)


def test_the_table_of_the_winner_reads_back_as_the_same_judge(tmp_path: Path) -> None:
    given = Judge(
        model='a "b" \\ ü', endpoint="e", prompt="verdict", temperature=None, top_logprobs=None,
        seed=3, max_tokens=9, top_p=0.5, few_shots=2, examples="shots.jsonl", json_schema=False,
    )  # fmt: skip
    path = tmp_path / "judge.toml"
    path.write_text(
        table_of(given, "tuned") + '[endpoints.e]\nbase_url = "http://127.0.0.1:1/v1"\n'
    )
    [read] = load_settings(path, environ={}).judges
    assert read == given.model_copy(update={"name": "tuned"})


# What it finds


async def test_a_better_variant_is_found_and_shown_to_be_better(tmp_path: Path) -> None:
    found = 0
    for seed in range(10):
        simulated = SimulatorSettings(seed=seed, accuracy=0.6, example_gain=0.3, reply_words=5)
        result = await tuned(tmp_path, simulated)
        assert result.tuned is not None
        found += result.tuned.is_better and result.tuned.winner.judge.few_shots == 2
    assert found >= 9


async def test_where_all_variants_are_equal_no_difference_is_reported(tmp_path: Path) -> None:
    claims = 0
    for seed in range(10):
        simulated = SimulatorSettings(seed=seed, accuracy=0.75, reply_words=5, shared_opinion=0)
        grid = Grid(few_shots=(0, 2), temperatures=(0.0, 0.7))
        result = await tuned(tmp_path, simulated, grid=grid)
        assert result.tuned is not None
        claims += result.tuned.is_better
    assert claims <= 1


async def test_test_pairs_are_asked_of_two_judges_and_dev_pairs_never_show_examples(
    tmp_path: Path,
) -> None:
    grid = Grid(few_shots=(0, 2), temperatures=(0.0, 0.5))
    simulated = SimulatorSettings(accuracy=0.55, example_gain=0.4, reply_words=5)
    result = await tuned(tmp_path, simulated, grid=grid)
    assert result.tuned is not None
    assert result.examples is not None
    shown = [line for line in result.examples.read_text().splitlines() if line]
    ids = [prompts_in(tmp_path / f"x0.tune-{part}.jsonl") for part in ("dev", "test")]
    assert not any(map(is_test, ids[0]))
    assert all(map(is_test, ids[1]))
    assert len(shown) == result.tuned.shown_prompts == 2
    assert len(ids[0]) + len(ids[1]) + 2 == PROMPTS
    requests = 2 * (4 * len(ids[0]) + 2 * len(ids[1]))
    with Ledger(tmp_path / "x0.db", read_only=True) as ledger, ledger.snapshot() as connection:
        stored = connection.exec_driver_sql("SELECT count(*) FROM judgments").scalar()
    assert stored == requests
    assert result.tuned.test is not None
    assert result.tuned.test.look is not None
    assert (result.tuned.test.look.looks, result.tuned.test.look.prompts) == (1, len(ids[1]))


def prompts_in(path: Path) -> list[str]:
    return [line.record.prompt.prompt_id for line in read_pairs(path) if hasattr(line, "record")]


async def test_a_second_tuning_of_the_same_asks_nothing_and_is_no_second_look(
    tmp_path: Path,
) -> None:
    simulated = SimulatorSettings(accuracy=0.6, example_gain=0.3, reply_words=5)
    first = await tuned(tmp_path, simulated)
    again = await tuned(tmp_path, simulated, race=False)
    assert first.tuned is not None
    assert again.tuned is not None
    assert again.run.progress.judged == 0
    assert first.table == again.table
    assert again.tuned.test is not None
    assert again.tuned.test.look is not None
    assert (again.tuned.test.look.looks, again.tuned.test.look.is_repeated) == (1, True)


async def test_a_variant_that_never_gives_a_verdict_is_shown_and_comes_last(
    tmp_path: Path,
) -> None:
    cut = Judge(model=MODEL, endpoint="sim", name="cut", max_tokens=1)
    mine = Judge(model=MODEL, endpoint="sim", name="mine")
    simulated = SimulatorSettings(accuracy=0.55, reply_words=40)
    result = await tuned(tmp_path, simulated, mine, cut, grid=Grid())
    assert result.tuned is not None
    assert [one.variant.base for one in result.tuned.standings] == ["mine", "cut"]
    last = result.tuned.standings[-1]
    assert last.labelled == 0
    assert last.agreement.why == "no pair got a label"
    assert last.statuses == {"truncated": 2 * last.pairs}
    assert not result.tuned.is_changed
    assert result.tuned.test is None


async def test_a_race_drops_what_is_surely_worse_and_keeps_the_judge_to_beat(
    tmp_path: Path,
) -> None:
    cut = Judge(model=MODEL, endpoint="sim", name="cut", max_tokens=1)
    mine = Judge(model=MODEL, endpoint="sim", name="mine")
    simulated = SimulatorSettings(accuracy=0.5, example_gain=0.5, reply_words=40)
    grid = Grid(few_shots=(0, 2))
    result = await tuned(tmp_path, simulated, mine, cut, grid=grid, race=True)
    assert result.tuned is not None
    gone = {one.variant.base for one in result.tuned.standings if one.left_after is not None}
    assert gone == {"cut"}
    assert any(one.variant.name == "mine, pair-tie, 0 shots, t 0" for one in result.tuned.standings)
    assert result.tuned.is_better


async def test_a_spent_budget_ends_it_early_and_the_same_command_resumes(tmp_path: Path) -> None:
    simulated = SimulatorSettings(accuracy=0.6, example_gain=0.3, reply_words=5)
    short = await tuned(tmp_path, simulated, run=Run(budget_requests=50))
    assert short.tuned is None
    assert short.exit_code == 4
    assert short.run.progress.judged <= 50
    whole = await tuned(tmp_path, simulated)
    assert whole.tuned is not None
    assert whole.exit_code == 0


async def test_one_budget_covers_both_splits(tmp_path: Path) -> None:
    simulated = SimulatorSettings(accuracy=0.6, example_gain=0.3, reply_words=5)
    dev = sum(not is_test(pair.prompt.prompt_id) for pair in pairs_of(0)) - 2
    short = await tuned(tmp_path, simulated, run=Run(budget_requests=4 * dev + 10))
    assert short.tuned is None
    assert short.run.progress.judged == 10


# Bad input


def ask(
    tmp_path: Path, votes: Sequence[Vote], *, prompts: int = PROMPTS, settings: Settings = OFFLINE
) -> TuneResult:
    pairs, file = write(tmp_path, 0, prompts=prompts)
    if votes:
        file.write_bytes(b"".join(to_json(vote_row(vote)) + b"\n" for vote in votes))
    return asyncio.run(
        judge.atune(
            pairs, EXAMPLES, gold=file, settings=settings, ledger=tmp_path / "x.db", environ={}
        )
    )


def test_votes_on_other_pairs_are_no_gold(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no vote on any pair of"):
        ask(tmp_path, [Vote(pair_id="elsewhere", annotator="a", preference="first")])
    assert not (tmp_path / "x.db").exists()


def test_too_few_dev_prompts_are_refused_with_the_number_needed(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"dev split has \d+ prompts .* tuning needs 20; .* about \d+ more"
    ):
        ask(tmp_path, [], prompts=30)


def test_a_policy_that_asks_judges_differently_cannot_be_tuned(tmp_path: Path) -> None:
    staged = OFFLINE.model_copy(update={"run": Run(policy=PolicyName.EARLY_STOP)})
    with pytest.raises(ConfigError, match='policy "early_stop" does not'):
        ask(tmp_path, [], settings=staged)
