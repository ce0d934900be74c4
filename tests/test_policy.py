"""What a policy asks next, given what was answered."""

from hypothesis import given
from hypothesis import strategies as st

from judge.policy import Question, missing_questions
from judge.records import Order, Reading, Status, Verdict

KEYS = ("j1", "j2")


def reading(
    order: Order, *, sample: int = 0, status: Status | None = None, key: str = "j1"
) -> Reading:
    verdict = Verdict.A if status is None else None
    return Reading(f"{key}-{order}-{sample}", key, order, sample, verdict, status)


def test_a_new_pair_is_asked_in_missing_questions_of_every_judge() -> None:
    assert missing_questions([], KEYS) == [
        Question("j1", Order.FORWARD, 0),
        Question("j1", Order.REVERSED, 0),
        Question("j2", Order.FORWARD, 0),
        Question("j2", Order.REVERSED, 0),
    ]


def test_only_the_missing_order_is_asked() -> None:
    answered = [reading(Order.REVERSED), reading(Order.FORWARD, key="j2", status=Status.FAILED)]
    assert missing_questions(answered, KEYS) == [
        Question("j1", Order.FORWARD, 0),
        Question("j2", Order.REVERSED, 0),
    ]


def test_a_status_is_final_unless_it_is_to_be_retried() -> None:
    answered = [reading(order, status=Status.UNPARSED) for order in Order]
    assert missing_questions(answered, ["j1"]) == []
    assert missing_questions(answered, ["j1"], retry=frozenset({Status.FAILED})) == []
    assert missing_questions(answered, ["j1"], retry=frozenset({Status.UNPARSED})) == [
        Question("j1", Order.FORWARD, 1),
        Question("j1", Order.REVERSED, 1),
    ]


def test_the_newest_sample_says_whether_to_retry() -> None:
    answered = [
        reading(Order.FORWARD, sample=1, status=Status.UNPARSED),
        reading(Order.FORWARD, sample=0, status=Status.FAILED),
        reading(Order.REVERSED),
    ]
    assert missing_questions(answered, ["j1"], retry=frozenset({Status.FAILED})) == []
    assert missing_questions(answered, ["j1"], retry=frozenset({Status.UNPARSED})) == [
        Question("j1", Order.FORWARD, 2)
    ]


def test_a_verdict_of_any_sample_ends_the_asking() -> None:
    answered = [
        reading(Order.FORWARD, sample=0),
        reading(Order.FORWARD, sample=1, status=Status.UNPARSED),
        reading(Order.REVERSED),
    ]
    assert missing_questions(answered, ["j1"], retry=frozenset(Status)) == []


readings = st.lists(
    st.builds(
        reading,
        st.sampled_from(Order),
        sample=st.integers(0, 3),
        status=st.one_of(st.none(), st.sampled_from(Status)),
        key=st.sampled_from(KEYS),
    ),
    max_size=8,
    unique_by=lambda each: (each.judge_key, each.order, each.sample),
)


@given(readings, st.frozensets(st.sampled_from(Status)))
def test_nothing_stored_is_ever_asked_again(
    answered: list[Reading], retry: frozenset[Status]
) -> None:
    stored = {(each.judge_key, each.order, each.sample) for each in answered}
    decided = {(each.judge_key, each.order) for each in answered if each.verdict}
    questions = missing_questions(answered, KEYS, retry=retry)
    for question in questions:
        assert (question.judge_key, question.order, question.sample) not in stored
        assert (question.judge_key, question.order) not in decided
    assert len({(q.judge_key, q.order) for q in questions}) == len(questions)


@given(readings, st.frozensets(st.sampled_from(Status)))
def test_exchanging_the_sides_of_a_pair_exchanges_its_questions(
    answered: list[Reading], retry: frozenset[Status]
) -> None:
    asked = missing_questions(answered, KEYS, retry=retry)
    exchanged = [each.oriented(is_exchanged=True) for each in answered]
    mirrored = {Question(q.judge_key, q.order.other, q.sample) for q in asked}
    assert set(missing_questions(exchanged, KEYS, retry=retry)) == mirrored


@given(readings)
def test_the_sequence_of_the_answers_does_not_matter(answered: list[Reading]) -> None:
    retry = frozenset({Status.UNPARSED, Status.FAILED})
    assert missing_questions(answered, KEYS, retry=retry) == missing_questions(
        answered[::-1], KEYS, retry=retry
    )
