"""The OpenAPI description of the API, made of the table of routes and the structs of the answers."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import msgspec

from .. import __version__
from .api import BYTES, DICOM, GZIP, NOTICE, UPLOADS
from .json_answer import JSON
from .refusal import ErrorAnswer
from .routes import ROOT, ROWS, Row

_REFERENCE = "#/components/schemas/{name}"
_ALWAYS = (401, 403, 421, 500, 503)  # refusals of every request
_FILES = (BYTES, GZIP, DICOM)  # answers that are files: a client may request a range of their bytes


def description() -> dict[str, Any]:
    """Returns the description, OpenAPI 3.1."""
    structs = list(dict.fromkeys([ErrorAnswer, *(row.answer for row in ROWS if isinstance(row.answer, type))]))
    _, schemas = msgspec.json.schema_components(structs, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for row in ROWS:
        paths.setdefault(ROOT + row.path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {"title": "bedside", "version": __version__, "description": NOTICE, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(row: Row) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": row.name,
        "summary": row.summary,
        "responses": {
            str(row.status): _answer(row, row.status),
            **(_parts(row) if row.answer in _FILES else {}),
            **{str(status): _refusal(status) for status in sorted({*_ALWAYS, *row.refusals})},
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", row.path)
    ]
    if row.query is not None:
        parameters += _query(row.query)
        described["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in UPLOADS},
        }
    if parameters:
        described["parameters"] = parameters
    return described


def _query(struct: type[msgspec.Struct]) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(struct, ref_template="{name}")["$defs"][struct.__name__]
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null(each)}
        for name, each in schema["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a parameter that is left out where it has no value."""
    options = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if options:
        return options[0]
    values = [value for value in schema.get("enum", ()) if value is not None]
    if values:
        return {"type": "string", "enum": values}
    return {name: value for name, value in schema.items() if not (name == "default" and value is None)}


def _answer(row: Row, status: int) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase
    if row.answer is None:
        return {"description": phrase}
    if isinstance(row.answer, str):
        return {"description": phrase, "content": {row.answer: {"schema": {"type": "string", "format": "binary"}}}}
    schema = {"$ref": _REFERENCE.format(name=row.answer.__name__)}
    return {"description": phrase, "content": {JSON: {"schema": schema}}}


def _parts(row: Row) -> dict[str, Any]:
    """Returns the answers to a request with the header Range."""
    return {"206": _answer(row, 206), **{str(status): _refusal(status) for status in (400, 416)}}


def _refusal(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {JSON: {"schema": {"$ref": _REFERENCE.format(name="ErrorAnswer")}}},
    }
    if status == 503:
        described["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    return described
