"""The engine does what its OpenAPI document says: schemathesis asks for what is right, and for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from engine_server import Engine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from site_server import Site

from reader_cli.engine import openapi
from reader_cli.engine.app import ROUTES

EXAMPLES = 8  # of each operation
KEY = "rdr_openapi"
SITE = Site()

schemathesis.openapi.format("uri", st.sampled_from([SITE.url + path for path in ("/", "/a", "/broken")]))
schemathesis.openapi.format("css-selector", st.sampled_from(["main", "p, h1", "a[href]"]))
document = schemathesis.openapi.from_dict(json.loads(openapi.DOCUMENT))
document.config.headers = {"x-api-key": KEY}
document.config.checks.not_a_server_error.expected_statuses = ["2xx", "3xx", "4xx", "502", "504"]  # of pages
document.config.checks.ignored_auth.enabled = False  # sends the right key once more; test_api has 401s
document.config.generation.allow_extra_parameters = False  # unknown ones are ignored


def needs_a_browser(body: Any) -> bool:
    """What fails on a machine that has none, and takes seconds on one that has."""
    return isinstance(body, dict) and ("waitForSelector" in body or "screenshot" in (body.get("formats") or ""))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    SITE.broken.add("/broken")
    folder = tmp_path_factory.mktemp("openapi") / "data"
    with SITE, Engine.start(folder, environ={"READER_API_KEY": KEY}) as running:
        yield running


@document.exclude(path="/v1/events").parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_described(case: Any, engine: Engine) -> None:
    if not needs_a_browser(case.body):
        case.call_and_validate(base_url=engine.url)


def test_everything_is_described_to_anybody(engine: Engine) -> None:
    served = httpx.get(engine.url + "/openapi.json", trust_env=False).json()
    assert served == json.loads(openapi.DOCUMENT)
    routes = {(route.path, method) for route in ROUTES for method in getattr(route, "methods", ())}  # type: ignore[attr-defined]
    described = {(path, method.upper()) for path, item in served["paths"].items() for method in item}
    assert {(path, method) for path, method in routes if path.startswith("/v1/") and method != "HEAD"} == described
