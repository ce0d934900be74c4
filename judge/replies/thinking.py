"""What thinking leaves of a reply. It is never read for a verdict, so it can use up all of one.

Thinking that an endpoint sends apart is kept beside the reply. Thinking between think tags stays in
the reply, which is kept as it came; `judge.replies.verdicts.after_thinking` passes over it.
"""

from judge.replies.verdicts import after_thinking

ROOM = "raise reasoning_tokens of the judge, which is room for thinking on top of max_tokens"


def flaw_of_thinking(text: str, reasoning: str | None, *, is_cut: bool) -> str | None:
    """Return why a reply holds no answer, with the remedy, where its thinking is the cause.

    `reasoning` is what came apart from `text`; `is_cut` says that the token limit ended the reply.
    """
    answer = after_thinking(text)
    if answer is not None and (answer.strip() or not (text.strip() or reasoning)):
        return None
    if is_cut:
        return f"cut at the token limit inside its thinking; {ROOM}"
    if answer is None:
        return (
            "the reply ends inside its thinking, whose tag is never closed, and thinking is never "
            f"read for a verdict; {ROOM}"
        )
    return (
        "the reply is thinking without an answer, and thinking is never read for a verdict; "
        f"{ROOM}, or mend the server's reasoning parser if the answer was put into the thinking"
    )
