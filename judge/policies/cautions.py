"""What is odd about a policy and its judges, though it can be done."""

from judge.policies.rules import PolicyName
from judge.settings.config import Settings


def policy_cautions(settings: Settings) -> list[str]:
    """Return warnings, each with its remedy: what is paid for nothing, what means nothing."""
    rules, told = settings.run, []
    k = rules.samples_per_order
    for judge in settings.judges:
        name = judge.display_name
        cause = "with a seed" if judge.seed is not None else "at temperature 0"
        if k > 1 and (judge.temperature == 0 or judge.seed is not None):
            remedy = "remove the seed" if judge.seed is not None else "set one such as 0.7"
            told.append(
                f'judge "{name}": {cause} its {k} samples of an order are one reply, paid {k} '
                f"times; {remedy}"
            )
        if judge.accept_above is not None and rules.policy is not PolicyName.CASCADE:
            told.append(
                f'judge "{name}": accept_above means nothing under the policy "{rules.policy}"; '
                'set run.policy = "cascade", or remove it'
            )
    return told
