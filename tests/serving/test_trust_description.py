"""The service keeps to its own description: requests made up from /openapi.json by schemathesis."""

import sys

import pytest
from trust import contract, raw

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
hypothesis = pytest.importorskip("hypothesis")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the server of these tests is Linux's")
EXAMPLES = 12  # an operation and mode


def operations(port):
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
    return [one.ok() for one in schema.get_all_operations()]


def test_every_route_of_the_contract_is_described(served):
    found = {(one.method.lower(), one.path) for one in operations(served.port)}
    assert found >= {
        ("get", "/v1/models"), ("post", "/v1/models/{name}/predict"), ("post", "/v1/models/{name}/explain"),
        ("post", "/v1/models/{name}/similar"), ("get", "/healthz"), ("get", "/readyz"), ("get", "/metrics"),
    }  # fmt: skip


def test_the_description_has_examples_and_tells_the_errors(served):
    told = raw.ask(served.port, "GET", "/openapi.json").json()
    predict = told["paths"]["/v1/models/{name}/predict"]["post"]
    assert {"200", "400", "401", "403", "404", "413", "415", "422", "429", "503"} <= set(predict["responses"])
    assert {"application/json", "multipart/form-data", "image/png"} & set(predict["requestBody"]["content"])
    assert "example" in str(predict)
    assert told["openapi"].startswith("3.")


@pytest.mark.filterwarnings("ignore")  # of libraries that make up requests
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_made_up_requests_are_answered_as_described(served, mode):
    from schemathesis import GenerationMode, checks

    kept = [checks.not_a_server_error]
    from schemathesis.specs.openapi import checks as described

    kept += [
        described.status_code_conformance, described.content_type_conformance,
        described.response_schema_conformance, described.response_headers_conformance,
    ]  # fmt: skip
    settings = hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    tried = 0
    for operation in operations(served.port):

        @settings
        @hypothesis.given(case=operation.as_strategy(generation_mode=GenerationMode(mode)))
        def conforms(case):
            nonlocal tried
            tried += 1
            if "name" in (case.path_parameters or {}) and tried % 2:
                case.path_parameters["name"] = ("clothes", "rows", "shop")[tried % 3]
            response = case.call(timeout=30)
            assert response.headers["x-content-type-options"] == ["nosniff"]
            if response.status_code >= 400 and case.method != "HEAD":
                assert not contract.LEAKS.search(response.content), response.content[:500]
            case.validate_response(response, checks=kept)

        try:
            conforms()
        except hypothesis.errors.Unsatisfiable:
            continue  # nothing can be wrong with a request that takes nothing
    assert tried > 20


def test_the_server_is_well_after_all_that(served, good_picture):
    reply = raw.ask(
        served.port, "POST", "/v1/models/clothes/predict", good_picture, {"Content-Type": "image/png"}
    )
    assert (reply.status, contract.faults(reply)) == (200, [])
