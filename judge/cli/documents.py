"""Results as one JSON document."""

import json
from typing import Any

from pydantic_core import to_jsonable_python


def document_text(document: Any) -> str:
    """Return a result as indented JSON in ASCII, so that no text in it can steer a terminal."""
    return json.dumps(to_jsonable_python(document), indent=2)
