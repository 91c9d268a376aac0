"""The words for a value that a record does not take: those of the house in place of pydantic's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_WHOLE = "it should be a whole number"
_NUMBER = "it should be a number"
_TRUTH = "it should be true or false"
_LIST = "it should be a list"
_TABLE = "it should be a table of names and values"
_WORDS: Final = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "none_required": "it should be left out",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "it should be a smaller number",
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "it should be a finite number",
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "string_type": "it should be text",
    "string_pattern_mismatch": "it is not of the form that is taken",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _TABLE,
    "mapping_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "dataclass_type": _TABLE,
    "json_invalid": "it is not JSON",
    "json_type": "it should be JSON",
    "literal_error": "it should be {expected}",
    "enum": "it should be {expected}",
    "union_tag_invalid": "its {discriminator} should be one of {expected_tags}",
    "union_tag_not_found": "it lacks {discriminator}",
    "greater_than_equal": "it should be {ge} or more",
    "greater_than": "it should be above {gt}",
    "less_than_equal": "it should be {le} or less",
    "less_than": "it should be below {lt}",
    "too_short": "it should have {min_length} or more entries",
    "too_long": "it should have {max_length} entries at most",
    "string_too_short": "it should have {min_length} or more characters",
    "string_too_long": "it should have {max_length} characters at most",
}


def fault_words(fault: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, as a part of a sentence.

    Args:
        fault: One of the errors of a ``ValidationError``, with its context.
    """
    words = _WORDS.get(fault["type"])
    if words is None:
        message = str(fault["msg"]).removeprefix("Value error, ")
        return message[:1].lower() + message[1:]
    return words.format_map(fault.get("ctx") or {})
