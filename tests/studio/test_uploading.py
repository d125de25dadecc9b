"""Names of files that are sent stay below the folder they belong to."""

import json

import pytest

from vistazo.config import build
from vistazo.errors import SourceError
from vistazo.studio import state, uploading
from vistazo.studio.settings import StudioSettings


@pytest.mark.parametrize("name", ["a.png", "cats/a.png", "año/ñandú 1.png", "a..b/c", "<b>.png"])
def test_plain_names_keep_their_place(name, tmp_path):
    assert uploading.placed(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../../b",
        "..",
        "a\\b",
        "C:/a",
        "a\0b",
        "a\nb",
        "x" * 256,
        "/".join("a" * 20),
    ],
)
def test_names_that_lead_elsewhere_are_refused(name, tmp_path):
    with pytest.raises(SourceError):
        uploading.placed(tmp_path, name)


def test_a_file_is_taken_under_a_number_that_was_given_alone(ask, studio):
    number = json.loads(ask(studio, "/upload", "POST")[2])["id"]
    place = studio.runs / ".studio" / "uploads" / number
    assert ask(studio, f"/upload/{number}?path=cats/a.png", "PUT", b"bytes")[0] == 200
    assert (place / "cats" / "a.png").read_bytes() == b"bytes"
    for path in ("..%2Fa.png", "%2Ftmp%2Fa.png", "cats%2F..%2F..%2Fb", "a%5C..%5Cb"):
        status, _, text = ask(studio, f"/upload/{number}?path={path}", "PUT", b"bytes")
        assert status == 400 and str(studio.runs) not in text
    assert ask(studio, f"/upload/{'0' * 16}?path=a.png", "PUT", b"bytes")[0] == 400
    assert ask(studio, "/upload/..?path=a.png", "PUT", b"bytes")[0] in (400, 404, 405)
    assert sorted(one.name for one in place.rglob("*") if one.is_file()) == ["a.png"]


@pytest.fixture
def sender(tmp_path):
    """(client, folder of uploads) of the addresses alone."""
    fastapi = pytest.importorskip("fastapi")
    client = pytest.importorskip("starlette.testclient").TestClient
    app = fastapi.FastAPI()
    studio = state.create(build(StudioSettings, {"folder": (str(tmp_path),), "runs": str(tmp_path / "runs")}))
    uploading.add(app, studio)
    return client(app), studio.own / "uploads"


def test_a_disk_that_takes_nothing_is_told_in_one_sentence(sender):
    client, uploads = sender
    uploads.write_text("in the way")
    answer = client.post("/upload")
    assert answer.status_code == 507 and "could not be written" in answer.json()["error"]


def test_a_name_that_is_taken_is_a_fault_of_the_name(sender):
    client, uploads = sender
    number = client.post("/upload").json()["id"]
    for path, status in (("a", 200), ("a/b", 400), ("a/b/c", 400), ("d/e", 200), ("d", 400), ("d/e", 200)):
        answer = client.put(f"/upload/{number}?path={path}", content=b"bytes")
        assert answer.status_code == status, path
        assert status == 200 or f"'{path}'" in answer.json()["error"]
    assert sorted(one.name for one in (uploads / number).iterdir()) == ["a", "d"]
