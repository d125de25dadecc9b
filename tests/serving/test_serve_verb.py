"""`vistazo serve` as people start it, with models that were really trained."""

import base64
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vistazo
from vistazo import cli

sys.path.insert(0, str(Path(__file__).parent))

from served_fakes import multipart, png, running
from trust import service

SOURCE = Path(vistazo.__file__).parents[1]


def start(*words, cwd, **environment):
    clean = {name: value for name, value in os.environ.items() if name != "VISTAZO_TOKEN"}
    return subprocess.Popen(
        [sys.executable, "-m", "vistazo", "serve", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=cwd, env={**clean, "PYTHONPATH": str(SOURCE), "LANGUAGE": "en", **environment},
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process at once there")
def test_it_serves_until_it_is_asked_to_end_and_answers_as_predict_does(trained, tmp_path, capsys):
    picture = tmp_path / "new.png"
    picture.write_bytes(png(90, 64))
    process = start(trained, "--port", 0, "--json", cwd=tmp_path)
    try:
        told = json.loads(process.stdout.readline())
        assert set(told) == {"url", "models", "pid"}
        assert told["pid"] == process.pid
        assert [(one["name"], one["task"]) for one in told["models"]] == [("run", "classification")]
        url = f"{told['url']}/v1/models/run/predict"
        request = urllib.request.Request(url, picture.read_bytes(), {"Content-Type": "image/png"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            answered = json.loads(reply.read())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert out == ""  # one JSON object on standard output, nothing else
    assert "curl" in err and url in err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGUAGE", "en")
        assert cli.main(["predict", str(trained), str(picture), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)["predictions"][0]
    (prediction,) = answered["predictions"]
    assert prediction["class"] == expected["class"]
    assert prediction["probability"] == pytest.approx(expected["probability"], abs=1e-5)
    assert prediction.keys() == expected.keys()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_open_address_needs_a_token_and_the_sentence_holds_the_command(verb, host):
    told = verb("serve", "some=model.vistazo", "--host", host, "--port", "8123", "--allow-host", "my.example")
    assert told.code == 1
    assert (
        f"vistazo serve some=model.vistazo --host {host} --port 8123 --allow-host my.example --token "
        in told.err
    )
    assert len(told.err.split("--token ")[1].split()[0]) >= 20


@pytest.mark.parametrize("token", ["", "short", "with a space", "contraseña-larga", "x" * 201])
def test_a_token_that_cannot_be_one_is_told_what_one_is_and_not_shown(verb, token):
    told = verb("serve", "some=model.vistazo", "--token", token)
    assert told.code == 2
    assert (
        f"8 to 200 letters, digits and signs, without spaces and accents; this one has {len(token)}"
        in told.err
    )
    assert not token or token not in told.err


def test_a_port_in_use_is_told_in_one_sentence(verb, trained):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = verb("servir", str(trained), "--puerto", str(taken.getsockname()[1]))
    assert told.code == 1
    assert "is in use" in told.err and "--port" in told.err


def test_what_cannot_be_served_is_told_before_anything_is_loaded(verb):
    assert verb("serve").code == 2
    told = verb("serve", "absent.vistazo")
    assert (told.code, "no model at" in told.err) == (1, True)


def test_an_index_that_is_not_there_or_that_nobody_searches_is_told_at_the_start(
    verb, trained, shelf, tmp_path
):
    told = verb("serve", str(trained), "--port", "0", "--index", str(tmp_path))
    assert told.code == 2 or told.code == 1
    assert f"no index of pictures in {tmp_path}" in told.err
    told = verb("serve", str(shelf["rows"]), "--port", "0", "--index", str(tmp_path))
    assert told.code == 2
    assert "none of these is one" in told.err


def test_the_words_of_help_are_there_in_both_languages(verb):
    told = verb("serve", "--help")
    assert told.code == 0
    for name in (
        "--host",
        "--anfitrion",
        "--token",
        "--ficha",
        "--allow-host",
        "--cola",
        "--limite-mb",
        "--hilos",
    ):
        assert name in told.out


# ---------------------------------------------------------------- rows, series, maps, similar pictures
@pytest.fixture(scope="module")
def several(trained, wardrobe, tmp_path_factory):
    """A server of three trained models, with an index of the pictures that the first learnt from."""
    place = tmp_path_factory.mktemp("several")
    draw = np.random.default_rng(0)
    size = draw.normal(size=80).round(3)
    lines = [f"{one},{'red' if one > 0 else 'blue'},{'yes' if one > 0.1 else 'no'}" for one in size]
    (place / "rows.csv").write_text("size,colour,bought\n" + "\n".join(lines) + "\n")
    days = np.datetime64("2024-01-01") + np.arange(90)
    sold = [f"{day},{20 + 5 * (at % 7) + int(draw.integers(0, 3))}" for at, day in enumerate(days)]
    (place / "shop.csv").write_text("day,sold\n" + "\n".join(sold) + "\n")
    small = {"threads": 1, "epochs": 1, "quiet": True}
    rows = vistazo.train(
        place / "rows.csv",
        target="bought",
        keep_columns="size",
        members=2,
        hidden="16",
        out=place / "rows",
        **small,
    )
    shop = vistazo.train(
        place / "shop.csv", task="forecasting", horizon=3, origins=2, out=place / "shop", **small
    )
    clothes = vistazo.load(trained)
    clothes.search(wardrobe, index=place / "index")
    models = {"clothes": trained, "rows": rows.model, "shop": shop.model}
    with running(models, index=str(place / "index")) as server:
        server.place = place
        yield server


def test_rows_are_answered_as_json_and_as_csv(several):
    rows = [
        {"size": 2.0, "colour": "red"},
        {"size": -2.0, "colour": "blue"},
        {"size": None, "colour": "green"},
    ]
    status, _, told = several.predict(
        json.dumps({"rows": rows}).encode(), "application/json", "rows", "?top=1"
    )
    assert status == 200
    assert [one["row"] for one in told["predictions"]] == [1, 2, 3]
    assert told["predictions"][2]["unknown"] == ["colour"]
    expected = list(vistazo.load(several.place / "rows").predict(rows, top=1))
    assert told["predictions"] == json.loads(json.dumps(expected))
    csv = b"size,colour\n2.0,red\n-2.0,blue\n"
    status, _, told = several.predict(csv, "text/csv", "rows")
    assert status == 200
    assert [one["class"] for one in told["predictions"]] == [one["class"] for one in expected[:2]]


def test_what_was_noticed_of_rows_is_told_in_the_language_that_was_asked_for(several):
    rows = [{"size": "much", "colour": "red", "shoes": 1}, {"size": 1.5, "colour": "red", "shoes": 2}]
    status, _, told = several.predict(json.dumps({"rows": rows}).encode(), "application/json", "rows")
    assert (status, len(told["predictions"])) == (200, 2)
    assert any("'size'" in note and "row 1: much" in note for note in told["notes"])
    assert any("shoes" in note for note in told["notes"])
    body, kind = multipart(
        ("march.csv", b"size,colour\n1.5,red\nmuch,red\n"), ("april.csv", b"size,colour\n1,red\n")
    )
    found = several.predict(body, kind, "rows", Accept_Language="es")
    (note,) = found[2]["notes"]
    assert note.startswith("march.csv: ") and "fila 3: much" in note
    assert "notes" not in several.predict(b"size,colour\n1,red\n", "text/csv", "rows")[2]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"rows": [{"nothing": "red"}]}', 422),
        (b'{"rows": []}', 422),
        (b'{"rows": [{"size": [1]}]}', 422),
        (b'{"rows": [{"size": "\\ud800", "colour": "red"}]}', 422),
        (b'{"rows": [1]}', 422),
        (b'{"rows": [{"size": Infinity}]}', 400),
        (b'{"rows": [{"size": ' + b"9" * 3000 + b', "colour": "red"}]}', 400),
        (b'{"rows": ' + b"[" * 50_000, 400),
        (b"null", 422),
    ],
)
def test_rows_that_cannot_be_read_are_told_without_a_place(several, body, status):
    found, _, told = several.predict(body, "application/json", "rows")
    assert found == status
    assert "/tmp" not in json.dumps(told) and "table.csv" not in json.dumps(told)


def test_a_table_of_very_many_rows_is_refused_unread(several):
    csv = b"size,colour\n" + b"2,red\n" * 100_002
    status, _, told = several.predict(csv, "text/csv", "rows")
    assert (status, "100000" in told["error"] or "100,000" in told["error"]) == (413, True)
    body, kind = multipart(("many.csv", csv))
    assert several.predict(body, kind, "rows")[0] == 413


def test_a_full_disk_is_told_to_come_back_later_and_spares_the_others(several, small_disk, monkeypatch):
    full = small_disk("4k")
    monkeypatch.setattr(tempfile, "tempdir", str(full))  # a real one, of 4 KB
    csv = b"size,colour\n" + b"2.0,red\n" * 1000
    status, headers, told = several.predict(csv, "text/csv", "rows", Accept_Language="es")
    assert (status, headers["retry-after"]) == (503, "30")
    assert told["error"] == "El servicio no pudo poner lo enviado en su disco. Vuelve a intentarlo más tarde."
    assert any("No space left" in line.get("message", "") for line in several.lines())
    row = json.dumps({"rows": [{"size": 2.0, "colour": "red"}]}).encode()
    assert several.predict(row, "application/json", "rows")[0] == 200  # needs no disk
    assert several.predict(png(), model="clothes")[0] == 200
    monkeypatch.undo()
    assert several.predict(csv, "text/csv", "rows")[0] == 200


def test_a_series_goes_on_from_json_from_csv_and_from_nothing(several):
    expected = list(vistazo.load(several.place / "shop").predict(steps=2))
    status, _, told = several.predict(b'{"steps": 2}', "application/json", "shop")
    assert (status, told["predictions"]) == (200, expected)
    lines = (several.place / "shop.csv").read_text().splitlines()
    status, _, told = several.predict("\n".join(lines).encode(), "text/csv", "shop", "?steps=2")
    assert (status, told["predictions"]) == (200, expected)
    rows = [dict(zip(("day", "sold"), line.split(","), strict=True)) for line in lines[1:]]
    body = json.dumps({"rows": [{**one, "sold": float(one["sold"])} for one in rows], "steps": 2}).encode()
    status, _, told = several.predict(body, "application/json", "shop")
    assert (status, told["predictions"]) == (200, expected)
    status, _, told = several.predict(b"day,other\n2024-01-01,3\n", "text/csv", "shop")
    assert status == 422
    assert "/tmp" not in told["error"]


def test_a_map_tells_where_an_answer_comes_from(several):
    status, _, told = several.ask(
        "POST", "/v1/models/clothes/explain", png(90, 40), {"Content-Type": "image/png"}
    )
    assert status == 200
    (one,) = told["explanations"]
    assert one["class"] == one["shown"][0]["class"]
    drawn = Image.open(io.BytesIO(base64.b64decode(one["heatmap"])))
    assert drawn.format == "PNG"
    assert drawn.size == Image.open(io.BytesIO(base64.b64decode(one["picture"]))).size
    other = one["shown"][1]["class"]
    status, _, told = several.ask(
        "POST",
        f"/v1/models/clothes/explain?class={other.replace(' ', '%20')}",
        png(90, 40),
        {"Content-Type": "image/png"},
    )
    assert told["explanations"][0]["shown"][0]["class"] == other
    for query in ("?class=nothing", "?method=nothing"):
        status, _, told = several.ask(
            "POST", f"/v1/models/clothes/explain{query}", png(90, 40), {"Content-Type": "image/png"}
        )
        assert status == 422 and "nothing" in told["error"]


def test_the_pictures_most_alike_are_named_without_their_place(several, clothes):
    out = io.BytesIO()
    Image.fromarray(clothes[0][5]).save(out, "PNG")
    sent = {"Content-Type": "image/png"}
    status, _, told = several.ask("POST", "/v1/models/clothes/similar?count=3", out.getvalue(), sent)
    assert status == 200, told
    near = told["results"][0]["neighbours"]
    assert len(near) == 3
    assert near[0]["distance"] == pytest.approx(0, abs=1e-5)
    assert [one["distance"] for one in near] == sorted(one["distance"] for one in near)
    assert all("/" not in one["file"] for one in near)


def test_what_a_model_cannot_do_is_not_there(several):
    csv = {"Content-Type": "text/csv"}
    assert several.ask("POST", "/v1/models/rows/explain", b"size\n1\n", csv)[0] == 404
    assert several.ask("POST", "/v1/models/shop/similar", b"size\n1\n", csv)[0] == 404
    told = {one["name"]: one for one in several.ask("GET", "/v1/models")[2]["models"]}
    assert (told["clothes"]["explain"], told["clothes"]["similar"]) == (True, True)
    assert (told["rows"]["explain"], told["shop"]["similar"]) == (False, False)
    assert several.ask("GET", "/v1/models")[2]["models"][0]["hash"] == vistazo_hash(several)


def vistazo_hash(several):
    import hashlib

    return hashlib.sha256(several.app.shelf.get("clothes").path.read_bytes()).hexdigest()


def test_the_description_tells_every_route_and_is_valid(several):
    told = several.ask("GET", "/openapi.json")[2]
    assert set(told["paths"]) == {
        "/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/{name}/predict", "/v1/models/{name}/explain",
        "/v1/models/{name}/similar",
    }  # fmt: skip
    contents = told["paths"]["/v1/models/{name}/predict"]["post"]["requestBody"]["content"]
    assert {"image/png", "multipart/form-data", "application/json", "text/csv"} <= set(contents)
    example = told["components"]["schemas"]["Pictures"]["example"]
    status, _, answered = several.predict(json.dumps(example).encode(), "application/json", "clothes")
    assert status == 200, answered


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what a process has mapped")
def test_an_exported_model_is_served_without_torch(trained, tmp_path):
    pytest.importorskip("onnxruntime")
    model = vistazo.load(trained)
    model.export(tmp_path / "m.onnx")
    process = start("m.onnx", "--port", 0, "--json", cwd=tmp_path)
    try:
        told = json.loads(process.stdout.readline())
        assert told["models"][0]["name"] == "m"
        request = urllib.request.Request(
            f"{told['url']}/v1/models/m/predict", png(90), {"Content-Type": "image/png"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            answered = json.loads(reply.read())
        pids = [process.pid, *service.children(process.pid)]
        mapped = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in pids)
    finally:
        process.kill()
        process.communicate()
    assert answered["hash"] == hashlib.sha256((tmp_path / "m.onnx").read_bytes()).hexdigest()
    assert "libtorch" not in mapped
    assert "libarrow" not in mapped
