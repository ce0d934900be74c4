"""Fields of requests that a simulated model does not take, in the words of real ones. Pure."""

from judge.simulator import messages
from judge.simulator.messages import ChatRequest, Response
from judge.simulator.settings import Refusable, SimulatorSettings

DEFAULT_TEMPERATURE = 1


def refused_field(
    settings: SimulatorSettings, request: ChatRequest
) -> tuple[Refusable, Response] | None:
    """Return the first field of a request that is refused, with the answer; None for none."""
    for field in settings.refuses:
        value = getattr(request, field.value)
        if value is None or (field is Refusable.TEMPERATURE and value == DEFAULT_TEMPERATURE):
            continue
        return field, _answer(field, value)
    return None


def _answer(field: Refusable, value: object) -> Response:
    match field:
        case Refusable.MAX_TOKENS | Refusable.MAX_COMPLETION_TOKENS:
            other = (
                Refusable.MAX_COMPLETION_TOKENS
                if field is Refusable.MAX_TOKENS
                else Refusable.MAX_TOKENS
            )
            said = f"Unsupported parameter: '{field}' is not supported with this model. Use "
            return messages.error(
                400, f"{said}'{other}' instead.", code="unsupported_parameter", param=field
            )
        case Refusable.TEMPERATURE:
            said = f"Unsupported value: 'temperature' does not support {value} with this model. "
            only = "Only the default (1) value is supported."
            return messages.error(400, said + only, code="unsupported_value", param=field)
        case Refusable.RESPONSE_FORMAT:
            # Some providers name no param, so that only the words tell.
            return messages.error(400, "This response_format type is unavailable now.")
        case Refusable.REASONING_EFFORT:
            return messages.error(400, "Unrecognized request argument supplied: reasoning_effort.")
