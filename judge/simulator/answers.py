"""The words of a simulated generator: plausible answers to any question. Pure.

How good an answer is follows from its text alone, as for every other answer. A better generator
is therefore one that writes several drafts and gives the best of them: the best of `a` drafts
beats the best of `b` with probability a / (a + b), whoever compares them.
"""

import re
from typing import Final

from judge.simulator.draws import digest, uniform
from judge.simulator.messages import ChatMessage
from judge.simulator.quality import essence, essential_quality

_OPENINGS: Final = (
    "Here is how I would think about {topic}.",
    "The short answer depends on what you want from {topic}.",
    "There are a few sides to {topic}, so let me take them one by one.",
    "Good results with {topic} start with knowing the goal.",
    "I would begin with the part of {topic} that is easiest to check.",
    "In plain words, {topic} comes down to a handful of choices.",
    "Let me answer the main point about {topic} first and add the details after it.",
    "Most people meet {topic} the hard way, which is a pity, because the idea is simple.",
)
_SENTENCES: Final = (
    "Write down what you know already, and mark what you only assume.",
    "A small trial with {topic} tells more than a long plan.",
    "Set aside about {number} minutes for it and stop when they are over.",
    "If two sources disagree, look at who had to live with the outcome.",
    "The usual mistake is to change several things at the same time.",
    "Work through one example by hand before you trust a general rule.",
    "For {topic} in particular, order matters more than speed.",
    "Keep the first version simple, since every extra part has to be looked after.",
    "Ask someone who has done it {number} times what they would leave out.",
    "What looks like an exception often shows that the question was too wide.",
    "It helps to say the result aloud, as gaps are easier to hear than to see.",
    "Costs tend to hide in the last tenth of the work.",
    "Nothing here needs special tools, though patience is welcome.",
    "When {topic} seems stuck, return to the last step that was certain.",
    "Numbers such as {number} are meant as a rough guide and not as a limit.",
    "Compare the outcome with what you expected, and note the difference.",
    "A checklist of {number} lines is long enough for nearly every case.",
    "The same idea carries over to neighbouring fields with little change.",
    "Leave room for doubt where the evidence is thin.",
    "Beginners profit from copying a good example before they invent their own.",
    "Once the basics hold, variations of {topic} become a matter of taste.",
    "There is a trade between being early and being right, and you may choose.",
    "Tell the people concerned before you start, not after you are done.",
    "An honest estimate names its range, for example {number} to twice that.",
    "Old advice about {topic} is often sound but rarely complete.",
    "Rest between the rounds, because tired eyes miss plain errors.",
    "Safety first: if a step feels wrong, leave it and ask.",
    "The order of the steps can be turned round when material is scarce.",
    "Look once more at the wording of the question, it narrows the choice.",
    "After {number} repetitions the remaining effort drops noticeably.",
    "A picture or a table would say the same in less space.",
    "In the end, what counts is whether it works for the person who asked.",
)
_SHORTEST: Final = 0.6
_SPREAD: Final = 0.8
"""Lengths are uniform from 0.6 to 1.4 of the mean."""
_TOPIC: Final = re.compile(r"[^\W\d_]{4,24}")
_TOPIC_SEARCHED = 2000
"""Characters of a question in which a topic is looked for."""


def asked_of(messages: list[ChatMessage]) -> str:
    """Return the question that a generator is asked, as judging shows it under [User Question].

    A system message at the start may be the generator's own, so it is left out.
    """
    turns = messages[1:] if messages[0].role == "system" and len(messages) > 1 else messages
    if len(turns) == 1:
        return turns[0].text
    return "\n\n".join(f"{turn.role.capitalize()}: {turn.text}" for turn in turns)


def best_answer(question: str, *, seed: int, drafts: int, words: int, voice: bytes) -> str:
    """Return the best of so many drafts by the hidden truth of `seed`.

    `voice` decides the drafts; each has about `words` words on average.
    """
    topics = _TOPIC.findall(question[:_TOPIC_SEARCHED]) or ["this"]
    written = [
        _draft(topics, words, voice=digest(seed, b"draft", voice, b"%d" % number))
        for number in range(drafts)
    ]
    if drafts == 1:
        return written[0]
    asked = essence(question)
    return max(written, key=lambda text: essential_quality(asked, essence(text), seed=seed))


def _draft(topics: list[str], words: int, *, voice: bytes) -> str:
    topic = topics[int(uniform(voice, 0) * len(topics))].lower()
    number = 2 + int(uniform(voice, 1) * 58)
    opening = _OPENINGS[voice[16] % len(_OPENINGS)].format(topic=topic)
    chosen = [opening]
    left = words * (_SHORTEST + _SPREAD * uniform(voice, 3)) - len(opening.split())
    position = voice[17]
    for step in range(words):  # every sentence has a word, so this is bound enough
        if left <= 0:
            break
        # Odd strides visit every sentence before one is repeated: their number is a power of two.
        position += 2 * (voice[18] + step // len(_SENTENCES)) + 1
        sentence = _SENTENCES[position % len(_SENTENCES)].format(topic=topic, number=number)
        chosen.append(sentence)
        left -= len(sentence.split())
    return " ".join(chosen)
