"""From an address to a path or a folder: copied once, asked again, served without a network, never telling a secret."""

import io
import json
import os
import threading
import time
import zipfile

import fsspec
import pytest

from vistazo.errors import MissingExtra, SourceDamaged, SourceError, SourceMissing
from vistazo.remote import copies, fetching, folders, opening
from vistazo.remote.folders import Folder
from vistazo.remote.opening import beside, content, opened

pytestmark = pytest.mark.usefixtures("hurried")


@pytest.fixture(autouse=True)
def own_copies(tmp_path, monkeypatch):
    monkeypatch.setenv("VISTAZO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(opening, "_open", {})
    monkeypatch.setattr(opening, "_asked", {})
    return tmp_path / "cache"


@pytest.fixture
def said():
    return []


@pytest.fixture
def find(said):
    """Open an address as a new command would."""
    return lambda url: opened(url, say=said.append, anew=True)


@pytest.fixture
def memory():
    """fsspec's file system in memory, empty again afterwards."""
    fs = fsspec.filesystem("memory")
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


# ---------------------------------------------------------------- files of the web
def test_a_file_of_the_web_is_copied_once(web, find, said, own_copies):
    url = web.put("/d/a b.zip", b"one", etag='"1"')
    web.files["/d/a%20b.zip"] = web.files.pop("/d/a b.zip")
    path = find(url)
    assert (path.read_bytes(), path.name) == (b"one", "a b.zip")
    assert said == [f"fetching {web.url}/d/a b.zip (3 bytes)"]
    assert find(url) == path
    assert web.asked[-1][1]["If-None-Match"] == '"1"'
    assert len(said) == 1


@pytest.mark.parametrize(
    "how", [{"etag": '"1"'}, {"headers": {"Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}}, {}]
)
def test_what_is_the_same_is_not_fetched_even_where_the_server_sends_it_again(web, find, how):
    url = web.put("/a.zip", b"one", **how)
    find(url)
    web.files["/a.zip"].pop("etag", None)
    if "etag" in how:
        web.files["/a.zip"]["headers"] = {"ETag": '"1"'}  # no condition is understood
    asked = len(web.asked)
    find(url)
    assert len(web.asked) == asked + 1


def test_what_changed_is_fetched_anew_and_the_old_copy_stays(web, find):
    url = web.put("/a.zip", b"one", etag='"1"')
    old = find(url)
    web.put("/a.zip", b"two", etag='"2"')
    new = find(url)
    assert (old.read_bytes(), new.read_bytes()) == (b"one", b"two")
    assert find(url) == new


def test_within_one_command_it_stays_what_it_was(web, find, said):
    url = web.put("/a.zip", b"one", etag='"1"')
    path = find(url)
    web.put("/a.zip", b"two", etag='"2"')
    assert opened(url, say=said.append) == path


def test_without_a_network_the_copy_serves(web, find, said):
    url = web.put("/a.zip", b"one", etag='"1"')
    path = find(url)
    web.put("/a.zip", codes=[503] * 9)
    assert find(url) == path
    day = time.strftime("%Y-%m-%d")
    assert said[-1] == f"{url}: the server answers 503; the copy of {day} is used."


def test_a_copy_that_was_cut_short_is_made_anew(web, find):
    url = web.put("/a.zip", b"one", etag='"1"')
    path = find(url)
    path.write_bytes(b"on")
    assert find(url).read_bytes() == b"one"


def test_a_broken_connection_is_gone_on_with(web, find):
    data = os.urandom(200_000)
    url = web.put("/a.zip", data, etag='"1"')
    web.files["/a.zip"]["cuts"] = [200_000, 50_000]  # the first answer is only looked at
    assert find(url).read_bytes() == data
    assert web.asked[-1][1]["Range"] == "bytes=50000-"


def test_a_page_is_no_data(web, find):
    url = web.put("/flores", b"<html>", headers={"Content-Type": "text/html; charset=utf-8"})
    with pytest.raises(
        SourceError, match="is a page to look at and no data. Give the address that its download itself"
    ):
        find(url)


def test_nothing_there(web, find):
    with pytest.raises(
        SourceMissing, match=r"/a\.zip could not be fetched: the server does not have it \(404\)\. Check"
    ):
        find(web.url + "/a.zip")


def test_no_secret_is_told_or_stored(web, find, said, own_copies):
    web.put("/a.zip?key=hidden&download=1", b"one", etag='"1"')
    url = web.url.replace("//", "//ana:se%40creto@") + "/a.zip?key=hidden&download=1"
    find(url)
    told = f"{web.url}/a.zip?key=...&download=1"
    assert said == [f"fetching {told} (3 bytes)"]
    everything = "".join(path.read_text() for path in own_copies.rglob("*") if path.is_file())
    assert "creto" not in everything + str(list(own_copies.rglob("*")))
    assert "hidden" not in everything
    assert json.loads(next(own_copies.rglob(".about.json")).read_text())["url"] == told


def test_a_run_that_goes_on_finds_the_copy_by_the_address_that_was_kept(web, find, monkeypatch):
    web.put("/a.zip?key=hidden", b"one", etag='"1"')
    path = find(web.url + "/a.zip?key=hidden")
    monkeypatch.setattr(opening, "_open", {})
    asked = len(web.asked)
    assert find(web.url + "/a.zip?key=...") == path
    assert len(web.asked) == asked
    with pytest.raises(
        SourceMissing, match="held a key, which is not kept, and there is no one copy of the file"
    ):
        find(web.url + "/b.zip?key=...")


def test_copies_of_two_keys_are_never_taken_for_one_another(web, find):
    one, two = web.put("/a.zip?id=1", b"one", etag='"1"'), web.put("/a.zip?id=2", b"two", etag='"2"')
    assert (find(one).read_bytes(), find(two).read_bytes()) == (b"one", b"two")
    with pytest.raises(SourceMissing, match="there is no one copy of the file"):
        find(web.url + "/a.zip?id=...")
    with pytest.raises(SourceMissing, match="does not have it"):
        find(web.url + "/a.zip?id=3")


def test_two_threads_copy_once(web, find):
    url = web.put("/a.zip", b"one" * 1000, pause=0.05)
    found = []
    threads = [threading.Thread(target=lambda: found.append(find(url))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert sum("Range" not in headers for _, headers in web.asked) == 3  # two looks, one fetching


# ---------------------------------------------------------------- what fsspec speaks
def test_a_file_address_is_the_file_itself(tmp_path, find):
    (tmp_path / "mis fotos").mkdir()
    assert find(f"file://{tmp_path}/mis%20fotos") == tmp_path / "mis fotos"
    assert find(f"local://{tmp_path}") == tmp_path
    with pytest.raises(SourceMissing, match="There is nothing at file:"):
        find(f"file://{tmp_path}/nada")


def test_a_file_elsewhere_is_copied_once_and_anew_when_it_changed(memory, find, said):
    memory.pipe("/set/a.zip", b"one")
    path = find("memory://set/a.zip")
    assert (path.read_bytes(), path.name) == (b"one", "a.zip")
    assert find("memory://set/a.zip") == path
    assert said == ["fetching memory://set/a.zip (3 bytes)"]
    memory.pipe("/set/a.zip", b"two")
    assert find("memory://set/a.zip").read_bytes() == b"two"


def test_a_folder_elsewhere_is_read_where_it_is(memory, find):
    memory.pipe("/set/a/1.png", b"one")
    memory.pipe("/set/b/2.png", b"")
    folder = find("memory://set")
    assert isinstance(folder, Folder)
    assert folder.listing()[0] == {"a/1.png": 3, "b/2.png": 0}
    assert folder.read("a/1.png", 10) == b"one"
    assert folder.read("a/1.png", 1) == b"on"
    assert folder.read("b/2.png", 10, 0) == b""
    with pytest.raises(FileNotFoundError):
        folder.read("a/2.png", 10)


@pytest.fixture
def packed():
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("in/a/1.png", b"one")
        archive.writestr("out/2.png", b"two")
    return sink.getvalue()


@pytest.mark.parametrize("chain", ["zip::{}", "simplecache::{}", "zip::filecache::{}"])
def test_a_chain_that_means_the_whole_archive_is_the_archive(web, find, packed, chain):
    assert find(chain.format(web.put("/a.zip", packed))).read_bytes() == packed


def test_a_folder_in_an_archive_of_the_web(web, find, packed):
    folder = find("zip://in::" + web.put("/a.zip", packed))
    assert folder.listing()[0] == {"a/1.png": 3}
    assert folder.read("a/1.png", 9) == b"one"
    assert folder.url == f"zip://in::{web.url}/a.zip"


@pytest.mark.parametrize(
    ("url", "error", "sentence"),
    [
        (
            "nonsense://x/y",
            SourceError,
            r"begins with nonsense://, which nobody speaks here\. Known are https, s3",
        ),
        ("memory://nada/x", SourceMissing, r"There is nothing at memory://nada/x\. Check the path"),
    ],
)
def test_what_cannot_be_opened_says_so(find, url, error, sentence):
    with pytest.raises(error, match=sentence):
        find(url)


@pytest.mark.parametrize(
    ("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs"), ("hf", "huggingface_hub")]
)
def test_a_missing_package_is_told_with_its_command(find, scheme, package):
    try:
        __import__(package)
    except ImportError:
        with pytest.raises(
            MissingExtra, match=rf"with {scheme}:// need one more package: pip install {package}$"
        ):
            find(f"{scheme}://bucket/folder")
    else:
        pytest.skip(f"{package} is installed")


# ---------------------------------------------------------------- faults
class Shaky:
    """A file system whose every call fails so many times first."""

    def __init__(self, fs, faults):
        self.fs, self.faults = fs, faults

    def __getattr__(self, name):
        def call(*args, **rest):
            if self.faults:
                raise self.faults.pop(0)
            return getattr(self.fs, name)(*args, **rest)

        return call


def test_faults_that_pass_are_sat_out_and_others_told_without_secrets(memory):
    memory.pipe("/set/1.png", b"one")
    fault = ConnectionError("s3://key:secret@bucket?token=hidden is down.")
    shaky = Folder("memory://set", Shaky(memory, [fault] * 2), "/set")
    assert shaky.read("1.png", 10) == b"one"
    with pytest.raises(
        SourceDamaged, match=r"it could not be fetched: s3://bucket\?token=\.\.\. is down"
    ) as told:
        Folder("memory://set", Shaky(memory, [fault] * 9), "/set").read("1.png", 10)
    assert "secret" not in str(told.value) + "hidden"[:0]
    with pytest.raises(SourceDamaged, match=r"memory://set cannot be read \(it could not be fetched: "):
        Folder("memory://set", Shaky(memory, [fault] * 9), "/set").listing()
    with pytest.raises(SourceDamaged, match=r"memory://set cannot be read \(you may not read it\)"):
        Folder("memory://set", Shaky(memory, [PermissionError()] * 9), "/set").listing()


def test_a_copy_goes_on_after_a_break(memory, tmp_path):
    data = os.urandom(3 << 20)
    memory.pipe("/a.bin", data)
    (tmp_path / "a.bin.00000000.part").write_bytes(data[:1000])
    opens = []

    class Breaking(io.BytesIO):
        def read(self, size=-1):
            if len(opens) == 1 and self.tell() > 1 << 20:
                raise OSError
            return super().read(size)

    class Files:
        def open(self, *args):
            opens.append(args)
            return Breaking(data)

    folders.copy(Files(), "/a.bin", tmp_path / "a.bin", version="0" * 32, size=len(data), say=print)
    assert (tmp_path / "a.bin").read_bytes() == data
    assert len(opens) == 2
    with pytest.raises(SourceDamaged, match=r"b\.bin changed while it was copied"):
        folders.copy(memory, "/a.bin", tmp_path / "b.bin", version="0" * 32, size=1 << 20, say=print)


# ---------------------------------------------------------------- names in a folder
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("a/1.png", "a/1.png"),
        ("./a/1.png", "a/1.png"),
        ("a\\1.png", "a/1.png"),
        ("", None),
        ("/etc/passwd", None),
        ("C:\\x.png", None),
        ("https://other/x.png", None),
    ],
)
def test_names_that_a_table_uses(name, meant):
    assert Folder("memory://set", None, "").locate(name) == meant


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "..\\x.png"])
def test_no_name_leads_out_of_the_folder(name):
    with pytest.raises(SourceDamaged, match=r"leads out of memory://set"):
        Folder("memory://set", None, "").locate(name)


def test_the_folder_beside_a_copy_is_known(web, memory, find, tmp_path):
    url = web.put("/d/labels.csv?k=1", b"path,label", etag='"1"')
    web.put("/d/a%20b.png", b"one")
    folder = beside(find(url))
    assert folder.url == web.url + "/d/"
    assert folder.read("a b.png", 10) == b"one"
    memory.pipe("/set/labels.csv", b"x")
    memory.pipe("/set/1.png", b"two")
    assert beside(find("memory://set/labels.csv")).read("1.png", 10) == b"two"
    assert beside(tmp_path / "labels.csv") is None
    (tmp_path / "labels.csv").write_text("x")
    assert beside(find(f"file://{tmp_path}/labels.csv")) is None


def test_the_content_of_one_file(web, memory):
    memory.pipe("/1.png", b"one")
    assert content("memory://1.png", 10) == b"one"
    assert content(web.put("/1.png", b"one", cuts=[2]), 10) == b"one"
    assert content(web.put("/2.png", b"four"), 2) == b"fou"
    with pytest.raises(SourceMissing, match=r"the server does not have it \(404\)"):
        content(web.url + "/3.png", 10)


def test_the_origin_of_a_copy(web, find, tmp_path):
    path = find(web.put("/a.zip?k=1", b"one"))
    assert copies.origin(path) == f"{web.url}/a.zip?k=..."
    assert copies.origin(tmp_path / "a.zip") is None
    assert fetching.TRIES > 1
