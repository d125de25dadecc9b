"""What arrives is whole, proved and resumed, whatever the server, the network or the disk does."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vistazo.errors import DiskError
from vistazo.remote import fetching
from vistazo.remote import web as vistazo_web
from vistazo.remote.fetching import Wanted, amount, download, look
from vistazo.remote.web import Unreachable

pytestmark = pytest.mark.usefixtures("hurried")

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
OTHER = CONTENT[::-1]
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def said():
    return []


@pytest.fixture
def get(tmp_path, said):
    """Download the addresses to `a.bin`; its content."""

    def run(*urls, size=len(CONTENT), sha256=SHA256, **rest):
        download(Wanted(urls, size, sha256, **rest), tmp_path / "a.bin", say=said.append)
        return (tmp_path / "a.bin").read_bytes()

    return run


@pytest.fixture
def begun(tmp_path):
    """A part of 100,000 bytes that an earlier process left, and nothing beside it."""

    def leave(content=CONTENT[:100_000]):
        (tmp_path / "a.bin.part").write_bytes(content)

    return leave


def ranges(web):
    return [headers.get("Range") for _, headers in web.asked]


# ---------------------------------------------------------------- the plain case
def test_a_file_arrives_whole_and_nothing_else_stays(web, get, tmp_path):
    assert get(web.put("/a.bin", CONTENT)) == CONTENT
    assert os.listdir(tmp_path) == ["a.bin"]
    assert web.asked[0][1]["User-Agent"] == "vistazo"


def test_a_file_that_is_there_and_holds_is_not_asked_for(web, get, tmp_path):
    (tmp_path / "a.bin").write_bytes(CONTENT)
    assert get(web.put("/a.bin", OTHER)) == CONTENT
    assert web.asked == []


@pytest.mark.parametrize("sums", [{"sha256": SHA256}, {"sha256": "", "md5": MD5}, {"sha256": SHA256.upper()}])
def test_either_checksum_proves_a_file(web, get, sums):
    with pytest.raises(Unreachable, match="not the published file"):
        get(web.put("/b.bin", OTHER), **sums)
    assert get(web.put("/a.bin", CONTENT), **sums) == CONTENT


# ---------------------------------------------------------------- what breaks
def test_a_connection_that_breaks_costs_what_was_under_way(web, get):
    url = web.put("/a.bin", CONTENT, etag='"1"', cuts=[100_000, 50_000, 70_000])
    assert get(url) == CONTENT
    assert ranges(web) == [None, "bytes=100000-", "bytes=150000-", "bytes=220000-"]
    assert {headers.get("If-Range") for _, headers in web.asked[1:]} == {'"1"'}


def test_a_server_that_ignores_range_begins_anew(web, get):
    assert get(web.put("/a.bin", CONTENT, etag='"1"', ranges=False, cuts=[100_000, 200_000])) == CONTENT
    assert len(web.asked) == 3


def test_a_server_that_always_breaks_off_is_given_up_and_what_arrived_is_kept(web, get, tmp_path):
    url = web.put("/a.bin", CONTENT, ranges=False, cuts=[1000] * 50)
    with pytest.raises(
        Unreachable, match=r"a\.bin could not be fetched \(127\.0\.0\.1:\d+: the connection ended after 1000"
    ):
        get(url)
    assert len(web.asked) < 12
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[:1000]


def test_a_part_of_an_earlier_process_is_gone_on_with(web, get, begun, said):
    begun()
    assert get(web.put("/a.bin", CONTENT)) == CONTENT
    assert ranges(web) == ["bytes=100000-"]
    assert said == ["a.bin: going on after 100.0 kB"]


def test_a_part_of_another_file_is_found_out_and_fetched_anew(web, get, begun):
    begun(OTHER[:100_000])
    assert get(web.put("/a.bin", CONTENT)) == CONTENT
    assert ranges(web) == ["bytes=100000-", None]


def test_a_part_that_is_whole_is_proved_without_a_question(web, get, begun):
    begun(CONTENT)
    assert get(web.put("/a.bin", CONTENT)) == CONTENT
    assert web.asked == []


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_a_part_longer_than_the_file_is_thrown_away(web, get, begun, size):
    begun(CONTENT + b"more")
    assert get(web.put("/a.bin", CONTENT), size=size) == CONTENT


@pytest.mark.parametrize("etag", ['"1"', "", 'W/"1"'], ids=["etag", "none", "weak"])
def test_a_file_that_changes_between_two_requests_is_fetched_anew(web, get, tmp_path, etag):
    """Without a checksum nothing but the server's word tells the two files apart."""
    new = {"content": OTHER, "etag": '"2"' if etag else ""}
    url = web.put("/a.bin", CONTENT, etag=etag, cuts=[100_000], then=new)
    assert get(url, size=None, sha256="") == OTHER


def test_another_piece_than_was_asked_for_is_not_joined_on(web, get, begun, monkeypatch):
    begun()
    url = web.put("/a.bin", CONTENT)
    monkeypatch.setattr(fetching, "piece", lambda answer: (99_999, len(CONTENT)))
    assert get(url) == CONTENT
    assert ranges(web) == ["bytes=100000-", None]


@pytest.mark.parametrize("code", [500, 503, 429, 408])
def test_a_passing_fault_is_waited_for(web, get, code):
    assert get(web.put("/a.bin", CONTENT, codes=[code, code])) == CONTENT
    assert len(web.asked) == 3


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (404, r"the server does not have it \(404\)"),
        (403, r"wants a permission that it was not shown \(403\)"),
        (418, "the server answers 418"),
    ],
)
def test_a_lasting_fault_is_told_at_once(web, get, code, reason):
    with pytest.raises(Unreachable, match=reason):
        get(web.put("/a.bin", CONTENT, codes=[code] * 9))
    assert len(web.asked) == 1


def test_a_server_with_a_lasting_500_is_given_up(web, get):
    with pytest.raises(Unreachable, match="the server answers 500"):
        get(web.put("/a.bin", CONTENT, codes=[500] * 9))
    assert len(web.asked) == fetching.TRIES


def test_a_server_that_promises_more_than_it_has(web, get):
    with pytest.raises(Unreachable, match="the file there has 300007 bytes instead of 300000"):
        get(web.put("/a.bin", CONTENT, lie=7))
    with pytest.raises(Unreachable, match="the connection ended after 300000 of 300007 bytes"):
        get(web.put("/b.bin", CONTENT, lie=7, ranges=False), size=None)


def test_a_server_that_promises_nothing(web, get):
    assert get(web.put("/a.bin", CONTENT, length=False)) == CONTENT
    with pytest.raises(Unreachable, match="not the published file"):
        get(web.put("/b.bin", CONTENT, length=False, cuts=[1000] * 9), sha256=SHA256[::-1])


def test_wrong_bytes_never_get_the_name(web, get, tmp_path):
    with pytest.raises(Unreachable, match="what it sends is not the published file: the checksum differs"):
        get(web.put("/a.bin", OTHER))
    assert not (tmp_path / "a.bin").exists()
    assert not (tmp_path / "a.bin.part").exists()


def test_a_server_that_falls_silent_is_not_waited_for(web, get, monkeypatch):
    monkeypatch.setattr(vistazo_web, "TIMEOUT", 0.05)
    url = web.put("/a.bin", CONTENT, pause=0.2, etag='"1"')
    monkeypatch.setattr(fetching, "TRIES", 1)
    with pytest.raises(Unreachable, match="the server says nothing"):
        get(url)


def test_nobody_there(get):
    with pytest.raises(Unreachable, match="could not be fetched"):
        get("http://127.0.0.1:9/a.bin")


# ---------------------------------------------------------------- several addresses
def test_mirrors_are_tried_in_turn(web, get):
    urls = (
        web.put("/1", CONTENT, codes=[404]),
        web.put("/2", OTHER),
        web.put("/3", CONTENT[:-1]),
        web.put("/4", CONTENT),
    )
    assert get(*urls) == CONTENT
    assert [path for path, _ in web.asked] == ["/1", "/2", "/3", "/4"]


def test_a_mirror_goes_on_where_another_stopped(web, get):
    stuck = web.put("/1", CONTENT, etag='"1"', cuts=[100_000], then={"content": b"", "codes": [500] * 9})
    assert get(stuck, web.put("/2", CONTENT, etag='"other"')) == CONTENT
    assert web.asked[-1][1]["Range"] == "bytes=100000-"
    assert "If-Range" not in web.asked[-1][1]


def test_every_address_tells_its_reason(web, get):
    with pytest.raises(
        Unreachable, match=r"\(404\).*; 127\.0\.0\.1:\d+: the server wants .*what has arrived is kept"
    ):
        get(web.put("/1", codes=[404]), web.put("/2", codes=[401]))


# ---------------------------------------------------------------- redirects and secrets
def test_redirects_are_followed(web, get):
    web.put("/c", CONTENT)
    web.put("/b", to=web.url + "/c")
    assert get(web.put("/a", to="b")) == CONTENT


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "gopher://127.0.0.1/"])
def test_redirects_stay_on_the_web(web, get, to, tmp_path):
    with pytest.raises(Unreachable, match="could not be fetched"):
        get(web.put("/a", to=to), size=None, sha256="")
    assert not (tmp_path / "a.bin").exists()


def test_redirects_in_a_ring_end(web, get):
    with pytest.raises(Unreachable, match="the server answers 302"):
        get(web.put("/a", to="/a"))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://", "http://[", "ftp://x/y", "http://127.0.0.1:99999/"]
)
def test_an_address_that_is_none_of_the_web(get, url):
    with pytest.raises(Unreachable, match="could not be fetched"):
        get(url)


def test_a_password_is_shown_to_its_own_host_alone_and_never_told(web, get, tmp_path):
    other = web.url.replace("127.0.0.1", "localhost")
    web.put("/here", to="/a b")
    web.put("/a%20b", CONTENT)
    web.put("/there", to=other + "/a b")
    with_password = web.url.replace("//", "//ana:se%40creto@")
    assert get(with_password + "/here", size=None, sha256="") == CONTENT
    assert [headers.get("Authorization") for _, headers in web.asked] == ["Basic YW5hOnNlQGNyZXRv"] * 2
    get(with_password + "/there", size=None, sha256="")
    assert "Authorization" not in web.asked[-1][1]
    with pytest.raises(Unreachable) as told:
        get(with_password + "/no?token=hidden", size=None, sha256="")
    assert "creto" not in str(told.value)
    assert "hidden" not in str(told.value)


# ---------------------------------------------------------------- what an address holds
def test_look_tells_size_name_and_whether_it_changed(web):
    url = web.put("/dir/a%20b.zip", CONTENT, etag='"1"', headers={"Content-Type": "application/zip"})
    facts = look(url, None, tries=1)
    assert (facts.size, facts.name, facts.type, facts.etag) == (
        len(CONTENT),
        "a b.zip",
        "application/zip",
        '"1"',
    )
    assert look(url, facts, tries=1) is None
    web.put("/dir/a%20b.zip", OTHER, etag='"2"')
    assert look(url, facts, tries=1).etag == '"2"'


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="../../etc/flores.zip"', "flores.zip"),
        ("attachment; filename*=UTF-8''a%C3%B1o.zip", "año.zip"),
        ('attachment; filename="..\\\\..\\\\x<y>.csv"', "x_y_.csv"),
        ('attachment; filename=".."', "data"),
        ("", "data"),
    ],
)
def test_a_name_that_the_server_gives_is_a_name_and_no_path(web, disposition, name):
    url = web.put("/data?id=3", CONTENT, headers={"Content-Disposition": disposition})
    assert look(url, None, tries=1).name == name


# ---------------------------------------------------------------- the disk
def test_a_full_disk_is_told_before_anything_is_fetched(web, get, tmp_path, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(
        DiskError, match=r"needs 300\.0 kB more and the disk has 1\.0 kB free\. Free some space"
    ):
        get(web.put("/a.bin", CONTENT))


def test_a_disk_that_fills_up_on_the_way_is_told_and_gone_on_with(web, small_disk, monkeypatch):
    place = small_disk("128k")
    url = web.put("/a.bin", CONTENT, length=False)
    with pytest.raises(DiskError, match="The disk is full"):
        download(Wanted([url], None, SHA256), place / "a.bin", say=print)
    assert (place / "a.bin.part").stat().st_size > 0
    subprocess.run(["mount", "-o", "remount,size=2m", str(place)], check=True, capture_output=True)
    download(Wanted([url], None, SHA256), place / "a.bin", say=print)
    assert (place / "a.bin").read_bytes() == CONTENT
    assert web.asked[-1][1]["Range"].startswith("bytes=")


def test_a_folder_that_cannot_be_written_is_told(web, small_disk, read_only):
    place = small_disk("1m")
    read_only(place)
    with pytest.raises(DiskError, match="read-only"):
        download(Wanted([web.put("/a.bin", CONTENT)]), place / "new" / "a.bin", say=print)


# ---------------------------------------------------------------- several processes, and dead ones
FETCH = """
import sys
from pathlib import Path
from vistazo.remote.fetching import Wanted, download
download(Wanted([sys.argv[1]], None, sys.argv[2]), Path(sys.argv[3]), say=lambda line: print(line, flush=True))
"""


def fetch(url: str, path: Path) -> subprocess.Popen[str]:
    source = Path(fetching.__file__).parents[2]
    words = [sys.executable, "-c", FETCH, url, SHA256, str(path)]
    return subprocess.Popen(
        words, env={**os.environ, "PYTHONPATH": str(source)}, text=True, stdout=subprocess.PIPE
    )


def test_a_killed_process_is_gone_on_from(web, tmp_path, get):
    url = web.put("/a.bin", CONTENT, etag='"1"', pause=0.3)
    process = fetch(url, tmp_path / "a.bin")
    part = tmp_path / "a.bin.part"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    there = part.stat().st_size
    assert 0 < there < len(CONTENT)
    web.files["/a.bin"]["pause"] = 0
    assert get(url) == CONTENT
    assert ranges(web)[-1] == f"bytes={there}-"
    assert [name for name in os.listdir(tmp_path) if "part" in name] == []


def test_two_processes_fetch_a_file_once(web, tmp_path):
    url = web.put("/a.bin", CONTENT, pause=0.1)
    one, other = (fetch(url, tmp_path / "a.bin") for _ in range(2))
    told = one.communicate(timeout=60)[0] + other.communicate(timeout=60)[0]
    assert (one.returncode, other.returncode) == (0, 0)
    assert len(web.asked) == 1
    assert "another process is fetching a.bin; waiting for it" in told


# ---------------------------------------------------------------- what a person reads
def test_progress_is_told_now_and_then(web, get, said, monkeypatch):
    monkeypatch.setattr(fetching, "SAY_EVERY", 0.0)
    get(web.put("/a.bin", CONTENT))
    assert said[-1].startswith("a.bin: 300.0 kB of 300.0 kB, ")
    assert said[-1].endswith(" a second, about 0.0 s left")
    get(web.put("/b.bin", CONTENT, length=False), sha256="", size=None)
    assert said[-1].startswith("a.bin: 300.0 kB, ")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (26_421_880, "26.4 MB"), (5 * 10**9, "5.0 GB")],
)
def test_amounts(size, text):
    assert amount(size) == text
