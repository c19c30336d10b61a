"""The page at `/api/docs`: the OpenAPI document as a person reads it. One page of text, without scripts. Pure."""

import html
from typing import Any

from ..pages import page


def docs_page(document: dict[str, Any]) -> str:
    """The document as HTML."""
    schemas = document["components"]["schemas"]
    paths = document["paths"]
    index = "".join(
        f'<li><a href="#{one["get"]["operationId"]}">{html.escape(path)}</a>' for path, one in paths.items()
    )
    operations = "".join(_operation(path, one["get"]) for path, one in paths.items())
    types = "".join(_type(name, schema) for name, schema in schemas.items())
    return page(
        f"""<h1>{html.escape(document["info"]["title"])}</h1><p>{html.escape(document["info"]["description"])}</p>
<p>Everything is asked for with GET, below <code>/api/v1</code> or <code>/v1</code> alike;
<a href="/api/openapi.json">openapi.json</a> says the same to programs.</p><ul>{index}</ul>{operations}
<h2>Answers</h2>{types}"""
    )


def _operation(path: str, one: dict[str, Any]) -> str:
    rows = "".join(_parameter(parameter) for parameter in one.get("parameters", ()))
    table = f"<table><tr><th>parameter<th>type<th>&nbsp;{rows}</table>" if rows else ""
    content = one["responses"]["200"]["content"]
    kind, told = next(iter(content.items()))
    answer = f"<p>Answer: {_shape(told['schema'])}" if kind == "application/json" else f"<p>Answer: {html.escape(kind)}"
    description = f"<p>{html.escape(one['description'])}" if "description" in one else ""
    return (
        f'<h3 id="{one["operationId"]}"><code>GET {html.escape(path)}</code></h3>'
        f"<p>{html.escape(one['summary'])}.{description}{table}{answer}"
    )


def _parameter(one: dict[str, Any]) -> str:
    schema = one["schema"]
    shape = _shape(schema) + (f", usually {html.escape(str(schema['default']))}" if "default" in schema else "")
    needed = "<b>required.</b> " if one["required"] else ""
    text = html.escape(one.get("description", ""))
    return f"<tr><td><code>{html.escape(one['name'])}</code><td>{shape}<td>{needed}{text}"


def _type(name: str, schema: dict[str, Any]) -> str:
    fields = schema.get("properties", {}).items()
    rows = "".join(f"<tr><td><code>{html.escape(field)}</code><td>{_shape(inner)}" for field, inner in fields)
    table = f"<table>{rows}</table>" if rows else ""
    return (
        f'<h3 id="{html.escape(name)}">{html.escape(name)}</h3><p>{html.escape(schema.get("description", ""))}{table}'
    )


def _shape(schema: dict[str, Any]) -> str:
    """What a value is, in a few words."""
    if "$ref" in schema:
        name = html.escape(str(schema["$ref"]).rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_shape(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(html.escape(str(one)) for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_shape(schema.get('items') or {})}"
    return _plain(schema)


def _plain(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    bounds = f" from {low}" if low is not None else ""
    bounds += f" to {high}" if high is not None else ""
    return html.escape(str(schema.get("type", "anything"))) + bounds
