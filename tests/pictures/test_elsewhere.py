"""Sources at an address: the same rows and pixels as the same source on this computer."""

import io
import zipfile

import fsspec
import numpy as np
import pytest
from PIL import Image

from vistazo.errors import SourceDamaged, TooFewExamples
from vistazo.pictures import decoding
from vistazo.pictures.elsewhere import Elsewhere
from vistazo.pictures.index import write_index
from vistazo.pictures.sources import describe, iterate_files, read_source
from vistazo.remote import opening

pytestmark = pytest.mark.usefixtures("hurried")

NAMES = [f"{name}/{n}.png" for name in ("gatos", "perros") for n in range(3)]


@pytest.fixture(autouse=True)
def own_copies(tmp_path, monkeypatch):
    monkeypatch.setenv("VISTAZO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(opening, "_open", {})
    monkeypatch.setattr(opening, "_asked", {})
    return tmp_path / "cache"


@pytest.fixture
def memory():
    fs = fsspec.filesystem("memory")
    yield fs
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


@pytest.fixture
def fill(memory, picture):
    """Put pictures of these names below memory://set."""

    def put(*names, extra=None):
        for at, name in enumerate(names):
            memory.pipe(f"/set/{name}", picture(at))
        for name, content in (extra or {}).items():
            memory.pipe(f"/set/{name}", content)
        return "memory://set"

    return put


def zipped(picture, names):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for at, name in enumerate(names):
            archive.writestr(name, picture(at))
    return sink.getvalue()


def pixels(source):
    loaded = decoding.load(
        source.store, np.arange(len(source.store)), height=6, width=6, channels=3, threads=2
    )
    return {
        source.index.where[row]: one.tobytes() for row, one in zip(loaded.rows, loaded.pixels, strict=True)
    }


@pytest.fixture
def here(write, read, tmp_path):
    """The same pictures in a folder of this computer, read."""
    return read(write(tmp_path / "here", *NAMES))


# ---------------------------------------------------------------- a folder
def test_a_folder_is_read_where_it_is(fill, here, own_copies):
    source = read_source(fill(*NAMES), classes_file=None)
    assert source.index.where == here.index.where
    assert source.index.classes == here.index.classes
    assert (source.index.source, source.index.kind) == ("memory://set", "remote")
    assert source.notes[0] == "Read from memory://set as it is needed."
    assert pixels(source) == pixels(here)
    assert not own_copies.exists()


def test_what_is_hidden_or_no_picture_is_told_as_ever(fill):
    extra = {"gatos/.hidden.png": b"", "__MACOSX/x.png": b"", "gatos/notes.txt": b"x", "loose.png": b"x"}
    source = read_source(fill(*NAMES, extra=extra), classes_file=None)
    assert source.index.where == tuple(NAMES)
    assert "Pictures outside any class folder, not used: 1." in source.notes
    assert "Files that are not pictures, not used: .txt (1)." in source.notes


def test_parts_and_wrappers_mean_the_same(fill):
    names = [f"todo/{part}/{name}" for part in ("train", "test") for name in NAMES]
    source = read_source(fill(*names), classes_file=None)
    assert (len(source.index.rows("train")), len(source.index.rows("test"))) == (6, 6)


def test_a_folder_without_pictures_or_classes_says_so(fill):
    with pytest.raises(TooFewExamples, match=r"memory://set has 2 pictures and no class folders"):
        read_source(fill("1.png", "2.png"), classes_file=None)


def test_what_cannot_be_read_is_named_and_left_out(fill, memory, monkeypatch):
    source = read_source(
        fill(*NAMES, extra={"gatos/empty.png": b"", "gatos/bad.png": b"bad"}), classes_file=None
    )
    memory.rm("/set/perros/0.png")
    monkeypatch.setattr("vistazo.pictures.elsewhere.MOST_BYTES", 100_000)
    memory.pipe("/set/perros/1.png", bytes(200_000))
    loaded = decoding.load(source.store, np.arange(8), height=6, width=6, channels=3, threads=2)
    assert {one.where: one.reason for one in loaded.broken} == {
        "gatos/empty.png": "the file is empty",
        "gatos/bad.png": "it is no picture in a known format",
        "perros/0.png": "the file does not exist",
        "perros/1.png": "the file is larger than 256 MB",
    }


def test_several_pictures_are_asked_for_at_once(fill, monkeypatch):
    import threading

    source = read_source(fill(*NAMES), classes_file=None)
    together = threading.Barrier(6, timeout=20)
    plain = Elsewhere.read
    monkeypatch.setattr(Elsewhere, "read", lambda self, row: together.wait() is not None and plain(self, row))
    decoding.load(source.store, np.arange(6), height=6, width=6, channels=3, threads=1)


def test_the_index_of_a_run_finds_its_pictures_again(fill, tmp_path, here):
    write_index(read_source(fill(*NAMES), classes_file=None).index, tmp_path / "index.parquet")
    assert pixels(read_source(tmp_path / "index.parquet", classes_file=None)) == pixels(here)


# ---------------------------------------------------------------- kinds that are copied first
def test_an_archive_of_the_web(web, picture, here, tmp_path):
    url = web.put("/d/fotos.zip?key=s3kret", zipped(picture, NAMES), etag='"1"')
    source = read_source(url, classes_file=None)
    assert (source.index.source, source.index.kind) == (f"{web.url}/d/fotos.zip?key=...", "archive")
    assert source.notes[0] == f"Read from a copy of {web.url}/d/fotos.zip?key=...."
    assert pixels(source) == pixels(here)
    write_index(source.index, tmp_path / "index.parquet")
    assert b"s3kret" not in (tmp_path / "index.parquet").read_bytes()
    assert pixels(read_source(tmp_path / "index.parquet", classes_file=None)) == pixels(here)


@pytest.mark.parametrize(
    "chain", ["zip::memory://set/a.zip", "memory://set/a.zip", "zip://::memory://set/a.zip"]
)
def test_an_archive_elsewhere(fill, picture, here, chain):
    fill(extra={"a.zip": zipped(picture, NAMES)})
    assert pixels(read_source(chain, classes_file=None)) == pixels(here)


def test_numbers_in_a_folder_elsewhere(memory, idx_folder, read, tmp_path):
    folder = idx_folder(tmp_path / "idx")
    for file in folder.iterdir():
        memory.pipe(f"/set/{file.name}", file.read_bytes())
    said = []
    source = read_source("memory://set", classes_file=None, say=said.append)
    assert source.index.where == read(folder).index.where
    assert source.index.kind == "idx"
    assert said[0].startswith("fetching memory://set (")
    assert source.notes[0] == "Read from a copy of memory://set."
    said.clear()
    read_source("memory://set", classes_file=None, say=said.append)
    assert said == []
    labels = memory.cat_file("/set/train-labels-idx1-ubyte")
    memory.pipe("/set/train-labels-idx1-ubyte", labels[:-2] + labels[:-3:-1])
    opening._open.clear()
    changed = read_source("memory://set", classes_file=None, say=said.append)
    assert len(said) == 1
    assert (changed.index.label != source.index.label).any()


@pytest.mark.parametrize(
    ("extra", "copied"), [("gatos/0.xml", True), ("gatos/0.txt", True), ("gatos/notes.txt", False)]
)
def test_a_folder_with_boxes_is_read_from_a_copy(fill, own_copies, extra, copied):
    read_source(fill(*NAMES, extra={extra: b""}), classes_file=None)
    assert own_copies.exists() == copied


def test_videos_of_a_folder_elsewhere(memory, fill):
    av = pytest.importorskip("av")
    sink = io.BytesIO()
    with av.open(sink, "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for _ in range(20):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24"))
            )
        container.mux(stream.encode())
    source = read_source(fill(*NAMES, extra={"gatos/clip.avi": sink.getvalue()}), classes_file=None)
    assert source.index.where[3:5] == ("gatos/clip.avi#t=0", "gatos/clip.avi#t=1")
    assert len(pixels(source)) == 8
    assert list(dict(iterate_files(["memory://set"], every=1.0))) == [
        *(f"memory://set/{name}" for name in NAMES),
        *(f"memory://set/gatos/clip.avi#t={at}" for at in (0, 1)),
    ]


@pytest.mark.parametrize("name", ["a/../../evil.bin", "a/\0.bin"])
def test_no_name_of_a_listing_leads_out_of_the_copy(fill, memory, name, tmp_path):
    """An object store may hold any name."""
    fill(extra={"x.npy": b"x"})
    memory.store["/set/" + name] = memory.store["/set/x.npy"]
    with pytest.raises((SourceDamaged, TooFewExamples)):
        read_source("memory://set", classes_file=None)
    assert not list(tmp_path.rglob("evil*"))


# ---------------------------------------------------------------- tables that name pictures
MANIFEST = "path,label\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in NAMES)


def test_a_table_of_the_web_names_pictures_beside_it(web, picture, here, tmp_path):
    for at, name in enumerate(NAMES):
        web.put(f"/d/{name}", picture(at))
    url = web.put("/d/labels.csv", MANIFEST.encode() + b"gatos/gone.png,gatos\n", etag='"1"')
    source = read_source(url, classes_file=None)
    assert source.index.kind == "manifest"
    assert pixels(source) == pixels(here)
    loaded = decoding.load(source.store, np.arange(7), height=6, width=6, channels=3, threads=1)
    assert [(one.where, one.reason) for one in loaded.broken] == [
        ("gatos/gone.png", "the server does not have it (404)")
    ]
    write_index(source.index, tmp_path / "index.parquet")
    assert pixels(read_source(tmp_path / "index.parquet", classes_file=None)) == pixels(here)


def test_a_table_elsewhere_names_pictures_beside_it(fill, here):
    fill(*NAMES, extra={"labels.csv": MANIFEST.encode()})
    assert pixels(read_source("memory://set/labels.csv", classes_file=None)) == pixels(here)


def test_a_table_elsewhere_cannot_name_files_of_this_computer(fill, tmp_path, picture):
    (tmp_path / "mine.png").write_bytes(picture())
    table = f"path,label\n{tmp_path}/mine.png,a\ngatos/0.png,b\n"
    fill(*NAMES, extra={"labels.csv": table.encode()})
    source = read_source("memory://set/labels.csv", classes_file=None)
    assert source.index.where == ("gatos/0.png",)
    assert source.broken[0].reason == "the file does not exist"
    fill(extra={"labels.csv": b"path,label\n../other/1.png,a\n"})
    opening._open.clear()
    with pytest.raises(SourceDamaged, match=r"The path '\.\./other/1\.png' leads out of memory://set"):
        read_source("memory://set/labels.csv", classes_file=None)


# ---------------------------------------------------------------- lists of links
def test_a_folder_that_a_server_lists_as_links(web, picture, here):
    pytest.importorskip("aiohttp")
    page = "<html><body>{}</body></html>"
    web.put("/d/", page.format("".join(f'<a href="{one}/">x</a>' for one in ("gatos", "perros"))).encode())
    for one in ("gatos", "perros"):
        links = "".join(f'<a href="{n}.png">x</a>' for n in range(3))
        web.put(f"/d/{one}", to=f"/d/{one}/")
        web.put(f"/d/{one}/", page.format(links).encode(), headers={"Content-Type": "text/html"})
    for at, name in enumerate(NAMES):
        web.put(f"/d/{name}", picture(at))
    assert pixels(read_source(web.url + "/d/", classes_file=None)) == pixels(here)


# ---------------------------------------------------------------- predict, check, the verbs
def test_pictures_at_addresses_are_answered_by_address(web, fill, picture, own_copies):
    one = web.put("/x/año 1.png?key=s3kret", b"one")
    web.files["/x/a%C3%B1o%201.png?key=s3kret"] = web.files.pop("/x/año 1.png?key=s3kret")
    folder = fill("a/1.png", "2.png")
    got = dict(iterate_files([one, "memory://set/2.png", folder, web.url + "/no.png", "s0://x"]))
    assert list(got) == [
        f"{web.url}/x/año 1.png?key=...",
        "memory://set/2.png",
        *("memory://set/2.png", "memory://set/a/1.png")[1:],
        f"{web.url}/no.png",
        "s0://x",
    ]
    assert got[f"{web.url}/x/año 1.png?key=..."] == b"one"
    assert got["memory://set/a/1.png"] == picture(0)
    assert got[f"{web.url}/no.png"] == "the server does not have it (404)"
    assert "s0://" in got["s0://x"]
    assert not own_copies.exists()
    archive = web.put("/a.zip", zipped(picture, ["a/1.png"]))
    assert dict(iterate_files([archive])) == {f"{archive}/a/1.png": picture(0)}


def test_check_says_how_it_was_read(fill, verb):
    lines = describe(read_source(read := fill(*NAMES), classes_file=None))["lines"]
    assert lines[:2] == ["pictures: 6, classes: 2", "Read from memory://set as it is needed."]
    said = verb("check", read)
    assert said.out.splitlines()[-1] == "next:   vistazo train memory://set"


@pytest.fixture
def colours(memory):
    """memory://set/colours: 12 pictures of each of two colours."""
    for at, name in enumerate(("blue", "red")):
        for number in range(12):
            noise = np.random.default_rng((at, number)).integers(0, 90, (12, 12, 3), np.uint8)
            noise[..., at] += 120
            sink = io.BytesIO()
            Image.fromarray(noise).save(sink, "PNG")
            memory.pipe(f"/set/colours/{name}/{number}x.png", sink.getvalue())
    return "memory://set/colours"


def test_a_run_on_a_folder_elsewhere(verb, colours, tiny, in_tmp):
    told = verb("train", colours, *tiny, "--json")
    assert told.code == 0, told.err
    assert told.json["run"] == "runs/colours-1"
    assert f"Read from {colours} as it is needed." in told.err
    assert '"source": "memory://set/colours"' in (in_tmp / "runs" / "colours-1" / "config.json").read_text()
    assert verb("evaluate", "last", colours).code == 0
    assert verb("resume", "last").code == 0
    answers = verb("predict", "last", colours + "/red/1x.png", "--json").json["predictions"]
    assert answers[0]["file"] == "memory://set/colours/red/1x.png"


def test_a_run_on_an_archive_of_the_web_keeps_no_secret_and_goes_on(verb, web, colours, memory, tiny, in_tmp):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in memory.store.items():
            archive.writestr(name.removeprefix("/set/colours/"), content.getvalue())
    url = web.put("/flores.zip?key=s3kret", sink.getvalue(), etag='"1"').replace("//", "//ana:se%40creto@")
    told = verb("train", url, *tiny, "--json")
    assert told.code == 0, told.err
    assert told.json["run"] == "runs/flores-1"
    assert f"fetching {web.url}/flores.zip?key=... (" in told.err
    run = in_tmp / "runs" / "flores-1"
    kept = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
    assert b"s3kret" not in kept
    assert b"creto" not in kept
    assert f"{web.url}/flores.zip?key=...".encode() in kept
    asked = len(web.asked)
    opening._open.clear()
    longer = verb("resume", "runs/flores-1", "--epochs=3", "--json")
    assert longer.code == 0, longer.err
    assert longer.json["epochs"] == 3
    assert len(web.asked) == asked
    assert verb("reproduce", "runs/flores-1", "--json").code in (0, 1)


def test_a_table_at_an_address_is_a_task_of_tables(verb, web, in_tmp):
    rows = "".join(f"{n},{n % 3},{n % 2}\n" for n in range(40))
    url = web.put("/ventas.csv", b"a,b,c\n" + rows.encode(), etag='"1"')
    said = verb("check", url)
    assert said.code == 0, said.err
    assert said.out.splitlines()[-1] == f"next:   vistazo train {url} --target COLUMN"
    assert "--target" in verb("train", url).err


def test_an_address_that_cannot_be_had_is_one_sentence(verb, web, in_tmp):
    for words in (("train",), ("check",)):
        said = verb(*words, web.url + "/no.zip?key=s3kret")
        assert said.code == 1
        assert (
            said.err
            == f"{web.url}/no.zip?key=... could not be fetched: the server does not have it (404). Check the address.\n"
        )
    assert not (in_tmp / "runs").exists()
