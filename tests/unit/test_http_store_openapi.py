"""docs/store.openapi.yaml: valid, its examples too, and what the store really says is in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import SecretStr

from pipelines.testing import kept_lines
from pipelines.transcript.batches import BATCH
from pipelines.transcript.ledger import MAX_LINE
from pipelines.transcript.line import Line
from pipelines.transcript.stores import http
from pipelines.transcript.stores.address import parse_addresses
from pipelines.transcript.stores.http import HttpStore

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/store.openapi.yaml"
SECRET = SecretStr("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return loaded


def violations(document: dict[str, Any], schema: str, value: Any) -> list[str]:
    whole = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_the_examples_are_valid_by_the_documents_own_schemas(document: dict[str, Any]) -> None:
    operations = document["paths"]["/lines"]
    batches = operations["post"]["requestBody"]["content"]["application/json"]["examples"]
    pages = operations["get"]["responses"]["200"]["content"]["application/json"]["examples"]
    for schema, examples in (("Batch", batches), ("Page", pages)):
        for example in examples.values():
            assert violations(document, schema, example["value"]) == []
    for parameter in document["components"]["parameters"].values():
        assert re.fullmatch(parameter["schema"]["pattern"], parameter["example"])


async def test_what_the_store_sends_and_the_server_answers_is_in_the_document(
    document: dict[str, Any], tmp_path: Path
) -> None:
    requests: list[web.BaseRequest] = []
    batches: list[Any] = []
    kept = kept_lines.KeptLines(tmp_path)

    async def handler(request: web.BaseRequest) -> web.Response:
        requests.append(request)
        if request.method == "POST":
            batches.append(await request.json())
            await kept.add(kept_lines.Post.model_validate(batches[-1]))
            return web.Response(status=204)
        page = await kept.page(kept_lines.Page.model_validate(dict(request.query)))
        assert violations(document, "Page", page) == []
        return web.json_response(page)

    async with RawTestServer(handler) as server:
        (address,) = parse_addresses(f"http://127.0.0.1:{server.port}/lines")
        store = HttpStore(address, SECRET)
        lines = [Line("réunion/1", 7, n, "note", 1e9 + n / 7, {"n": None}) for n in range(1, 4)]
        await store.append("réunion/1", lines)
        assert [line.key for line in await store.read("réunion/1")] == [x.key for x in lines]
        await store.aclose()
    (batch,) = batches
    assert violations(document, "Batch", batch) == []
    parameters = document["components"]["parameters"]
    for request, message in zip(requests, ("batchId", "readId"), strict=True):
        for name in (message, "timestamp"):
            given = request.headers[parameters[name]["name"]]
            assert re.fullmatch(parameters[name]["schema"]["pattern"], given)
        assert request.headers["webhook-signature"].startswith("v1,")
    declared = {one.get("name") for one in document["paths"]["/lines"]["get"]["parameters"]}
    assert set(requests[1].query) == declared - {None}


def test_the_limits_in_the_document_are_those_of_the_code(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["Batch"]["properties"]["lines"]["maxItems"] == BATCH == kept_lines.MOST_LINES
    assert schemas["Page"]["properties"]["lines"]["maxItems"] == http.PAGE == kept_lines.MOST_PAGE
    limits = document["info"]["description"].partition("## Limits")[2]
    page = f"{http.LONGEST_PAGE // 2**20} MiB"
    for figure in (f"{BATCH} lines", f"{http.LONGEST_BODY:,} bytes", f"{MAX_LINE:,} bytes", page):
        assert figure in limits
