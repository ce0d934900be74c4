"""A population of pairs with a simulated judge and simulated people, and what is true of it.

Pairs are written, judged and voted on by the simulator's own pure functions, without a server.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from pydantic_core import to_json

from judge.ledger.bare_votes import BareVote
from judge.ledger.facts import AnswerFacts, JudgedPair
from judge.ledger.runs import Run, RunJudge
from judge.policy import BOTH_ORDERS
from judge.records import Candidate, Message, Order, Pair, Prompt, Reading, Status
from judge.simulator.draws import digest
from judge.simulator.faults import Flaw, draw_delivery
from judge.simulator.opinion import decide_verdict, read_prompt
from judge.simulator.quality import hidden_quality, human_votes
from judge.simulator.settings import SimulatorSettings
from judge.trust.answer_style import style_of
from judge.trust.audit import Gathered, gather

JUDGE = "judge"
SYSTEMS = {"gpt-4o": 3, "claude-3-haiku": 2, "llama-3-8b": 1, "mistral-7b": 1}
"""System -> drafts, of which it gives the best: the more, the better."""
_STATUSES = {
    Flaw.UNPARSABLE: Status.UNPARSED,
    Flaw.LENGTH: Status.TRUNCATED,
    Flaw.CONTENT_FILTER: Status.REFUSED,
}
_WORDS = ("so", "that", "both", "of", "them", "can", "be", "read", "without", "much", "effort")
_ASKED = """[User Question]
{question}

[The Start of Assistant A's Answer]
{a}
[The End of Assistant A's Answer]

[The Start of Assistant B's Answer]
{b}
[The End of Assistant B's Answer]"""
_RUN = Run(
    run_id="simulated",
    kind="judge",
    source="simulated",
    settings={"rule": "conservative"},
    is_complete=True,
    created_at="",
    judges=(RunJudge("key", JUDGE, "gpt-4o-mini", "pair-tie", "digest", {}),),
)


@dataclass(frozen=True, slots=True)
class Population:
    """How a simulated judge and simulated people behave; half of the prompts are hard."""

    easy_accuracy: float = 0.95
    hard_accuracy: float = 0.7
    position_bias: float = 0.1
    length_bias: float = 0.04
    tie_rate: float = 0.1
    shared_opinion: float = 0.5
    unparsable_rate: float = 0.03
    length_rate: float = 0.01
    content_filter_rate: float = 0.01
    repeat_rate: float = 0.2
    """Share of prompts whose pairs are asked twice in each order."""
    human_accuracy: float = 0.85
    human_tie_rate: float = 0.1
    annotators: int = 3
    turnout: float = 0.8
    """Share of pairs that each annotator votes on."""

    def settings(self, *, is_hard: bool, seed: int) -> SimulatorSettings:
        """Return the simulated judge of one kind of prompts."""
        return SimulatorSettings(
            seed=seed,
            accuracy=self.hard_accuracy if is_hard else self.easy_accuracy,
            position_bias=self.position_bias,
            length_bias=self.length_bias,
            tie_rate=self.tie_rate,
            shared_opinion=self.shared_opinion,
            unparsable_rate=self.unparsable_rate,
            length_rate=self.length_rate,
            content_filter_rate=self.content_filter_rate,
        )


@dataclass(frozen=True, slots=True)
class Draw:
    """Everything that is drawn about one sample: the pairs with their readings, and the votes."""

    pairs: tuple[JudgedPair, ...]
    votes: tuple[BareVote, ...]


def gathered_sample(population: Population, *, prompts: int, seed: int) -> Gathered:
    """Return the columns of a random sample of prompts: six pairs each, of four answers."""
    drawn = [_drawn(population, number, seed=seed) for number in range(prompts)]
    votes = (vote for one in drawn for vote in one.votes)
    return gather(_RUN, (pair for one in drawn for pair in one.pairs), votes)


def _drawn(population: Population, number: int, *, seed: int) -> Draw:
    rng = random.Random(f"{seed}/{number}")
    is_hard = rng.random() < 0.5
    judge = population.settings(is_hard=is_hard, seed=seed)
    samples = 2 if rng.random() < population.repeat_rate else 1
    prompt = Prompt(
        prompt_id=f"q{number}",
        messages=(Message(role="user", content=f"Question {number} of {seed}"),),
        tags={"category": "hard" if is_hard else "easy"},
    )
    pairs = list(_pairs(prompt, rng, seed=seed))
    votes = human_votes(
        pairs,
        seed=seed,
        annotators=population.annotators,
        accuracy=population.human_accuracy,
        tie_rate=population.human_tie_rate,
    )
    return Draw(
        tuple(_judged(pair, judge, samples=samples) for pair in pairs),
        tuple(
            BareVote(vote.pair_id, vote.annotator, vote.preference)
            for vote in votes
            if rng.random() < population.turnout
        ),
    )


def _pairs(prompt: Prompt, rng: random.Random, *, seed: int) -> Iterator[Pair]:
    asked = prompt.messages[0].content
    answers = []
    for system, drafts in SYSTEMS.items():
        texts = [_text(system, draft, rng) for draft in range(drafts)]
        best = max(texts, key=lambda text: hidden_quality(asked, text, seed=seed))
        answers.append(Candidate(messages=(Message(role="assistant", content=best),), model=system))
    for place, couple in enumerate(combinations(answers, 2)):
        first, second = couple if rng.random() < 0.5 else couple[::-1]
        yield Pair(pair_id=f"{prompt.prompt_id}-{place}", prompt=prompt, first=first, second=second)


def _text(system: str, draft: int, rng: random.Random) -> str:
    """An answer of its own length, with formatting that has nothing to do with its quality."""
    words = [rng.choice(_WORDS) for _ in range(rng.randrange(10, 60))]
    if rng.random() < 0.4:
        words[3] = f"**{words[3]}**"
    items = "".join(f"\n- {rng.choice(_WORDS)}" for _ in range(rng.choice((0, 0, 2, 4))))
    return f"Draft {draft} of {system}: {' '.join(words)}.{items}"


def _judged(pair: Pair, judge: SimulatorSettings, *, samples: int) -> JudgedPair:
    readings = tuple(
        _reading(pair, judge, order, sample) for order in BOTH_ORDERS for sample in range(samples)
    )
    return JudgedPair(
        pair_id=pair.pair_id,
        prompt_id=pair.prompt.prompt_id,
        readings=readings,
        tags=pair.prompt.tags,
        first=_facts(pair.first),
        second=_facts(pair.second),
    )


def _reading(pair: Pair, judge: SimulatorSettings, order: Order, sample: int) -> Reading:
    answers = (pair.first.text, pair.second.text)
    a, b = answers if order is Order.FORWARD else answers[::-1]
    asked = _ASKED.format(question=pair.prompt.messages[0].content, a=a, b=b)
    shown = read_prompt("Say [[A]], [[B]] or [[C]] for a tie.", [asked])
    assert shown is not None
    voice = digest(judge.seed, b"voice", pair.pair_id.encode(), order.encode(), b"%d" % sample)
    flaw = draw_delivery(judge, voice, earlier_sends=0).flaw
    return Reading(
        judgment_id="",
        judge_key="key",
        order=order,
        sample=sample,
        verdict=decide_verdict(judge, shown, voice=voice) if flaw is None else None,
        status=None if flaw is None else _STATUSES[flaw],
    )


def _facts(answer: Candidate) -> AnswerFacts:
    return AnswerFacts(len(answer.text), answer.model, style_of(to_json(answer.messages).decode()))
