"""Looking an endpoint over before it is used: the models it lists, and token probabilities."""

from dataclasses import replace
from enum import StrEnum

from pydantic_core import from_json

from judge.backends.openai import OpenAIChat
from judge.backends.refusals import LOGPROBS, refused_field
from judge.backends.wire import UNREADABLE, Answer
from judge.chat import ChatRequest
from judge.errors import EndpointError, ItemError

TOP_LOGPROBS = 5
FEW_TOKENS = 5


class TokenProbabilities(StrEnum):
    """What an endpoint makes of a request for the probabilities of a reply's tokens."""

    OFFERED = "offered"
    IGNORED = "ignored"
    """It answers as if it had not been asked for them."""
    REFUSED = "refused"
    """It rejects the request because of them."""


class ProbingChat(OpenAIChat):
    """An endpoint as it is asked by a check. Use as an async context manager."""

    @property
    def listed(self) -> tuple[str, ...]:
        """The models that `preflight` was told of; empty where the endpoint does not list any."""
        return self._listed

    async def token_probabilities(self, request: ChatRequest) -> TokenProbabilities:
        """Return whether the probabilities of a reply's tokens can be had, by one short request.

        Asks for as many alternatives as `request` does, since some endpoints tell only a few.
        Raises TransientError and AccountError as `complete` does.
        """
        top = request.top_logprobs or TOP_LOGPROBS
        short = replace(request, top_logprobs=top, max_tokens=FEW_TOKENS)
        try:
            answer = await self._send("POST", self._url, self._body(short))
            if refused_field(answer, LOGPROBS):
                return TokenProbabilities.REFUSED
            if answer.status != 200:
                raise self._refusal(answer, request.model)
        except ItemError:
            return TokenProbabilities.REFUSED
        except EndpointError as error:
            self._hide_key(error)
            raise
        return _offered(answer)


def _offered(answer: Answer) -> TokenProbabilities:
    try:
        token = from_json(answer.body)["choices"][0]["logprobs"]["content"][0]
        is_offered = bool(token["top_logprobs"]) and isinstance(token["logprob"], int | float)
    except UNREADABLE:
        return TokenProbabilities.IGNORED
    return TokenProbabilities.OFFERED if is_offered else TokenProbabilities.IGNORED
