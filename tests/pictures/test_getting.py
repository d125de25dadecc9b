"""`vistazo data`: a set arrives whole, once, with its licence told; what is not ours is never overwritten."""

import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vistazo import language
from vistazo.errors import ConfigError, DiskError, SourceDamaged, UnknownName
from vistazo.pictures import getting
from vistazo.pictures.known import File, Known, known, known_as
from vistazo.pictures.sources import read_source

pytestmark = pytest.mark.usefixtures("hurried")


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def publish(web, monkeypatch):
    """Make a known set of files and serve it from a school's mirror; its name."""
    monkeypatch.setenv("VISTAZO_DATA_URL", web.url + "/mirror/")

    def make(files, **rest):
        kept = []
        for name, content in files.items():
            into = rest.get("into", {}).get(name)
            kept.append(File(name, len(content), ("https://nowhere.invalid/",), sha256(content), into=into))
            web.put(f"/mirror/toys/{name}", content, etag='"1"')
        one = Known(
            "toys", "CC0", "https://example.org", tuple(kept), **{k: rest[k] for k in rest if k != "into"}
        )
        monkeypatch.setitem(known._entries, "toys", one)
        return "toys"

    return make


@pytest.fixture
def digits(idx_folder, tmp_path):
    """Two IDX pairs, packed."""
    folder = idx_folder(tmp_path / "made", size=(8, 8), pack=True)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def get(folder, said=None):
    lines = [] if said is None else said
    return getting.get("toys", folder, say=lines.append)


# ---------------------------------------------------------------- the table
FILES = [(name, file) for name in known for file in known[name].files]


@pytest.mark.parametrize(("name", "file"), FILES, ids=[f"{name}-{file.name}" for name, file in FILES])
def test_every_file_has_a_checksum_and_an_address_that_nobody_can_listen_to(name, file):
    assert re.fullmatch(r"[0-9a-f]{64}", file.sha256) or re.fullmatch(r"[0-9a-f]{32}", file.md5)
    assert all(
        re.fullmatch(r"([0-9a-f]{64}|[0-9a-f]{32}|)", one) for one in (file.sha256, file.md5, file.unpacked)
    )
    assert file.size is None or file.size > 1000
    urls = file.wanted(name).urls
    assert urls
    assert all(url.startswith("https://") and url.endswith(f"/{file.name}") for url in urls)


def test_checksums_are_not_repeated():
    sums = [file.sha256 or file.md5 for _, file in FILES]
    assert len(set(sums)) == len(sums)


@pytest.mark.parametrize("name", list(known))
def test_every_set_says_its_licence_and_where_it_is_from(name):
    one = known[name]
    assert one.licence
    assert one.page.startswith(("http://", "https://"))
    assert set(one.classes) in (set(), set(language.LANGUAGES))


def test_a_name_is_known_however_it_is_spelled():
    assert [known_as(name) for name in ("mnist", "MNIST", "CIFAR-10", "fashion_mnist", "data/mnist", "")] == [
        *("mnist", "mnist", "cifar10", "fashion-mnist"),
        *(None, None),
    ]


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_files_are_the_published_pictures_though_packed_again(real_data, tmp_path, name):
    for file in (real_data / name).iterdir():
        (tmp_path / file.name).symlink_to(file)
    told = getting.get(name, tmp_path, say=lambda line: None)
    assert told["fetched"] == []


# ---------------------------------------------------------------- fetching
def test_a_set_is_fetched_told_and_can_be_read(publish, digits, web, tmp_path):
    publish(digits, classes={"en": ("zero", "one"), "es": ("cero", "uno")})
    said = []
    told = get(tmp_path / "toys", said)
    assert said[:3] == ["toys: toys", "licence: CC0", "source: https://example.org"]
    assert said[3] == f"fetching t10k-images-idx3-ubyte.gz ({len(digits['t10k-images-idx3-ubyte.gz'])} bytes)"
    assert told["fetched"] == list(digits)
    assert [path for path, _ in web.asked] == [f"/mirror/toys/{name}" for name in digits]
    source = read_source(told["train"], classes_file=tmp_path / "toys" / "classes.txt")
    assert (len(source.index), source.index.classes) == (10, ("one", "zero"))


def test_what_is_there_is_not_fetched_again(publish, digits, web, tmp_path):
    publish(digits)
    get(tmp_path / "toys")
    web.asked.clear()
    (tmp_path / "toys" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert get(tmp_path / "toys")["fetched"] == ["t10k-labels-idx1-ubyte.gz"]
    assert len(web.asked) == 1


def test_a_stranger_of_the_same_name_is_not_overwritten(publish, digits, web, tmp_path):
    publish(digits)
    mine = tmp_path / "train-images-idx3-ubyte.gz"
    mine.write_bytes(b"my own")
    with pytest.raises(
        SourceDamaged, match=r"train-images-idx3-ubyte\.gz is there and is not the published file\. Move"
    ):
        get(tmp_path)
    assert mine.read_bytes() == b"my own"
    assert web.asked == []


def test_a_file_packed_again_counts_as_there(publish, digits, monkeypatch, tmp_path):
    publish(digits)
    inside = {name: gzip.decompress(content) for name, content in digits.items()}
    files = tuple(
        File(one.name, one.size, (), one.sha256, unpacked=sha256(inside[one.name]))
        for one in known["toys"].files
    )
    monkeypatch.setitem(known._entries, "toys", Known("toys", "CC0", "https://example.org", files))
    for name, content in inside.items():
        (tmp_path / name).write_bytes(gzip.compress(content, 1))
    assert get(tmp_path)["fetched"] == []
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(digits["t10k-labels-idx1-ubyte.gz"][:-9])
    with pytest.raises(SourceDamaged, match="is not the published file"):
        get(tmp_path)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="There is no data set 'mnits'. Did you mean 'mnist'"):
        getting.get("mnits", None, say=print)


def test_a_mirror_must_be_on_the_web(monkeypatch):
    monkeypatch.setenv("VISTAZO_DATA_URL", "file:///etc")
    with pytest.raises(ConfigError, match="VISTAZO_DATA_URL must begin with https:// or http://"):
        known["mnist"].files[0].wanted("mnist")


def test_a_disk_too_small_is_told_before_anything_is_fetched(publish, digits, web, small_disk):
    publish({**digits, "big.npy": bytes(100_000)})
    with pytest.raises(DiskError, match=r"needs 10\d\.\d kB more and the disk has"):
        get(small_disk("64k") / "new")
    assert web.asked == []


# ---------------------------------------------------------------- archives that are unpacked
def packed_zip(members):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def packed_tar(members):
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()


@pytest.mark.parametrize("pack", [packed_zip, packed_tar], ids=["zip", "tar"])
def test_archives_of_one_part_each_become_one_folder(publish, picture, tmp_path, pack):
    ending = {packed_zip: "zip", packed_tar: "tgz"}[pack]
    parts = {}
    for at, part in enumerate(("train", "test")):
        members = {
            f"rps-{part}/{name}/{n}.png": picture(9 * at + n) for name in ("rock", "paper") for n in range(3)
        }
        members |= {f"__MACOSX/rps/{n}": b"" for n in range(2)} | {
            f"rps-{part}/../../out/evil.png": b"x",
            "top.txt": b"x",
        }
        parts[f"{part}.{ending}"] = pack(members)
    publish(parts, into={f"{part}.{ending}": part for part in ("train", "test")})
    told = get(tmp_path / "toys")
    source = read_source(told["train"], classes_file=None)
    assert (source.index.classes, len(source.index.rows("train")), len(source.index.rows("test"))) == (
        *(("paper", "rock"), 6, 6),
    )
    assert sorted(path.name for path in (tmp_path / "toys").iterdir()) == [
        *("test", f"test.{ending}", "train", f"train.{ending}"),
    ]
    assert not (tmp_path / "out").exists()


def test_unpacking_mends_what_lacks_and_stops_at_a_stranger(publish, picture, tmp_path):
    publish(
        {"a.zip": packed_zip({f"x/{name}/{n}.png": picture(n) for name in "ab" for n in range(2)})},
        into={"a.zip": ""},
    )
    get(tmp_path)
    (tmp_path / "a" / "0.png").unlink()
    (tmp_path / "a" / "mine.txt").write_text("mine")
    get(tmp_path)
    assert (tmp_path / "a" / "0.png").read_bytes() == picture(0)
    assert (tmp_path / "a" / "mine.txt").read_text() == "mine"
    (tmp_path / "b" / "1.png").write_text("mine")
    with pytest.raises(SourceDamaged, match=r"1\.png is there and is not the published file"):
        get(tmp_path)
    assert (tmp_path / "b" / "1.png").read_text() == "mine"


# ---------------------------------------------------------------- the command line
def test_the_verb_lists_the_sets(verb):
    told = verb("data", "--json").json["sets"]
    assert [one["name"] for one in told] == list(known)
    assert all(set(one) == {"name", "what", "bytes", "licence", "page"} for one in told)
    said = verb("data")
    assert "mnist " in said.out
    assert "MIT, Zalando SE" in said.out
    assert said.out.splitlines()[-1] == "next:   vistazo data NAME"


def test_the_verb_puts_a_set_where_train_finds_it(verb, publish, digits, in_tmp):
    publish(digits, classes={"en": ("zero", "one"), "es": ("cero", "uno")})
    said = verb("data", "toys")
    assert said.out.splitlines() == [
        "toys is in data/toys",
        "next:   vistazo train data/toys --classes data/toys/classes.txt",
    ]
    assert "licence: CC0" in said.err
    told = verb("datos", "toys", "--salida", "else where", "--json", "--quiet")
    assert told.err == ""
    assert told.json["train"] == "else where"
    assert verb("check", "data/toys").code == 0


def test_the_verb_tells_a_fault_in_one_sentence(verb, web, monkeypatch, in_tmp):
    monkeypatch.setenv("VISTAZO_DATA_URL", web.url)
    said = verb("data", "mnist")
    assert said.code == 1
    assert said.err.splitlines()[-1].startswith("train-images-idx3-ubyte.gz could not be fetched (127.0.0.1:")
    assert verb("data", "nothing-like-it").code == 2


@pytest.mark.parametrize("word", ["train", "check"])
def test_the_name_of_a_set_in_the_place_of_a_path_is_understood(verb, word, in_tmp):
    said = verb(word, "CIFAR-10")
    assert (said.code, said.err) == (
        1,
        "There is nothing at CIFAR-10. The data set of that name: vistazo data cifar10\n",
    )
    assert "Check the path" in verb(word, "cifar/10").err


KILLED = """
import sys
from vistazo import cli
from vistazo.pictures.known import File, Known, known
file = File("a.npy", int(sys.argv[1]), (), sys.argv[2])
known._entries["toys"] = Known("toys", "CC0", "https://example.org", (file,))
sys.exit(cli.main(["data", "toys", "--json"]))
"""


def test_the_verb_goes_on_after_a_kill(web, in_tmp, monkeypatch):
    content = np.random.default_rng(0).bytes(400_000)
    monkeypatch.setenv("VISTAZO_DATA_URL", web.url)
    monkeypatch.setenv("PYTHONPATH", str(Path(getting.__file__).parents[2]))
    web.put("/toys/a.npy", content, etag='"1"', pause=0.3)
    words = [sys.executable, "-c", KILLED, str(len(content)), sha256(content)]
    part = in_tmp / "data" / "toys" / "a.npy.part"
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    there = part.stat().st_size
    assert 0 < there < len(content)
    web.files["/toys/a.npy"]["pause"] = 0
    told = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    assert told["fetched"] == ["a.npy"]
    assert (in_tmp / "data" / "toys" / "a.npy").read_bytes() == content
    assert web.asked[-1][1]["Range"] == f"bytes={there}-"
    assert json.loads(subprocess.run(words, check=True, capture_output=True).stdout)["fetched"] == []
    assert len(web.asked) == 2
