"""What examples and temperature do to the accuracy of the simulated judge. Pure."""

from judge.simulator.messages import ChatRequest
from judge.simulator.settings import SimulatorSettings

EXAMPLES = "[The Start of Reference Examples]"
"""With this a user text begins that shows examples."""


def able(settings: SimulatorSettings, request: ChatRequest) -> SimulatorSettings:
    """Return the settings by which a request is judged; the same ones where nothing depends."""
    if not (settings.example_gain or settings.temperature_loss):
        return settings
    accuracy = settings.accuracy - settings.temperature_loss * (request.temperature or 0.0)
    if any(m.role == "user" and m.text.startswith(EXAMPLES) for m in request.messages):
        accuracy += settings.example_gain
    return settings.model_copy(update={"accuracy": min(1.0, max(0.0, accuracy))})
