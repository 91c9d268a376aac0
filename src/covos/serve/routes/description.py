"""Parts of the description of the API that FastAPI does not make by itself."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


def without_references(record: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a record with all that it refers to in it, for places that the description does not fill."""
    schema = record.model_json_schema()
    parts = schema.pop("$defs", {})

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(each) for each in value]
        if not isinstance(value, dict):
            return value
        if (reference := value.get("$ref")) is not None:
            return {**filled(parts[reference.rsplit("/", 1)[1]]), **{k: v for k, v in value.items() if k != "$ref"}}
        return {name: filled(each) for name, each in value.items()}

    return {name: filled(each) for name, each in schema.items()}


def file_answer(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """Return the description of an answer that is a file, of one of these kinds."""
    return {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}}}


def json_body(record: type[BaseModel]) -> dict[str, Any]:
    """Return the description of a body in JSON that a function reads by itself."""
    content = {"application/json": {"schema": without_references(record)}}
    return {"requestBody": {"required": True, "content": content}}
