import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from vistazo.errors import TooManyBroken
from vistazo.pictures import decoding
from vistazo.pictures.decoding import UndecodablePicture, decode, load, survey
from vistazo.pictures.stores import Arrays, Files


def picture(
    seed: int = 0, *, size: tuple[int, int] = (12, 10), mode: str = "RGB", form: str = "PNG"
) -> bytes:
    """An encoded picture of noise; size is (width, height)."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(sink, form)
    return sink.getvalue()


def encode(image, form, **options):
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


def decode_to(data, height=10, width=12, channels=3):
    return decode(data, height=height, width=width, channels=channels)


def photo(width=640, height=480):
    """A smooth colour ramp, which JPEG keeps within a few levels."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_a_picture_of_the_wanted_size_keeps_its_exact_pixels(form):
    data = picture(3, form=form)
    np.testing.assert_array_equal(decode_to(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_pixels_of_the_wanted_size_are_untouched():
    pixels = np.random.default_rng(0).integers(0, 256, (10, 12), dtype=np.uint8)
    np.testing.assert_array_equal(decode_to(pixels, channels=1)[:, :, 0], pixels)
    np.testing.assert_array_equal(decode_to(pixels)[:, :, 2], pixels)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_gives_the_wanted_shape(form, channels):
    pixels = decode_to(picture(form=form), height=7, width=9, channels=channels)
    assert pixels.shape == (7, 9, channels)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize(
    ("image", "form", "expected"),
    [
        pytest.param(Image.new("1", (4, 4), 1), "PNG", (255, 255, 255), id="one bit"),
        pytest.param(Image.new("LA", (4, 4), (0, 0)), "PNG", (255, 255, 255), id="grey, transparent"),
        pytest.param(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG", (255, 255, 255), id="transparent"),
        pytest.param(Image.new("RGBA", (4, 4), (255, 0, 0, 255)), "PNG", (255, 0, 0), id="opaque"),
        pytest.param(Image.new("P", (4, 4), 0), "PNG", (0, 0, 0), id="palette"),
        pytest.param(
            Image.fromarray(np.full((4, 4), 0x8000, np.uint16)), "PNG", (128, 128, 128), id="16 bits"
        ),
        pytest.param(Image.new("CMYK", (4, 4), (0, 0, 0, 0)), "JPEG", (255, 255, 255), id="CMYK"),
        pytest.param(Image.new("L", (4, 4), 77), "JPEG", (77, 77, 77), id="grey JPEG"),
    ],
)
def test_every_kind_of_pixel_becomes_rgb(image, form, expected):
    pixels = decode_to(encode(image, form), height=4, width=4)
    assert (pixels == expected).all()
    assert decode_to(encode(image, form), height=2, width=2).shape == (2, 2, 3)


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode_to(data, 4, 4) == (255, 0, 0)).all()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_turn_of_the_camera_is_undone(form, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(photo(64, 48), form, exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    height, width = upright.height, upright.width
    ours = decode_to(data, height, width).astype(int)
    assert np.abs(ours - np.asarray(upright)).max() <= 2
    half = decode_to(data, height // 2, width // 2).astype(int)
    assert np.abs(half - np.asarray(upright.resize((width // 2, height // 2)))).max() <= 6


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_near_proportion_is_stretched_and_a_far_one_cut_around_its_centre(form):
    stretched = decode_to(encode(photo(105, 100), form, quality=95), 50, 50).astype(int)
    assert stretched[25, 0, 0] < 10
    assert stretched[25, -1, 0] > 245
    cut = decode_to(encode(photo(200, 100), form, quality=95), 50, 50).astype(int)
    assert abs(cut[25, 0, 0] - 64) < 8
    assert abs(cut[25, -1, 0] - 191) < 8
    tall = decode_to(encode(photo(100, 200), form, quality=95), 50, 50).astype(int)
    assert abs(tall[0, 25, 1] - 64) < 8
    assert abs(tall[-1, 25, 1] - 191) < 8


def test_shrinking_a_jpeg_while_it_is_decoded_changes_little():
    data = encode(photo(), "JPEG", quality=90)
    fast = decode_to(data, 60, 80).astype(int)
    slow = np.asarray(photo().resize((80, 60), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(fast - slow).max() <= 6


def test_small_details_are_averaged_and_not_skipped():
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(decode_to(checks, 8, 8, 1).astype(int) - 127).max() <= 8


def png_of(width, height):
    """A PNG whose header claims that size, with one line of data."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(999)))
        + chunk(b"IEND", b"")
    )


def jpeg_bomb():
    """A progressive JPEG of 4 million pixels with its last scan 300 times."""
    data = encode(Image.new("L", (2000, 2000)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 300 + data[-2:]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"hola", "it is no picture in a known format", id="text"),
        pytest.param(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "it is no picture in a known format",
            id="EPS",
        ),
        pytest.param(picture()[:60], "it is damaged or cut short", id="cut PNG"),
        pytest.param(picture(form="JPEG")[:-200], "it is damaged or cut short", id="cut JPEG"),
        pytest.param(png_of(20_000, 20_000), "it has too many pixels", id="400 million pixels"),
        pytest.param(png_of(9_200, 9_200), r"it has too many pixels \(9200 × 9200\)", id="85 million pixels"),
        pytest.param(png_of(8_500, 8_500), r"it has too many pixels \(8500 × 8500\)", id="217 MB of pixels"),
        pytest.param(jpeg_bomb(), r"it is built to take long \(3\d\d scans\)", id="scans"),
        pytest.param(
            encode(Image.new("F", (4, 4)), "TIFF"), "fraction are not supported", id="floating point"
        ),
    ],
)
def test_what_cannot_be_decoded_says_why_and_soon(data, reason):
    start = time.perf_counter()
    with pytest.raises(UndecodablePicture, match=reason):
        decode_to(data)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_any_damaged_bytes_decode_or_give_a_reason(form):
    good = picture(size=(40, 30), form=form)
    rng = np.random.default_rng(0)
    reasons = []
    for _ in range(60):
        data = bytearray(good[: rng.integers(0, len(good))] if rng.random() < 0.3 else good)
        for at in rng.integers(0, max(len(data), 1), 4):
            if data:
                data[at] = rng.integers(256)
        try:
            assert decode_to(bytes(data)).shape == (10, 12, 3)
        except UndecodablePicture as error:
            reasons.append(str(error))
    assert all(reasons)


# ---------------------------------------------------------------- many
def test_loading_lists_the_broken_and_keeps_the_good(tmp_path):
    for at in range(150):
        (tmp_path / f"{at:03}.png").write_bytes(picture(at))
    (tmp_path / "007.png").write_bytes(b"not a picture")
    (tmp_path / "149.png").unlink()
    store = Files(tmp_path, tuple(f"{at:03}.png" for at in range(150)))
    rows = np.arange(149, -1, -1)
    loaded = load(store, rows, height=10, width=12, channels=3, threads=3)
    assert [(fault.row, fault.where, fault.reason) for fault in loaded.broken] == [
        (149, "149.png", "the file does not exist"),
        (7, "007.png", "it is no picture in a known format"),
    ]
    assert loaded.rows.tolist() == [row for row in rows.tolist() if row not in (7, 149)]
    np.testing.assert_array_equal(loaded.pixels[-1], decode_to(picture(0)))
    assert loaded.hashes[0] == b""
    assert len(set(loaded.hashes.tolist())) == 150


def test_any_number_of_threads_loads_the_same(tmp_path):
    for at in range(100):
        (tmp_path / f"{at}.png").write_bytes(picture(at))
    store = Files(tmp_path, tuple(f"{at}.png" for at in range(100)))
    one, four = (load(store, np.arange(100), height=5, width=6, channels=1, threads=n) for n in (1, 4))
    np.testing.assert_array_equal(one.pixels, four.pixels)
    np.testing.assert_array_equal(one.hashes, four.hashes)


def test_arrays_load_alike_with_and_without_the_short_way():
    parts = [np.random.default_rng(at).integers(0, 256, (7, 5, 4), dtype=np.uint8) for at in range(2)]
    store = Arrays(parts, [str(at) for at in range(14)], np.arange(14))
    rows = np.array([3, 4, 5, 9, 8, 0, 13])
    short = load(store, rows, height=5, width=4, channels=1, threads=1)
    long = load(store, rows, height=5, width=4, channels=3, threads=1)
    np.testing.assert_array_equal(short.pixels[..., 0], np.concatenate(parts)[rows])
    np.testing.assert_array_equal(short.pixels[..., 0], long.pixels[..., 2])
    np.testing.assert_array_equal(short.hashes, long.hashes)
    np.testing.assert_array_equal(store.take(rows).take(np.array([3])).read(0), parts[1][2])


def test_the_survey_finds_the_median_size_and_whether_there_is_colour(tmp_path):
    sizes = [(20, 10), (30, 14), (40, 90)]
    for at, size in enumerate(sizes):
        (tmp_path / f"grey{at}.png").write_bytes(picture(at, size=size, mode="L"))
        (tmp_path / f"colour{at}.png").write_bytes(picture(at, size=size))
    grey = Files(tmp_path, ("grey0.png", "grey1.png", "grey2.png", "lost.png"))
    colour = Files(tmp_path, ("grey0.png", "colour1.png", "grey2.png"))
    assert survey(grey, np.arange(4), most=10, seed=0) == (14, 30, 1)
    assert survey(colour, np.arange(3), most=10, seed=0) == (14, 30, 3)
    with pytest.raises(
        TooManyBroken, match=r"None of 1 pictures can be read; the last: lost\.png: the file does not"
    ):
        survey(grey, np.array([3]), most=10, seed=0)


def test_a_grey_picture_stored_as_rgb_is_grey(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(Image.open(io.BytesIO(picture(mode="L"))).convert("RGB"), "JPEG"))
    assert survey(Files(tmp_path, ("a.jpg",)), np.arange(1), most=1, seed=0) == (10, 12, 1)


# ---------------------------------------------------------------- what telephones and browsers write
@pytest.mark.parametrize("background", ["white", "black", "#204060"])
@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_shows_the_background(background, channels):
    clear = Image.new("RGBA", (12, 10), (200, 30, 90, 0))
    clear.paste((200, 30, 90, 255), (0, 0, 6, 10))
    wanted = Image.new("RGB", (12, 10), background)
    wanted.paste((200, 30, 90), (0, 0, 6, 10))
    found = decode(encode(clear, "PNG"), height=10, width=12, channels=channels, background=background)
    expected = np.asarray(wanted.convert("L" if channels == 1 else "RGB")).reshape(10, 12, channels)
    np.testing.assert_allclose(found.astype(int), expected, atol=1)


def test_an_avif_picture_is_read():
    found = decode_to(encode(photo(), "AVIF", quality=95), 48, 64)
    np.testing.assert_allclose(found.astype(int), decode_to(encode(photo(), "PNG"), 48, 64), atol=6)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_heic_picture_is_read_the_way_up_it_was_taken(orientation):
    import pillow_heif

    sink = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    pillow_heif.from_pillow(photo(64, 48)).save(sink, quality=95, exif=exif.tobytes())
    upright = photo(64, 48) if orientation == 1 else photo(64, 48).transpose(Image.Transpose.ROTATE_270)
    found = decode_to(sink.getvalue(), upright.height, upright.width)
    np.testing.assert_allclose(found.astype(int), np.asarray(upright), atol=12)


def test_without_the_extra_a_heic_picture_says_what_to_install(monkeypatch):
    import pillow_heif

    sink = io.BytesIO()
    pillow_heif.from_pillow(photo(64, 48)).save(sink)
    monkeypatch.setattr(decoding, "_reads_heic", lambda: False)
    monkeypatch.setattr(decoding, "_formats", lambda: decoding.FORMATS)
    with pytest.raises(UndecodablePicture, match=r"pip install vistazo\[heif\]"):
        decode_to(sink.getvalue())
