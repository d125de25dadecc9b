"""The process that computes, beside the one that listens: what goes over, and what happens when either dies."""

import asyncio
import base64
import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from served_fakes import until
from trust import raw, service, uploads

from vistazo import platform
from vistazo.errors import BundleDamaged
from vistazo.serving.distant import ModelProcess
from vistazo.serving.frames import Frames, frame

pytestmark = pytest.mark.skipif(not platform.spare_core(), reason="one core: there is no such process")
PNG = {"Content-Type": "image/png"}
PREDICT = "/v1/models/clothes/predict"


def test_messages_survive_being_cut_anywhere():
    sent = [({"id": 1, "do": "open"}, []), ({"id": 2, "names": ["ñ"]}, [b"", b"\x00" * 300, b"ab"]), ({}, [])]
    whole = b"".join(frame(told, pieces) for told, pieces in sent)
    for step in (1, 7, 64, len(whole)):
        frames, found = Frames(), []
        for at in range(0, len(whole), step):
            found += frames.feed(whole[at : at + step])
        assert [(one.told, one.pieces) for one in found] == sent


def test_a_file_that_is_no_model_is_refused_as_here(tmp_path):
    path = tmp_path / "m.vistazo"
    path.write_bytes(b"nothing")
    one = ModelProcess.start(torch=True)
    try:
        with pytest.raises(BundleDamaged, match=r"m\.vistazo"):
            one.open(path, "", None)
    finally:
        one.close()
    assert one._process.returncode is not None


def test_it_ends_by_itself_when_it_is_let_go_of(shelf):
    async def main():
        one = ModelProcess.start(torch=True)
        await asyncio.to_thread(one.open, Path(shelf["clothes"]) / "model.vistazo", "", None)
        await one.attach()
        assert one.ready
        one.close()
        one.close()
        assert not one.ready
        await asyncio.wait_for(one.ended, 30)
        return one._process.returncode

    assert asyncio.run(main()) == 0, "it had to be killed"


@pytest.fixture(scope="module")
def apart(shelf, tmp_path_factory):
    one = service.start([f"clothes={shelf['clothes']}"], folder=tmp_path_factory.mktemp("apart"))
    yield one
    one.end()


def ask(one, body=None, headers=PNG, path=PREDICT):
    return raw.ask(one.port, "POST", path, uploads.picture() if body is None else body, headers)


def events(one):
    lines = [json.loads(line) for line in one.log.read_text().splitlines() if line.startswith("{")]
    return [line["message"] for line in lines if "message" in line]


def test_the_process_that_listens_holds_no_torch(apart):
    listening, computing = apart.pids
    assert "libtorch" not in Path(f"/proc/{listening}/maps").read_text()
    assert "libtorch" in Path(f"/proc/{computing}/maps").read_text()
    (line,) = [
        one for one in raw.ask(apart.port, "GET", "/metrics").body.decode().splitlines()
        if one.startswith("vistazo_models_resident_memory_bytes ")
    ]  # fmt: skip
    assert float(line.split()[1]) > 50e6


def test_its_answers_are_those_of_predict(apart, shelf, tmp_path):
    """Small ones that go over as files, large ones that go over as pixels, several of a form, what cannot be read."""
    import vistazo

    bodies = [uploads.picture(), uploads.picture(side=300), uploads.picture(form="JPEG")]
    paths = [tmp_path / str(at) for at in range(3)]
    for path, body in zip(paths, bodies, strict=True):
        path.write_bytes(body)
    wanted = [(one["class"], one["top"]) for one in vistazo.load(shelf["clothes"]).predict(paths)]

    def close_to(found):
        for (label, top), one in zip(wanted, found, strict=True):
            assert one["class"] == label
            assert [pair[0] for pair in one["top"]] == [pair[0] for pair in top]
            assert [pair[1] for pair in one["top"]] == pytest.approx([pair[1] for pair in top], abs=1e-5)

    close_to([ask(apart, body).json()["predictions"][0] for body in bodies])
    form, headers = raw.multipart(
        *((f"{at}.png", body) for at, body in enumerate(bodies)), ("no.png", b"text")
    )
    told = ask(apart, form, headers).json()
    close_to(told["predictions"])
    assert [one["file"] for one in told["unreadable"]] == ["no.png"]
    cut = bodies[0][:60]
    as_json = json.dumps({"pictures": [base64.b64encode(one).decode() for one in (bodies[0], cut)]}).encode()
    told = ask(apart, as_json, {"Content-Type": "application/json", "Accept-Language": "es"}).json()
    assert [one["class"] for one in told["predictions"]] == [wanted[0][0]]
    assert "dañad" in told["unreadable"][0]["reason"]
    assert ask(apart, cut).status == 422
    shown = ask(apart, path="/v1/models/clothes/explain").json()
    assert shown["explanations"][0]["class"] == wanted[0][0]
    refused = ask(apart, path="/v1/models/clothes/explain?class=nothing")
    assert refused.status == 422
    assert "nothing" in refused.json()["error"]


def test_killed_it_is_started_again_and_nobody_gets_a_wrong_answer(apart):
    wanted = ask(apart).json()["predictions"]
    seen, stop = [], threading.Event()

    def go_on():
        while not stop.is_set():
            reply = raw.ask_patiently(apart.port, PREDICT, uploads.picture(), PNG)
            seen.append((reply.status, reply.json().get("predictions"), reply.headers.get("retry-after")))

    threads = [threading.Thread(target=go_on) for _ in range(4)]
    for one in threads:
        one.start()
    try:
        for _ in range(3):
            assert until(lambda: seen and seen[-1][0] == 200)
            (computing,) = apart.pids[1:]
            os.kill(computing, signal.SIGKILL)
            assert until(lambda computing=computing: apart.pids[1:] not in ([computing], []))
            assert until(lambda: raw.ask(apart.port, "GET", "/readyz").status == 200)
            del seen[:]
    finally:
        stop.set()
        for one in threads:
            one.join()
    assert {status for status, _, _ in seen} <= {200, 503}
    assert all(predictions == wanted for status, predictions, _ in seen if status == 200)
    assert all(after for status, _, after in seen if status == 503)
    assert until(lambda: events(apart).count("the process of the models ended; it is started again") == 3)
    assert until(lambda: events(apart).count("the process of the models answers again") == 3)


def test_it_ends_with_the_process_that_listens(shelf, tmp_path):
    one = service.start([f"clothes={shelf['clothes']}"], folder=tmp_path)
    (computing,) = one.pids[1:]
    try:
        os.kill(one.pid, signal.SIGKILL)
        assert until(lambda: not platform.process_alive(computing), 20)
    finally:
        one.end()


def test_a_signal_to_both_ends_them_after_what_was_accepted(shelf, tmp_path):
    """Ctrl-C in a terminal and a stop by systemd reach every process at once."""
    one = service.start([f"clothes={shelf['clothes']}"], folder=tmp_path)
    statuses, begun = [], threading.Event()

    def go_on():
        for _ in range(100_000):
            try:
                statuses.append(raw.ask(one.port, "POST", PREDICT, uploads.picture(), PNG).status)
            except (OSError, AssertionError):  # nobody listens any more
                return
            begun.set()

    asking = threading.Thread(target=go_on)
    asking.start()
    try:
        assert begun.wait(30)
        for pid in one.pids:
            os.kill(pid, signal.SIGINT if sys.platform == "darwin" else signal.SIGTERM)
        assert one.process.wait(30) == 0
    finally:
        one.end()
        asking.join()
    assert set(statuses) <= {200, 503}
    assert statuses[0] == 200


def test_a_replaced_file_is_loaded_there_too(shelf, hostile_model, tmp_path):
    path = tmp_path / "m.vistazo"
    path.write_bytes((Path(shelf["clothes"]) / "model.vistazo").read_bytes())
    one = service.start([f"clothes={path}"], folder=tmp_path / "service")
    try:
        first = ask(one).json()["hash"]
        fresh = tmp_path / "fresh"
        fresh.write_bytes(b"damaged")
        fresh.replace(path)
        assert until(lambda: any("the old model stays" in told for told in events(one)))
        assert ask(one).json()["hash"] == first
        fresh.write_bytes((hostile_model / "model.vistazo").read_bytes())
        fresh.replace(path)
        assert until(lambda: ask(one).json()["hash"] != first)
        assert len(one.pids) == 2
    finally:
        one.end()


def test_a_file_that_is_gone_when_the_process_dies_costs_its_own_model_alone(shelf, hostile_model, tmp_path):
    path = tmp_path / "m.vistazo"
    good = (hostile_model / "model.vistazo").read_bytes()
    path.write_bytes(good)
    one = service.start([f"clothes={shelf['clothes']}", f"other={path}"], folder=tmp_path / "service")
    other = "/v1/models/other/predict"
    try:
        assert ask(one, path=other).status == 200
        path.write_bytes(b"damaged")
        os.kill(one.pids[1], signal.SIGKILL)
        assert until(lambda: ask(one).status == 200)
        assert ask(one, path=other).status == 503
        assert until(lambda: any("other cannot be loaded again" in told for told in events(one)))
        fresh = tmp_path / "fresh"
        fresh.write_bytes(good)
        fresh.replace(path)
        assert until(lambda: ask(one, path=other).status == 200)
    finally:
        one.end()


def test_a_file_that_is_replaced_as_the_process_dies_is_loaded_when_it_is_back(
    shelf, hostile_model, tmp_path
):
    models = [(Path(one) / "model.vistazo").read_bytes() for one in (shelf["clothes"], hostile_model)]
    path, fresh = tmp_path / "m.vistazo", tmp_path / "fresh"
    path.write_bytes(models[0])
    one = service.start([f"clothes={path}"], folder=tmp_path / "service")
    try:
        seen = [ask(one).json()["hash"]]
        for at in (1, 0, 1):
            os.kill(one.pids[1], signal.SIGKILL)
            assert until(lambda: ask(one).status == 503)
            fresh.write_bytes(models[at])
            fresh.replace(path)
            assert until(lambda: ask(one).json().get("hash", seen[-1]) != seen[-1])
            seen.append(ask(one).json()["hash"])
        assert seen[0] == seen[2] and seen[1] == seen[3]
        assert [told for told in events(one) if "Traceback" in told] == []
    finally:
        one.end()
