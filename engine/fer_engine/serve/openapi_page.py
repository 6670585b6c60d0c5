"""The OpenAPI document as a page of HTML, without scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

METHODS = ("get", "post")
REFERENCE, LINK = r"#/components/schemas/(\w+)", r'<a href="#\1">\g<0></a>'


def render_page(document: dict[str, Any]) -> str:
    """Return the page of a document."""
    info = document["info"]
    schemas = document["components"]["schemas"].items()
    body = [
        f"<header><h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        '<p><a href="./">Page</a> <a href="openapi.json">OpenAPI document</a></p></header>',
        f"<p>{escape(info['description'])}</p>",
        *(part for tag in document["tags"] for part in _group(tag["name"], document)),
        "<h2>Schemas</h2>",
        *(
            _details(f"<code>{name}</code>", f'<div id="{name}">{_json(schema)}</div>')
            for name, schema in schemas
        ),
    ]
    return _PAGE.format(title=escape(info["title"]), body="\n".join(body))


_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title}: API</title>
  <link rel="icon" type="image/svg+xml" href="page/icon.svg">
  <link rel="stylesheet" href="page/style.css">
  <link rel="stylesheet" href="page/api.css">
</head>
<body class="api">
{body}
</body>
</html>
"""


def _group(tag: str, document: dict[str, Any]) -> Iterator[str]:
    yield f"<h2>{escape(tag)}</h2>"
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item and tag in item[method]["tags"]:
                yield _operation(method, path, item[method], item.get("parameters", []))


def _operation(method: str, path: str, operation: dict[str, Any], shared: list[dict[str, Any]]) -> str:
    rows = [
        (
            f"<code>{escape(parameter['name'])}</code>",
            f"in the {parameter['in']}: {_json(parameter['schema'])}",
        )
        for parameter in [*shared, *operation.get("parameters", [])]
    ]
    body = operation.get("requestBody", {"content": {}})["content"]
    rows += [(f"takes <code>{escape(kind)}</code>", _content(value)) for kind, value in body.items()]
    for status, response in operation["responses"].items():
        for kind, value in response["content"].items():
            word = "answers" if status == "200" else "or else"
            rows.append((f"{word} <code>{escape(kind)}</code>", _content(value)))
    described = "".join(f"<tr><th>{head}</th><td>{cell}</td></tr>" for head, cell in rows)
    more = f"<p>{escape(operation['description'])}</p>" if "description" in operation else ""
    summary = f'<b class="{method}">{method.upper()}</b> <code>{escape(path)}</code> '
    return _details(summary + escape(operation["summary"]), f"{more}<table>{described}</table>")


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>"


def _content(value: dict[str, Any]) -> str:
    schema = _json(value["schema"]) if "schema" in value else "its bytes"
    return schema + (f"<p>Example:</p>{_json(value['example'])}" if "example" in value else "")


def _json(value: Any) -> str:
    """Return JSON with links to the schemas that it refers to."""
    if set(value) == {"$ref"}:
        return re.sub(f".*{REFERENCE}", r'<a href="#\1">\1</a>', value["$ref"])
    text = escape(json.dumps(value, indent=1), quote=False)
    return f"<pre>{re.sub(REFERENCE, LINK, text)}</pre>"
