"""Labels as JSON Lines: how each pair resolved, one object per pair.

    {"pair_id", "outcome", "reason"?, "probability", "margin", "rule", "judgments": [ID, ...]}

`probability` and `margin` are null where the judges gave no probability; `reason` is absent
where there is an outcome.
"""

from typing import Any

from judge.records import Label


def label_row(label: Label) -> dict[str, Any]:
    """The JSON object of a label, in the orientation of the pair that it names."""
    row = label.model_dump(mode="json")
    if label.reason is None:
        del row["reason"]
    return row
