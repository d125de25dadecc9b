"""Videos as pictures: the right frames, upright, together, whatever the file."""

import re
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vistazo.errors import ConfigError, MissingExtra, SourceDamaged, SourceError
from vistazo.pictures import decoding, films, splits, video
from vistazo.pictures.every import interval
from vistazo.pictures.index import write_index
from vistazo.pictures.sources import iterate_files, read_source
from vistazo.pictures.video import frame_of, is_video

av = pytest.importorskip("av")

CODECS = {
    "mp4": ("libx264", {}),
    "mkv": ("libx264", {"bf": "3", "b-pyramid": "normal"}),
    "mov": ("mpeg4", {"bf": "2", "qmax": "2"}),
    "avi": ("mpeg4", {"qmax": "2"}),
    "webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=none:temporal-layers=1"}),
}


def grey(number):
    """The brightness that frame `number` is filled with: told apart after any compression."""
    return 20 + 7 * (number % 31)


def film(
    path,
    frames=80,
    *,
    rate=10,
    size=(64, 48),
    codec="",
    options=None,
    gop=12,
    turned=None,
    first=0,
    texture=None,
):
    """A video whose frame n is filled with grey(n), its upper left quarter white; texture: the seed of a pattern."""
    default, extra = CODECS.get(path.name.partition(".")[2], ("mpeg4", {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec or default, rate=rate, options={**extra, **(options or {})})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size = gop
        if turned is not None:
            stream.set_display_rotation(turned)
        for number in range(frames):
            pixels = np.full((size[1], size[0], 3), grey(first + number), np.uint8)
            pixels[: size[1] // 2, : size[0] // 2] = 255
            if texture is not None:
                pixels[...] = pixels // 2 + np.random.default_rng(texture).integers(
                    0, 120, (size[1], size[0], 1)
                )
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """One video of every kind: 8 seconds of 10 frames, a key frame every 12."""
    folder = tmp_path_factory.mktemp("clips")
    return {ending: film(folder / f"clip.{ending}") for ending in CODECS}


@pytest.fixture
def two_classes(tmp_path, clips, picture):
    """Two classes, each of two videos and one picture."""
    root = tmp_path / "films"
    for at, name in enumerate(("cats", "dogs")):
        (root / name).mkdir(parents=True)
        for number, ending in enumerate(("mp4", "avi")):
            (root / name / f"clip{number}.{ending}").write_bytes(clips[ending].read_bytes())
        (root / name / "still.png").write_bytes(picture(at, size=(64, 48)))
    return root


def seen(pixels):
    """The number whose brightness fills the lower right of a frame."""
    level = float(pixels[-8:, -8:].mean())
    number = round((level - 20) / 7)
    assert abs(level - grey(number)) < 3
    return number


# ---------------------------------------------------------------- words
def test_names():
    assert [is_video(name) for name in ("a.mp4", "A.MOV", "a.b.webm", "a.gif", "mp4", "a.mp4.txt")] == [
        *(True, True, True),
        *(False, False, False),
    ]
    assert frame_of("x/año.mp4#t=0.5") == ("x/año.mp4", "0.5")
    assert frame_of("x#t=1/a.png") is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 1),
        ("1s", 1),
        ("0.5", 0.5),
        ("500ms", 0.5),
        ("2m", 120),
        ("1.5min", 90),
        (" 3S ", 3),
        ("0.01s", 0.01),
    ],
)
def test_intervals(text, seconds):
    assert interval(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "-1s", "1h", "1 s", "s", "nan", "1e3", "0.001s", "٣s", "9" * 400])
def test_what_is_no_interval(text):
    with pytest.raises(
        ConfigError, match=r"--every must be a time of at least 0\.01s, as in 0\.5s or 2s, not "
    ):
        interval(text)


# ---------------------------------------------------------------- the right frames
@pytest.mark.parametrize("ending", list(CODECS))
def test_every_second_is_the_frame_that_is_seen_then(clips, ending):
    got = [(at, seen(frame)) for at, frame in video.frames_of(clips[ending], 1.0)]
    assert got == [(str(second), 10 * second % 31) for second in range(8)]


@pytest.mark.parametrize("ending", ["mp4", "avi"])
@pytest.mark.parametrize(
    ("every", "numbers"), [(2.0, [0, 20, 40, 60]), (0.25, None), (0.05, range(80)), (100.0, [0])]
)
def test_any_interval_gives_each_frame_at_most_once(clips, ending, every, numbers):
    got = [seen(frame) for _, frame in video.frames_of(clips[ending], every)]
    expected = [int(0.25 * k * 10) for k in range(32)] if numbers is None else list(numbers)
    assert got == [number % 31 for number in expected]


@pytest.mark.parametrize("ending", list(CODECS))
def test_any_order_gives_the_pixels_of_plain_decoding(tmp_path, clips, ending):
    """Seeking, going on, leaving out what nobody needs, several threads: to the bit the frames of one pass."""
    root = tmp_path / "f"
    for name in "ab":
        (root / name).mkdir(parents=True)
        (root / name / f"clip.{ending}").write_bytes(clips[ending].read_bytes())
    store = read_source(root, classes_file=None, every=0.3).store
    with av.open(str(clips[ending])) as container:
        plain = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    expected = {
        row: plain[min(79, int(float(frame_of(store.name(row))[1]) * 10 + 1e-6))] for row in range(len(store))
    }
    order = np.random.default_rng(0).permutation(np.tile(np.arange(len(store)), 2)).tolist()
    with ThreadPoolExecutor(4) as pool:
        for row, pixels in zip(order, pool.map(store.read, order), strict=True):
            assert np.array_equal(pixels, expected[row]), store.name(row)


def test_rows_in_their_order_decode_a_video_once(tmp_path, clips, monkeypatch):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "clip.mp4").write_bytes(clips["mp4"].read_bytes())
    opened = []
    monkeypatch.setattr(
        films, "_opened", lambda path, plain=films._opened: opened.append(path.parent.name) or plain(path)
    )
    source = read_source(tmp_path, classes_file=None, every=0.1)
    assert opened == ["a", "b"]
    decoding.load(source.store, np.arange(160), height=8, width=8, channels=3, threads=1)
    assert opened == ["a", "b"] * 2


def test_few_videos_stay_open(tmp_path, clips):
    for number in range(films.OPEN + 3):
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.avi").write_bytes(clips["avi"].read_bytes())
    store = read_source(tmp_path, classes_file=None, every=4.0).store
    for row in range(len(store)):
        store.read(row)
    assert len(store.cinema._idle) == films.OPEN


# ---------------------------------------------------------------- upright
def quarter(pixels):
    """Which quarter is white: 'upper left', ..."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    quarters = {
        "upper left": pixels[:height, :width],
        "upper right": pixels[:height, width:],
        "lower left": pixels[height:, :width],
        "lower right": pixels[height:, width:],
    }
    return max(quarters, key=lambda name: quarters[name].mean())


@pytest.mark.parametrize(
    ("turned", "place", "shape"),
    [
        (0, "upper left", (48, 64, 3)),
        (90, "lower left", (64, 48, 3)),
        (180, "lower right", (48, 64, 3)),
        (-90, "upper right", (64, 48, 3)),
    ],
)
def test_a_camera_that_was_turned_is_turned_back(tmp_path, turned, place, shape):
    """Degrees count against the clock, as in ffmpeg's display matrix."""
    _, pixels = next(video.frames_of(film(tmp_path / "a.mp4", 3, turned=turned), 1.0))
    assert (quarter(pixels), pixels.shape) == (place, shape)


def test_the_matrix_that_a_phone_writes_turns_clockwise(tmp_path):
    """ISO 14496-12, 8.3.2: (x, y) becomes (ax + cy, bx + dy); a phone held upright writes a, b, c, d = 0, 1, -1, 0."""
    path = film(tmp_path / "a.mp4", 3)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    assert struct.unpack(">9i", data[at : at + 36])[:5] == (1 << 16, 0, 0, 0, 1 << 16)
    data[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    path.write_bytes(data)
    _, pixels = next(video.frames_of(path, 1.0))
    assert (quarter(pixels), pixels.shape) == ("upper right", (64, 48, 3))


# ---------------------------------------------------------------- as a source
def test_pictures_and_videos_of_a_folder_are_rows_of_their_class(two_classes):
    source = read_source(two_classes, classes_file=None)
    index = source.index
    assert index.classes == ("cats", "dogs")
    assert index.where[:9] == (*(f"cats/clip0.mp4#t={at}" for at in range(8)), "cats/clip1.avi#t=0")
    assert len(index) == 2 * (8 + 8 + 1)
    assert index.counts(np.ones(len(index), dtype=bool)).tolist() == [17, 17]
    assert source.notes[-1] == "Videos: 4, a frame every 1 s: 32 frames. Those of one video stay in one part."
    assert source.store.read(16)[:4] == b"\x89PNG"
    assert source.store.take(np.array([5])).read(0).shape == (48, 64, 3)
    assert decoding.survey(source.store, np.arange(34), most=200, seed=0) == (48, 64, 3)


@pytest.mark.parametrize("group_by", ["auto", "parent"])
def test_frames_of_one_video_stay_in_one_part(tmp_path, group_by):
    for name in ("cats", "dogs"):
        for number in range(6):
            film(tmp_path / name / f"clip{number}" / f"{number}.avi", 30, first=number)
    source = read_source(tmp_path, classes_file=None, every=0.5)
    loaded = decoding.load(source.store, np.arange(72), height=8, width=8, channels=3, threads=2)
    assigned = splits.assign(source.index.replace(hash=loaded.hashes), seed=0, group_by=group_by)
    parts = {}
    for where, part in zip(assigned.index.where, assigned.index.split.tolist(), strict=True):
        parts.setdefault(frame_of(where)[0], set()).add(part)
    assert all(len(found) == 1 for found in parts.values())
    assert set.union(*parts.values()) >= {"train", "test"}
    if group_by == "auto":
        assert assigned.sentences[0] == "Groups: the frames of each video; every picture counts for itself."


def test_the_index_of_a_run_finds_its_frames_again(two_classes, tmp_path):
    source = read_source(two_classes, classes_file=None, every=0.7)
    write_index(source.index, tmp_path / "index.parquet")
    again = read_source(tmp_path / "index.parquet", classes_file=None)
    assert again.index.where == source.index.where
    assert all(np.array_equal(source.store.read(row), again.store.read(row)) for row in range(0, 20, 3))
    (two_classes / "cats" / "clip0.mp4").write_bytes(b"broken")
    with pytest.raises(SourceDamaged, match=r"clip0\.mp4 cannot be read"):
        read_source(tmp_path / "index.parquet", classes_file=None)
    (two_classes / "cats" / "clip0.mp4").unlink()
    assert {one.reason for one in read_source(tmp_path / "index.parquet", classes_file=None).broken} == {
        "the file does not exist"
    }


def test_one_video_is_no_source(clips):
    with pytest.raises(
        SourceError, match=r"clip\.mp4 is one video\. Give the folder that holds one sub-folder"
    ):
        read_source(clips["mp4"], classes_file=None)


# ---------------------------------------------------------------- what is broken
def sound_alone(path):
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


def test_what_cannot_be_read_is_named_and_left_out(two_classes, clips, capfd):
    bad = two_classes / "cats"
    (bad / "empty.mp4").write_bytes(b"")
    (bad / "noise.avi").write_bytes(np.random.default_rng(0).bytes(5000))
    (bad / "playlist.mp4").write_bytes(PLAYLIST)
    (bad / "list.mkv").write_bytes(b"ffconcat version 1.0\nfile 'clip0.mp4'\n")
    (bad / "headless.mp4").write_bytes(clips["mp4"].read_bytes()[:2000])
    sound_alone(bad / "song.m4v")
    source = read_source(two_classes, classes_file=None)
    reasons = {one.where.removeprefix("cats/"): one.reason for one in source.broken}
    unknown = "it is no video in a known format, or cut short"
    assert reasons == {
        "empty.mp4": "the file is empty",
        "headless.mp4": unknown,
        "list.mkv": unknown,
        "noise.avi": unknown,
        "playlist.mp4": unknown,
        "song.m4v": "it holds no moving pictures",
    }
    assert len(source.index) == 34
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ["mkv", "webm", "avi"])
def test_of_a_video_that_was_cut_what_is_there_is_used(tmp_path, clips, ending):
    data = clips[ending].read_bytes()
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / f"cut.{ending}").write_bytes(data[: len(data) * 6 // 10])
    source = read_source(tmp_path, classes_file=None, every=0.5)
    loaded = decoding.load(
        source.store, np.arange(len(source.index)), height=48, width=64, channels=3, threads=2
    )
    assert 8 <= len(loaded.rows) < 32
    for row, pixels in zip(loaded.rows.tolist(), loaded.pixels, strict=True):
        if seen(pixels) != int(float(frame_of(source.index.where[row])[1]) * 10) % 31:
            raise AssertionError(source.index.where[row])


def test_a_damaged_video_never_ends_a_run(tmp_path, clips):
    """200 files with bytes changed: each frame is read, or named with a reason."""
    rng = np.random.default_rng(1)
    for number in range(200):
        ending = list(CODECS)[number % len(CODECS)]
        data = np.frombuffer(clips[ending].read_bytes(), np.uint8).copy()
        data[rng.integers(0, len(data), 1 + number % 40)] = rng.integers(0, 256)
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.{ending}").write_bytes(data.tobytes())
    source = read_source(tmp_path, classes_file=None, every=2.0)
    loaded = decoding.load(
        source.store, np.arange(len(source.index)), height=8, width=8, channels=3, threads=2
    )
    assert len(loaded.rows) + len(loaded.broken) == len(source.index)
    assert len(loaded.rows) > 100
    assert all(one.reason for one in (*source.broken, *loaded.broken))


def test_nothing_but_broken_videos(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.mp4").write_bytes(b"x")
    with pytest.raises(
        SourceDamaged, match=r"None of the 2 videos in .* can be read; the first: a/x\.mp4 \(it is no"
    ):
        read_source(tmp_path, classes_file=None)


# ---------------------------------------------------------------- without PyAV
@pytest.fixture
def without_av(monkeypatch):
    def missing():
        raise MissingExtra("Videos need PyAV: pip install 'vistazo[video]'.")

    monkeypatch.setattr(video, "decoder", missing)
    monkeypatch.setattr(films, "decoder", missing)


def test_without_pyav_pictures_are_used_and_videos_told(two_classes, without_av):
    source = read_source(two_classes, classes_file=None)
    assert source.index.where == ("cats/still.png", "dogs/still.png")
    assert "Videos not used: 4. To use them: pip install 'vistazo[video]'." in source.notes


def test_without_pyav_a_folder_of_videos_says_what_to_install(two_classes, without_av):
    for path in two_classes.glob("*/*.png"):
        path.unlink()
    with pytest.raises(MissingExtra, match=re.escape("pip install 'vistazo[video]'")):
        read_source(two_classes, classes_file=None)
    assert [reason for _, reason in iterate_files([two_classes / "cats" / "clip0.mp4"])] == [
        "Videos need PyAV: pip install 'vistazo[video]'."
    ]


# ---------------------------------------------------------------- predict, and the verbs
def test_frames_are_pictures_to_predict(two_classes, clips):
    got = dict(iterate_files([clips["mp4"], two_classes / "dogs"], every=4.0))
    root = f"{two_classes / 'dogs'}/"
    assert [name.removeprefix(root).removeprefix(f"{clips['mp4'].parent}/") for name in got] == [
        *("clip.mp4#t=0", "clip.mp4#t=4", "still.png"),
        *("clip0.mp4#t=0", "clip0.mp4#t=4", "clip1.avi#t=0", "clip1.avi#t=4"),
    ]
    assert seen(got[f"{clips['mp4']}#t=4"]) == 40 % 31


def test_a_run_on_videos_and_what_it_is_asked_after(verb, tmp_path, tiny, in_tmp):
    """Classes that differ in brightness: trained on, evaluated, and asked for a video."""
    for at, name in enumerate(("dark", "light")):
        for number in range(8):
            film(
                in_tmp / "films" / name / f"v{number}.avi",
                10,
                first=at * 20 + number,
                size=(16, 16),
                texture=at * 20 + number,
            )
    checked = verb("check", "films", "--every", "500ms")
    assert "Videos: 16, a frame every 0.5 s: 32 frames. Those of one video stay in one part." in checked.out
    told = verb("train", "films", *tiny, "--every=0.2s", "--out=run", "--json")
    assert told.code == 0, told.err
    assert "Groups: the frames of each video" in told.err
    assert verb("evaluate", "run", "films", "--cada", "1s").code == 0
    answers = verb("predict", "run", "films/dark/v0.avi", "--every=0.5s", "--json").json["predictions"]
    assert [one["file"] for one in answers] == ["films/dark/v0.avi#t=0", "films/dark/v0.avi#t=0.5"]
    assert verb("train", "films", "--every=0s").err.endswith("as in 0.5s or 2s, not '0s'.\n")
