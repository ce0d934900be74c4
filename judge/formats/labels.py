"""Labels as JSON Lines: how each pair resolved, one object per pair.

    {"pair_id", "outcome", "reason"?, "probability", "margin", "grade"?,
     "attributes"?: {NAME: {"first", "second", "margin"}}, "reference"?, "rule",
     "judgments": [ID, ...]}

`probability` and `margin` are null where the judges gave no probability; `reason` is absent
where there is an outcome. `grade` is how much better the first answer is, -2 to 2, where verdicts
were graded; `attributes` are mean ratings, with the first answer's lead, where there were any;
`reference` is checked, doubtful or unclear, where the pair's reference was checked.
"""

from typing import Any

from judge.records import Label


def label_row(label: Label) -> dict[str, Any]:
    """The JSON object of a label, in the orientation of the pair that it names."""
    row = label.model_dump(mode="json")
    if label.reason is None:
        del row["reason"]
    if label.grade is None:
        del row["grade"]
    if label.reference is None:
        del row["reference"]
    if label.attributes is None:
        del row["attributes"]
    else:
        for name, means in label.attributes.items():
            row["attributes"][name]["margin"] = means.first - means.second
    return row
