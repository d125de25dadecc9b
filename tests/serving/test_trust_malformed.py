"""Whatever is uploaded is answered with a sentence and a status of the client's fault, and changes nothing. Row 12."""

import sys

import pytest
from trust import contract, raw, uploads

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the server's memory is looked at as Linux tells it"),
    pytest.mark.usefixtures("same_answer"),
]

COUNT = 200
WRONG = {200, 400, 411, 413, 414, 415, 422, 431}


def test_two_hundred_malformed_uploads_are_answered_and_change_nothing(served, shelf):
    places = (shelf["clothes"], shelf["rows"], served.temporary)
    faults, statuses = [], {}
    before = served.memory(), served.descriptors(), served.temporary_files()
    for at, upload in enumerate(uploads.malformed(COUNT)):
        model = ("clothes", "clothes", "rows", "shop")[at % 4]
        target = f"/v1/models/{model}/predict" + (f"?{upload.query}" if upload.query else "")
        reply = raw.ask(served.port, "POST", target, upload.body, upload.headers)
        wrong = contract.faults(reply, places=places)
        if reply.status not in WRONG:
            wrong.append(f"status {reply.status}")
        if wrong:
            faults.append(
                (at, model, upload.kind, upload.headers, upload.query[:60], upload.body[:80], wrong)
            )
        statuses[reply.status] = statuses.get(reply.status, 0) + 1
    assert faults == [], f"{len(faults)} of {COUNT}: {faults[:5]}"
    assert statuses[422] + statuses.get(400, 0) > COUNT / 4, statuses
    assert served.temporary_files() == before[2]
    assert served.descriptors() <= before[1] + 5
    assert served.memory() < before[0] + 150


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../clothes",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e",
        "clothes%00",
        "clothes/",
        "%252e%252e",
        "/etc/passwd",
        "CLOTHES",
        "clothes.vistazo",
        "<script>",
        "a" * 5000,
        "%ff%fe",
        "clothes;x=1",
        "con",
        "{name}",
        "%20clothes",
    ],
)
def test_a_model_is_a_name_and_never_a_path(served, name):
    for verb in ("predict", "explain", "similar"):
        reply = raw.ask(
            served.port, "POST", f"/v1/models/{name}/{verb}", uploads.picture(), {"Content-Type": "image/png"}
        )
        assert reply.status in (400, 404, 405, 414), (name, reply.status)
        assert contract.faults(reply) == []


def test_paths_that_nobody_has_leave_no_trace_in_the_metrics(served):
    for at in range(100):
        assert raw.ask(served.port, "GET", f"/nobody-has-{at}").status == 404
        assert raw.ask(served.port, "POST", f"/v1/models/nobody-{at}/predict", b"x").status in (404, 415)
    told = raw.ask(served.port, "GET", "/metrics").body
    assert b"nobody-" not in told
    assert b"clothes" in told


def test_a_method_made_up_leaves_no_trace_in_the_metrics(served):
    for method in ("FOO", "SEARCH", "PROPFIND", "M-SEARCH"):
        reply = raw.ask(served.port, method, "/v1/models")
        assert reply.status in (400, 404, 405)
    told = raw.ask(served.port, "GET", "/metrics").body
    assert b"PROPFIND" not in told


def test_the_same_damage_is_the_same_in_every_process():
    first, second = list(uploads.malformed(40)), list(uploads.malformed(40))
    assert first == second
    assert len({one.kind for one in first}) >= 7
