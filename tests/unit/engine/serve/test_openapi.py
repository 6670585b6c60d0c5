"""The OpenAPI document: it describes what is served, and its page shows all of it without a script."""

from __future__ import annotations

import asyncio
import html
import json
import re
from types import SimpleNamespace

from starlette.routing import Route

from fer_engine.artifact.spec import ModelSpec
from fer_engine.serve.app import make_app
from fer_engine.serve.batcher import BatchOptions
from fer_engine.serve.limits import Limits
from fer_engine.serve.openapi import make_document
from fer_engine.serve.openapi_page import render_page
from fer_engine.serve.service import Service

SPEC = ModelSpec("tiny", labels=("calm & <glad>", "tense"), height=3, width=2)
DOCUMENT = make_document(SPEC)


def served() -> set[tuple[str, str]]:
    """Return the methods and paths of the application's routes."""

    async def make() -> list[Route]:
        service = Service(SimpleNamespace(spec=SPEC, logits=None), BatchOptions(), Limits())
        try:
            return make_app(service, lambda image: image).routes
        finally:
            service.close()

    return {
        (method, route.path)
        for route in asyncio.run(make())
        for method in route.methods or ()
        if method != "HEAD"
    }


def test_every_route_is_described_and_no_other():
    described = {
        (method.upper(), path)
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert described == served()


def test_every_reference_leads_to_a_schema_and_every_schema_is_used():
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    assert names == set(DOCUMENT["components"]["schemas"])


def test_every_place_in_a_path_is_a_parameter():
    for path, item in DOCUMENT["paths"].items():
        parameters = {entry["name"]: entry["schema"] for entry in item.get("parameters", [])}
        assert list(parameters) == re.findall(r"{(\w+)}", path)
        assert parameters.get("name", {"const": "tiny"}) == {"const": "tiny"}


def test_a_face_has_the_shape_of_the_model():
    schema = DOCUMENT["components"]["schemas"]["Instances"]["properties"]["instances"]["items"]["oneOf"][0]
    assert (schema["minItems"], schema["items"]["maxItems"]) == (3, 2)
    assert schema["items"]["items"] == {"type": "integer", "minimum": 0, "maximum": 255}


def test_the_page_shows_everything_and_runs_nothing():
    page = render_page(DOCUMENT)
    shown = html.unescape(page)
    for path, item in DOCUMENT["paths"].items():
        assert f"<code>{path}</code>" in page
        assert all(
            operation["summary"] in shown for method, operation in item.items() if method != "parameters"
        )
    for name in DOCUMENT["components"]["schemas"]:
        assert f'id="{name}"' in page
    assert "calm &amp; &lt;glad&gt;" in page
    assert "<glad>" not in page
    assert "<script" not in page
    assert " style=" not in page
    assert not re.search(r'(?:src|href)="(?:[a-z]+:)?//', page)
