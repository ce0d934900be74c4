"""The counts of a job: what is counted when, and that flips are seen across jobs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.errors import ThrottledError, TransientError
from judge.job.progress import Progress
from judge.records import Judgment, Order, Reading, Status, Verdict


def judgment(
    content: str = "c",
    order: Order = Order.FORWARD,
    verdict: Verdict | None = Verdict.A,
    *,
    key: str = "j",
    tokens: int | None = None,
) -> Judgment:
    return Judgment(
        judgment_id=f"{content}-{key}-{order}",
        content_id=content,
        judge_key=key,
        order=order,
        reply="",
        verdict=verdict,
        status=None if verdict else Status.UNPARSED,
        input_tokens=tokens,
        output_tokens=tokens,
        parser="p",
        created_at="",
    )


def test_asks_stored_before_and_now_are_done_and_the_rest_is_pending() -> None:
    progress = Progress(total=10, stored_before=3)
    progress.note_judgment(judgment())
    assert (progress.judged, progress.done, progress.pending) == (1, 4, 6)


def test_a_second_sample_of_an_answered_ask_is_no_new_ask() -> None:
    progress = Progress(total=2, stored_before=2)
    progress.note_judgment(judgment(tokens=5), is_new_ask=False)
    assert (progress.done, progress.pending, progress.input_tokens) == (2, 0, 5)


def test_judgments_without_a_verdict_are_counted_by_status() -> None:
    progress = Progress(total=2)
    progress.note_judgment(judgment(verdict=None))
    assert progress.statuses == {"unparsed": 1}
    assert progress.statuses.total() == 1


def test_asks_in_flight_are_counted_down_even_when_they_fail() -> None:
    progress = Progress()
    seen = []

    def fail() -> None:
        with progress.asking(), progress.asking():
            seen.append(progress.in_flight)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (seen, progress.in_flight) == ([2], 0)


def test_waits_are_counted_by_reason_and_the_last_one_is_said_in_words() -> None:
    progress = Progress()
    progress.note_wait(TransientError("it broke", kind="reset"), 1.0)
    progress.note_wait(ThrottledError("too many", 3.0), 3.25)
    assert progress.sends_repeated == 2
    assert progress.retry_reasons == {"reset": 1, "429": 1}
    assert progress.last_problem == "too many (waiting 3.2 s)"


@pytest.mark.parametrize(
    ("forward", "reversed_", "flipped"),
    [
        (Verdict.A, Verdict.B, 0),
        (Verdict.B, Verdict.A, 0),
        (Verdict.TIE, Verdict.TIE, 0),
        (Verdict.A, Verdict.A, 1),
        (Verdict.B, Verdict.B, 1),
        (Verdict.TIE, Verdict.A, 1),
    ],
)
def test_two_orders_are_compared_as_preferences_about_candidates(
    forward: Verdict, reversed_: Verdict, flipped: int
) -> None:
    progress = Progress(total=2)
    progress.note_judgment(judgment(order=Order.FORWARD, verdict=forward))
    assert (progress.compared, progress.flipped) == (0, 0)
    progress.note_judgment(judgment(order=Order.REVERSED, verdict=reversed_))
    assert (progress.compared, progress.flipped) == (1, flipped)


def test_an_order_answered_by_an_earlier_job_is_compared_with_this_ones() -> None:
    progress = Progress(total=2, stored_before=1)
    progress.note_answered("c", Reading("id", "j", Order.FORWARD, 0, Verdict.A, None))
    progress.note_answered("c", Reading("id2", "k", Order.FORWARD, 0, None, Status.FAILED))
    progress.note_judgment(judgment(order=Order.REVERSED, verdict=Verdict.A))
    assert (progress.compared, progress.flipped) == (1, 1)


@given(st.permutations([(c, k, o) for c in "abc" for k in "jk" for o in Order]))
def test_answers_may_come_in_any_sequence(order: list[tuple[str, str, Order]]) -> None:
    progress = Progress(total=12)
    for content, key, shown in order:
        progress.note_judgment(judgment(content, shown, Verdict.A, key=key))
    assert (progress.compared, progress.flipped, progress.pending) == (6, 6, 0)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(Order)), unique=True))
def test_what_is_remembered_is_only_the_pairs_half_done(asked: list[tuple[int, Order]]) -> None:
    progress = Progress(total=100)
    for content, order in asked:
        progress.note_judgment(judgment(str(content), order))
    contents = [content for content, _ in asked]
    half_done = sum(contents.count(content) == 1 for content in set(contents))
    assert len(progress._half_done) == half_done
