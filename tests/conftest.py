"""What every test shares: English, a cache of its own, and the real data where it is."""

import contextlib
import gzip
import http.server
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vistazo import cli, language, platform
from vistazo.remote import fetching

platform.wait_quietly()  # before anything imports torch, here and in every process the tests start

SOURCE = Path(cli.__file__).parents[1]


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Messages are tested in English unless a test speaks another language itself."""
    with language.speaking("en"):
        yield


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a probe measured is kept for the session, and never in the developer's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISTAZO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets (`VISTAZO_DATA`); the test is skipped where it is absent."""
    named = os.environ.get("VISTAZO_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "mnist").is_dir():
        pytest.skip("the real data is not on this machine; name its folder in VISTAZO_DATA")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a real file system of a few kilobytes: `small_disk("64k")`, `small_disk("64k", "nr_inodes=5")`."""
    mounted = []

    def mount(size: str, *options: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", ",".join((f"size={size}", *options)), "tmpfs", str(place)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("a small file system can be mounted by root on Linux only")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


@pytest.fixture
def read_only() -> Callable[[Path], None]:
    """Turn a file system that `small_disk` mounted read-only; that binds root too."""

    def remount(place: Path) -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True, capture_output=True)

    return remount


# ---------------------------------------------------------------- the verbs
# A run as small as it can be and still learn, with every choice of the probe made, so that it repeats to the bit.
# One thread: two of them wait for one another where other programs work on the same cores.
TINY = ("--filters=8,16", "--epochs=2", "--precision=fp32", "--layout=contiguous", "--threads=1")


@dataclass(frozen=True)
class Answer:
    """What a verb said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output; fails where anything else is there."""
        told = json.loads(self.out)
        assert isinstance(told, dict)
        assert len(self.out.splitlines()) == 1
        return told


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """The options of a tiny run."""
    return TINY


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder is a fresh one, so that `runs/` and `last` are this test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def verb(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Answer]:
    """Run `vistazo WORD ...` in this process: the same code without two seconds of importing torch."""
    monkeypatch.setenv("LANGUAGE", "en")  # the command line sets it; this puts it back

    def run(*words: object) -> Answer:
        capsys.readouterr()
        with language.speaking(language.current()):
            code = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return run


@pytest.fixture
def launch(in_tmp: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start `python -m vistazo WORD ...` as a process of its own; `env` adds to the environment."""
    started = []

    def start(*words: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "vistazo", *map(str, words)],
            cwd=in_tmp,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "LANGUAGE": "en", **(env or {})},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


# ---------------------------------------------------------------- pictures to learn from
@pytest.fixture(scope="session")
def clothes() -> tuple[np.ndarray, np.ndarray]:
    """400 of the demo's pictures, uint8 (400, 28, 28), and their labels 0 to 9."""
    folder = SOURCE / "vistazo" / "classification" / "demo"
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        pictures = np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 28, 28)
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read()[8:], np.uint8)
    return pictures[:400], labels[:400]


@pytest.fixture(scope="session")
def write_idx() -> Callable[..., Path]:
    """Write (pictures, labels) as the IDX pair 'train' or 't10k' of a folder, and give the folder."""

    def header(array: np.ndarray) -> bytes:
        return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)

    def write(folder: Path, part: str, pictures: np.ndarray, labels: np.ndarray) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in ((f"{part}-images-idx3", pictures), (f"{part}-labels-idx1", labels)):
            array = np.asarray(array, np.uint8)
            (folder / f"{name}-ubyte").write_bytes(header(array) + array.tobytes())
        return folder

    return write


@pytest.fixture(scope="session")
def wardrobe(
    clothes: tuple[np.ndarray, np.ndarray],
    write_idx: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A source with an official test part: IDX pairs of 300 pictures to train on and 100 to test with."""
    pictures, labels = clothes
    folder = tmp_path_factory.mktemp("sources") / "wardrobe"
    write_idx(folder, "train", pictures[:300], labels[:300])
    return write_idx(folder, "t10k", pictures[300:], labels[300:])


@pytest.fixture(scope="session")
def folder_of_pictures() -> Callable[..., Path]:
    """Write a folder per class with `each` coloured 20 × 24 pictures: classes differ in their colour."""

    def write(root: Path, *names: str, each: int = 12) -> Path:
        for at, name in enumerate(names):
            (root / name).mkdir(parents=True)
            for number in range(each):
                noise = np.random.default_rng((at, number)).integers(0, 90, (20, 24, 3), np.uint8)
                noise[..., at % 3] += 120
                Image.fromarray(noise).save(root / name / f"{chr(97 + number // 9)}{number}x.png")
        return root

    return write


@pytest.fixture(scope="session")
def trained(wardrobe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on `wardrobe`, to be read and never written to."""
    place = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch, language.speaking("en"):
        patch.chdir(place)
        patch.setenv("LANGUAGE", "en")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert cli.main(["train", str(wardrobe), *TINY, "--out", "run"]) == 0
    return place / "run"


@pytest.fixture
def earlier(trained: Path, in_tmp: Path) -> Iterator[Path]:
    """A copy of a finished run in `runs/earlier`; whatever the test does, its files stay as they are."""
    copy = in_tmp / "runs" / "earlier"
    shutil.copytree(trained, copy)

    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in copy.rglob("*") if path.is_file()}

    before = contents()
    yield copy
    assert contents() == before


# ---------------------------------------------------------------- what photographs are like
def _photographs(count: int, *, height: int = 96, width: int = 128, seed: int = 0) -> np.ndarray:
    """Pictures as different from one another as photographs: (count, height, width, 3) uint8.

    Noise whose strength falls with its frequency, as in nature (Field 1987), and a few things with edges before it.
    """
    random = np.random.default_rng(seed)
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    falling = 1 / np.maximum(np.hypot(down, right), 1 / max(height, width))
    found = np.empty((count, height, width, 3), np.uint8)
    rows, columns = np.mgrid[:height, :width]
    for at in range(count):
        waves = random.normal(size=(4, height, width // 2 + 1)) + 1j * random.normal(
            size=(4, height, width // 2 + 1)
        )
        fields = np.fft.irfft2(waves * falling, s=(height, width))
        fields /= fields.std((1, 2), keepdims=True)
        picture = 110 + 45 * fields[:1] + 12 * fields[1:]
        for _ in range(4):
            y, x, size = (
                random.integers(0, height),
                random.integers(0, width),
                random.integers(height // 16 + 1, height // 3),
            )
            inside = np.hypot(rows - y, (columns - x) * random.uniform(0.5, 2)) < size
            picture[:, inside] += random.uniform(-70, 70, (3, 1))
        found[at] = np.clip(picture, 0, 255).transpose(1, 2, 0).astype(np.uint8)
    return found


def _encoded(pixels: np.ndarray, form: str = "JPEG", **options: Any) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, form, **options)
    return sink.getvalue()


@pytest.fixture(scope="session")
def photographs() -> Callable[..., np.ndarray]:
    return _photographs


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    """An encoded picture: `encoded(pixels, "JPEG", quality=50)`."""
    return _encoded


# ---------------------------------------------------------------- a web server
class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves what `Web.put` says, with the faults it was told to have."""

    web: "Web"

    def do_GET(self) -> None:
        self.web.asked.append((self.path, dict(self.headers)))
        how = self.web.files.get(self.path)
        if how is None:
            self.send_error(404)
        elif how.get("codes"):
            self.send_error(how["codes"].pop(0))
        elif "to" in how:
            self.send_response(302)
            self.send_header("Location", how["to"])
            self.end_headers()
        elif how.get("etag") and self.headers.get("If-None-Match") == how["etag"]:
            self.send_response(304)
            self.end_headers()
        else:
            self._send(how)

    def _send(self, how: dict[str, Any]) -> None:
        content, first = how["content"], 0
        asked = self.headers.get("Range")
        valid = self.headers.get("If-Range") in (None, how.get("etag"))
        if asked and valid and how.get("ranges", True):
            first = int(asked.removeprefix("bytes=").partition("-")[0])
            if first >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if how.get("etag"):
            self.send_header("ETag", how["etag"])
        if how.get("length", True):
            self.send_header("Content-Length", str(len(content) - first + how.get("lie", 0)))
        for name, value in how.get("headers", {}).items():
            self.send_header(name, value)
        self.end_headers()
        body = content[first:]
        if how.get("cuts"):
            body = body[: how["cuts"].pop(0)]
        if "then" in how:  # another file from now on
            self.web.files[self.path] = how["then"]
        with contextlib.suppress(OSError):  # the client has gone
            for at in range(0, len(body), 1 << 16):
                self.wfile.write(body[at : at + (1 << 16)])
                time.sleep(how.get("pause", 0))

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Web:
    """A server on a real socket. asked: (path, headers) of every request."""

    def __init__(self, address: str) -> None:
        self.url = address
        self.files: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    def put(self, path: str, content: bytes = b"", **how: Any) -> str:
        """Serve `content` at that path and give its address.

        etag, headers; ranges=False ignores Range; cuts: bytes after which each answer breaks off; codes: errors that
        come first; lie: bytes promised beyond those sent; length=False says none; to: a redirect; then: what the path
        serves after the first answer; pause: seconds between 64 KB.
        """
        self.files[path] = {"content": content, **how}
        return self.url + path


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A web server that lasts for one test; no proxy stands between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = type("Handler", (_Handler,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.web = Web(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield handler.web
        server.shutdown()
        thread.join()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another at once."""
    monkeypatch.setattr(fetching, "PAUSE", 0.001)
