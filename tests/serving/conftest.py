"""Servers that the tests of trust speak to: real processes with tiny models, on ports of 127.0.0.1."""

import contextlib
import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vistazo import cli, language

sys.path.insert(
    0, str(Path(__file__).parent)
)  # so that `from trust import raw` is found, here and in benchmarks

from trust import raw, service, uploads

LIMIT_MB = 1
TOKEN = "a-token-of-trust-0123456789"


@pytest.fixture(scope="session")
def shelf(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three tiny models, one a task: {"clothes": pictures, "rows": a table, "shop": a series}; only to be read."""
    place = tmp_path_factory.mktemp("shelf")
    draw = np.random.default_rng(0)
    size = draw.normal(size=90).round(3)
    lines = [f"{one},{'red' if one > 0 else 'blue'},{'yes' if one + 0.2 * two > 0 else 'no'}"
             for one, two in zip(size, draw.normal(size=90), strict=True)]  # fmt: skip
    (place / "rows.csv").write_text("size,colour,bought\n" + "\n".join(lines) + "\n")
    days = np.datetime64("2024-01-01") + np.arange(90)
    sold = [f"{day},{20 + 5 * (at % 7) + int(draw.integers(0, 3))}" for at, day in enumerate(days)]
    (place / "shop.csv").write_text("day,sold\n" + "\n".join(sold) + "\n")
    small = ("--threads=1", "--epochs=1", "--quiet")
    with pytest.MonkeyPatch.context() as patch, language.speaking("en"):
        patch.chdir(place)
        patch.setenv("LANGUAGE", "en")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:
            rows = [
                "train",
                "rows.csv",
                "--target=bought",
                "--members=2",
                "--hidden=16",
                *small,
                "--out=rows",
            ]
            assert cli.main(rows) == 0, told.getvalue()
            shop = [
                "train",
                "shop.csv",
                "--task=forecasting",
                "--window=7",
                "--horizon=3",
                "--origins=2",
                *small,
            ]
            assert cli.main([*shop, "--out=shop"]) == 0, told.getvalue()
    return {"clothes": trained, "rows": place / "rows", "shop": place / "shop"}


@pytest.fixture(scope="session")
def hostile_name() -> str:
    """A class whose name is markup, a path and a quotation at once."""
    return '<img src=x onerror="canary=1">'


@pytest.fixture(scope="session")
def hostile_model(
    folder_of_pictures, hostile_name: str, tiny: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run on pictures of two classes with hostile names."""
    place = tmp_path_factory.mktemp("hostile")
    folder_of_pictures(place / "d", "one", "two", each=12)
    manifest = ["path,label"]
    quoted = '"' + hostile_name.replace('"', '""') + '"'
    for path in sorted((place / "d").rglob("*.png")):
        label = quoted if path.parent.name == "one" else "../../../etc/passwd"
        manifest.append(f"{path.relative_to(place / 'd').as_posix()},{label}")
    (place / "d" / "labels.csv").write_text("\n".join(manifest) + "\n")
    with pytest.MonkeyPatch.context() as patch, language.speaking("en"):
        patch.chdir(place)
        patch.setenv("LANGUAGE", "en")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:
            words = ["train", "d/labels.csv", *tiny, "--size=20", "--epochs=1", "--out", "run", "--quiet"]
            assert cli.main(words) == 0, told.getvalue()
    return place / "run"


@pytest.fixture(scope="session")
def served(shelf: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[service.Service]:
    """A server with three models and a limit of 1 MB. At its end it has opened no connection."""
    place = tmp_path_factory.mktemp("served")
    models = [f"{name}={path}" for name, path in shelf.items()]
    one = service.start(models, "--limit-mb", str(LIMIT_MB), folder=place, watched=True)
    yield one
    running = one.process.poll() is None
    one.end()
    assert running, f"the server had ended by itself: {one.log.read_text()[-2000:]}"
    assert not one.outgoing.exists(), one.outgoing.read_text()


@pytest.fixture(scope="session")
def guarded(
    shelf: dict[str, Path], hostile_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[service.Service]:
    """A server that wants a token, with a model of hostile names beside the other."""
    place = tmp_path_factory.mktemp("guarded")
    models = [f"clothes={shelf['clothes']}", f"hostile={hostile_model}"]
    one = service.start(models, folder=place, env={"VISTAZO_TOKEN": TOKEN})
    yield one
    one.end()


@pytest.fixture(scope="session")
def traced(shelf: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[service.Service]:
    """A server under strace: `traced.temporary.parent / "trace"` tells every connection and every byte read."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed")
    place = tmp_path_factory.mktemp("traced")
    calls = "trace=connect,sendto,sendmsg,sendmmsg,accept,accept4,read,readv,recvfrom,recvmsg"
    under = [program, "-f", "-qq", "-yy", "-s", "0", "-e", calls, "--seccomp-bpf", "-o", str(place / "trace")]
    # strace may be there without the right to trace
    try:
        models = [f"{name}={path}" for name, path in shelf.items()]
        one = service.start(models, "--limit-mb", str(LIMIT_MB), folder=place, under=under)
    except AssertionError:
        if "Operation not permitted" in (place / "server.log").read_text():
            pytest.skip("strace may not trace here")
        raise
    yield one
    one.end()


@pytest.fixture(scope="session")
def good_picture() -> bytes:
    """A PNG of 28 × 28."""
    return uploads.picture(7)


@pytest.fixture
def same_answer(served: service.Service, good_picture: bytes) -> Iterator[None]:
    """Before and after the test a good request is answered, and answered the same."""

    def answer() -> object:
        path = "/v1/models/clothes/predict"
        reply = raw.ask_patiently(served.port, path, good_picture, {"Content-Type": "image/png"})
        assert reply.status == 200, (reply.status, reply.body[:500])
        return json.dumps(reply.json()["predictions"])

    before = answer()
    yield
    assert answer() == before


@pytest.fixture(scope="session")
def its_token() -> str:
    """The token of `guarded`."""
    return TOKEN
