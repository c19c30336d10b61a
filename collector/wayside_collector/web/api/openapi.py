"""The OpenAPI document, from the same declarations as the routes. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ... import __version__
from .endpoint import COMMAS, Endpoint

REF = "#/components/schemas/{name}"
NUMBER = {
    "description": 'A number; what is not finite is spelled "NaN", "Infinity" or "-Infinity".',
    "anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}],
}
ERROR = {
    "description": "What went wrong, where, and what to do.",
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
META = {
    "type": "object",
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
    "required": ["code", "message"],
}
_PROBLEMS = {
    "400": "What is asked makes no sense.",
    "401": "A token is needed here.",
    "403": "This token, or this page, may not.",
    "404": "There is no such run.",
    "500": "The store failed.",
    "503": "There is no store, or it has no time now.",
}


def document(endpoints: Iterable[Endpoint], streams: Mapping[str, str]) -> dict[str, Any]:
    """streams: the paths of server-sent events, and what they tell."""
    known = list(endpoints)
    own, schemas = _schemas([one.told for one in known if not one.lens])
    lens, more = _schemas([one.told for one in known if one.lens])
    schemas = {name: _with_spelled(schema) for name, schema in schemas.items()} | more
    told = {one.path: schema for one, schema in zip([one for one in known if not one.lens], own, strict=True)}
    told |= {one.path: _or_enveloped(lens[place]) for place, one in enumerate(one for one in known if one.lens)}
    paths = {one.path: {"get": _operation(one, told[one.path])} for one in known}
    paths |= {path: {"get": _stream(path, summary)} for path, summary in streams.items()}
    paths["/health"] = {"get": _plain("health", "Whether the collector's event loop turns", {"type": "object"})}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wayside's query API",
            "version": __version__,
            "description": "Everything that is asked of the store. Times are Unix seconds, in Lens's endpoints "
            "milliseconds. Without a token only on the collector's own machine.",
        },
        "servers": [{"url": "/api/v1"}, {"url": "/v1"}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": {"Number": NUMBER, "Error": ERROR, **schemas},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(types: list[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    found, components = msgspec.json.schema_components(types, ref_template=REF)
    return [_in_one_line(one) for one in found], _in_one_line(components)


def _in_one_line(schema: Any) -> Any:
    """With docstrings as one line each."""
    if isinstance(schema, dict):
        return {
            key: " ".join(inner.split()) if key == "description" and isinstance(inner, str) else _in_one_line(inner)
            for key, inner in schema.items()
        }
    return [_in_one_line(inner) for inner in schema] if isinstance(schema, list) else schema


def _with_spelled(schema: Any) -> Any:
    """With room for what is not finite wherever a number may stand."""
    if isinstance(schema, dict):
        if schema.get("type") == "number":
            return {"$ref": REF.format(name="Number")}
        return {key: _with_spelled(inner) for key, inner in schema.items()}
    if isinstance(schema, list):
        return [_with_spelled(inner) for inner in schema]
    return schema


def _or_enveloped(bare: dict[str, Any]) -> dict[str, Any]:
    properties = {"meta": META, "data": {"anyOf": [bare, {"type": "null"}]}, "tracing": {"type": "null"}}
    enveloped = {"type": "object", "properties": properties, "required": ["meta", "data", "tracing"]}
    return {"anyOf": [bare, enveloped]}


def _operation(endpoint: Endpoint, told: dict[str, Any]) -> dict[str, Any]:
    tag = "Primus Lens" if endpoint.lens else "Wayside"
    fields = msgspec.structs.fields(endpoint.asked)
    parameters = [_parameter(endpoint, one) for one in fields if one.encode_name != endpoint.free]
    operation = _plain(_name(endpoint.path), endpoint.summary, told, tag)
    if endpoint.free:
        operation["description"] = next(_description(one.type) for one in fields if one.encode_name == endpoint.free)
    return {**operation, "parameters": parameters}


def _stream(path: str, summary: str) -> dict[str, Any]:
    operation = _plain(_name(path), summary, {}, "Live")
    operation["responses"]["200"]["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    if "{id}" in path:
        schema = {"type": "string", "minLength": 1}
        operation["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": schema}]
    return operation


def _plain(name: str, summary: str, told: dict[str, Any], tag: str = "Wayside") -> dict[str, Any]:
    problem = {"application/json": {"schema": {"$ref": REF.format(name="Error")}}}
    problems = {status: {"description": text, "content": problem} for status, text in _PROBLEMS.items()}
    answer = {"description": "The answer.", "content": {"application/json": {"schema": told}}}
    return {"operationId": name, "summary": summary, "tags": [tag], "responses": {"200": answer, **problems}}


def _name(path: str) -> str:
    return path.strip("/").replace("{", "").replace("}", "").replace("/", "_").replace("-", "_")


def _parameter(endpoint: Endpoint, field: msgspec.structs.FieldInfo) -> dict[str, Any]:
    name = field.encode_name
    where = "path" if f"{{{name}}}" in endpoint.path else "query"
    schema = _asked_schema(field.type)
    if field.default not in (msgspec.NODEFAULT, None, "", ()):
        schema["default"] = field.default
    found = {"name": name, "in": where, "required": field.required, "schema": schema}
    if schema.pop(COMMAS, False):
        found |= {"style": "form", "explode": False}
    if description := schema.pop("description", ""):
        found["description"] = description
    return found


def _asked_schema(kind: Any) -> dict[str, Any]:
    """A parameter's schema. It cannot be null: then it is not given."""
    schema = msgspec.json.schema(kind)
    some = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(some) == 1 and len(schema["anyOf"]) == 2:
        schema = {**{key: value for key, value in schema.items() if key != "anyOf"}, **some[0]}
    if schema.get("enum"):
        schema["enum"] = [one for one in schema["enum"] if one is not None]
    return schema


def _description(kind: Any) -> str:
    return str(msgspec.json.schema(kind).get("description", ""))
