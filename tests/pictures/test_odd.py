"""Odd but valid pictures: the right pixels, told by a computation that uses none of our readers."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from vistazo.pictures.decoding import UndecodablePicture, decode

SIZE = (9, 7)  # height, width: no multiple of anything


def noise(channels: int, *, size: tuple[int, int] = SIZE, levels: int = 256, seed: int = 0) -> np.ndarray:
    """(height, width, channels) of random values below `levels`."""
    kind = np.uint8 if levels <= 256 else np.uint16
    return np.random.default_rng(seed).integers(0, levels, (*size, channels)).astype(kind)


def smooth(width: int = 64, height: int = 48) -> Image.Image:
    """A colour ramp, which lossy formats keep within a few levels."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))


def encode(image: Image.Image, form: str, **options) -> bytes:
    sink = io.BytesIO()
    image.save(sink, form, **options)
    return sink.getvalue()


def decoded(data: bytes, size: tuple[int, int] = SIZE, channels: int = 3) -> np.ndarray:
    return decode(data, height=size[0], width=size[1], channels=channels).astype(int)


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours and their opacity 0 to 255, (height, width, 3) and (height, width, 1), over white."""
    return np.rint((rgb.astype(float) * alpha + 255.0 * (255 - alpha)) / 255).astype(int)


# ---------------------------------------------------------------- PNG, written here by its specification
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def png(samples: np.ndarray, kind: int, depth: int, *extra: tuple[bytes, bytes], interlaced=False) -> bytes:
    """A PNG of (height, width, samples) by the specification (W3C, 2003), without filters."""
    height, width, _ = samples.shape

    def rows(pixels: np.ndarray) -> bytes:
        if depth == 16:
            lines = pixels.astype(">u2").reshape(len(pixels), -1)
            return b"".join(b"\0" + line.tobytes() for line in lines)
        bits = np.unpackbits(pixels.astype(np.uint8).reshape(len(pixels), -1, 1), axis=2)[:, :, 8 - depth :]
        return b"".join(b"\0" + np.packbits(line.reshape(-1)).tobytes() for line in bits)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    passes = (
        [samples[top::down, left::right] for top, left, down, right in ADAM7] if interlaced else [samples]
    )
    data = b"".join(rows(one) for one in passes if one.size)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


@pytest.mark.parametrize("interlaced", [False, True], ids=["plain", "interlaced"])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_of_any_depth(depth, interlaced):
    levels = noise(1, levels=1 << depth)
    expected = levels >> 8 if depth == 16 else levels.astype(int) * 255 // ((1 << depth) - 1)
    data = png(levels, GREY, depth, interlaced=interlaced)
    assert np.abs(decoded(data) - expected).max() <= 1
    assert np.abs(decoded(data, channels=1) - expected).max() <= 1


@pytest.mark.parametrize("interlaced", [False, True], ids=["plain", "interlaced"])
@pytest.mark.parametrize("depth", [8, 16])
def test_colour_of_8_and_16_bits(depth, interlaced):
    levels = noise(3, levels=1 << depth)
    expected = (levels >> (depth - 8)).astype(int)
    assert np.abs(decoded(png(levels, RGB, depth, interlaced=interlaced)) - expected).max() <= 1


@pytest.mark.parametrize("depth", [8, 16])
def test_alpha_of_grey_and_of_colour_lies_over_white(depth):
    for kind, colours in ((GREY_ALPHA, 1), (RGBA, 3)):
        levels = noise(colours + 1, levels=1 << depth)
        eight = (levels >> (depth - 8)).astype(int)
        expected = over_white(eight[..., :-1], eight[..., -1:])
        assert np.abs(decoded(png(levels, kind, depth)) - expected).max() <= 1


@pytest.mark.parametrize("interlaced", [False, True], ids=["plain", "interlaced"])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palettes_of_any_depth_with_and_without_transparency(depth, interlaced):
    colours = noise(3, size=(1, 1 << depth), seed=1)[0]
    alpha = noise(1, size=(1, 1 << depth), seed=2)[0]
    places = noise(1, levels=1 << depth)
    plain = png(places, PALETTE, depth, (b"PLTE", colours.tobytes()), interlaced=interlaced)
    assert (decoded(plain) == colours[places[..., 0]]).all()
    clear = png(
        places,
        PALETTE,
        depth,
        (b"PLTE", colours.tobytes()),
        (b"tRNS", alpha.tobytes()),
        interlaced=interlaced,
    )
    expected = over_white(colours[places[..., 0]], alpha[places[..., 0]].astype(int))
    assert np.abs(decoded(clear) - expected).max() <= 1


def test_a_colour_that_stands_for_transparency():
    levels = noise(3)
    levels[2, 3] = (10, 20, 30)
    expected = levels.astype(int)
    expected[2, 3] = 255
    assert (decoded(png(levels, RGB, 8, (b"tRNS", struct.pack(">3H", 10, 20, 30)))) == expected).all()
    grey = noise(1)
    grey[grey == 77] = 78
    grey[2, 3] = 77
    expected = np.where(grey == 77, 255, grey).astype(int)
    assert (decoded(png(grey, GREY, 8, (b"tRNS", struct.pack(">H", 77)))) == expected).all()


def test_16_bits_of_grey_with_a_level_that_stands_for_transparency():
    grey = noise(1, levels=1 << 16)
    grey[2, 3] = 0x1234
    expected = (grey >> 8).astype(int)
    expected[2, 3] = 255
    data = png(grey, GREY, 16, (b"tRNS", struct.pack(">H", 0x1234)))
    assert np.abs(decoded(data) - expected).max() <= 1


# ---------------------------------------------------------------- TIFF, written here too
def tiff(samples: np.ndarray, *, order: str = "<") -> bytes:
    """An uncompressed TIFF 6.0 of (height, width, 1 or 3) uint8 or uint16, in either order of bytes."""
    height, width, count = samples.shape
    bits = samples.dtype.itemsize * 8
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    at = 8
    depth_at = at + len(data)
    first = depth_at + 6
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, count, bits if count == 1 else depth_at), (259, 3, 1, 1),
        (262, 3, 1, 1 if count == 1 else 2), (273, 4, 1, at), (277, 3, 1, count), (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]  # fmt: skip
    entries = b""
    for tag, kind, number, value in tags:
        packed = struct.pack(order + ("H2x" if kind == 3 and number == 1 else "I"), value)
        entries += struct.pack(order + "HHI", tag, kind, number) + packed
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, first)
    depths = struct.pack(order + "3H", bits, bits, bits)
    return head + data + depths + struct.pack(order + "H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("levels", [256, 1 << 16])
def test_tiff_of_8_and_16_bits_in_either_order(order, channels, levels):
    samples = noise(channels, levels=levels)
    expected = (samples >> (0 if levels == 256 else 8)).astype(int)
    assert np.abs(decoded(tiff(samples, order=order)) - expected).max() <= 1


def test_of_several_pages_the_first_counts():
    pages = [Image.fromarray(noise(3, seed=at)) for at in range(3)]
    for compression in ("raw", "tiff_lzw", "tiff_deflate"):
        data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression=compression)
        assert (decoded(data) == noise(3)).all()


# ---------------------------------------------------------------- frames
@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_the_first_frame_counts(form):
    colours = [(200, 40, 60), (0, 90, 250)]
    frames = [Image.new("RGB", (16, 16), colour) for colour in colours]
    options = {} if form in ("GIF", "PNG") else {"quality": 100}
    data = encode(frames[0], form, save_all=True, append_images=frames[1:], duration=100, **options)
    assert np.abs(decoded(data, (16, 16)) - np.array(colours[0])).max() <= 4


def test_a_first_frame_smaller_than_its_gif_lies_over_white():
    """Written by the specification (GIF89a): a canvas of 4 x 4, a frame of 2 x 2 at (1, 1), colour 0 transparent."""
    palette = bytes((250, 10, 20, 30, 40, 50))
    head = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x80, 0, 0) + palette
    control = b"\x21\xf9\x04\x01\0\0\0\0"
    frame = b"\x2c" + struct.pack("<HHHHB", 1, 1, 2, 2, 0)
    # LZW of 1, 1, 1, 0; a clear (4) before each keeps all codes at 3 bits; 5 is the end
    codes, bits, value, at = [4, 1, 4, 1, 4, 1, 4, 0, 5], 3, 0, 0
    for code in codes:
        value |= code << at
        at += bits
    data = value.to_bytes((at + 7) // 8, "little")
    lzw = b"\x02" + bytes([len(data)]) + data + b"\0"
    expected = np.full((4, 4, 3), 255)
    expected[1:3, 1:3] = (30, 40, 50)
    expected[2, 2] = 255  # the transparent one
    assert (decoded(head + control + frame + lzw + b";", (4, 4)) == expected).all()


# ---------------------------------------------------------------- JPEG
@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"optimize": True}, {"subsampling": 2}, {"restart_marker_rows": 1}]
)
@pytest.mark.parametrize("size", [(48, 64), (24, 32), (6, 8)])
def test_progressive_and_other_jpegs(options, size):
    picture = smooth()
    expected = np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BOX)).astype(int)
    data = encode(picture, "JPEG", quality=95, **options)
    assert np.abs(decoded(data, size) - expected).max() <= 8


def inks(height: int = 32, width: int = 40) -> np.ndarray:
    """Smooth amounts of cyan, magenta, yellow and black, uint8 (height, width, 4)."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return (255 * np.stack([x, y, 1 - x, x * y / 2], axis=-1)).astype(np.uint8)


def inked(inks_HW4: np.ndarray) -> np.ndarray:
    """What inks show on white paper."""
    parts = 1 - inks_HW4.astype(float) / 255
    return np.rint(255 * parts[..., :3] * parts[..., 3:]).astype(int)


@pytest.mark.parametrize("half", [False, True], ids=["whole", "half"])
def test_four_inks_written_inverted_as_adobe_does(half):
    data = encode(Image.frombytes("CMYK", (40, 32), inks().tobytes()), "JPEG", quality=100, subsampling=0)
    assert b"Adobe" in data
    expected = inked(inks()) if not half else inked(inks()).reshape(16, 2, 20, 2, 3).mean((1, 3))
    assert np.abs(decoded(data, expected.shape[:2]) - expected).max() <= 6


def test_four_inks_as_luma_and_chroma():
    import simplejpeg

    # libjpeg-turbo writes YCCK; it stores what it is given, and Adobe's readers take that for inverted
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(255 - inks()), 100, "CMYK", "444", fastdct=False)
    assert simplejpeg.decode_jpeg_header(data)[2] == "YCCK"
    assert np.abs(decoded(data, (32, 40)) - inked(inks())).max() <= 8


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_turn_of_the_camera_in_every_format_that_tells_it(form, orientation):
    """Exif 2.32, tag 274, spelled out: where the first row and the first column of what is stored belong."""
    turned = {
        1: lambda one: one,
        2: lambda one: one[:, ::-1],
        3: lambda one: one[::-1, ::-1],
        4: lambda one: one[::-1],
        5: lambda one: one.transpose(1, 0, 2),
        6: lambda one: one.transpose(1, 0, 2)[:, ::-1],
        7: lambda one: one.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda one: one.transpose(1, 0, 2)[::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    if form == "HEIF":
        import pillow_heif

        sink = io.BytesIO()
        pillow_heif.from_pillow(smooth()).save(sink, quality=100, exif=exif.tobytes())
        data = sink.getvalue()
    else:
        data = encode(smooth(), form, exif=exif, **({} if form == "TIFF" else {"quality": 98}))
    expected = turned(np.asarray(smooth())).astype(int)
    assert np.abs(decoded(data, expected.shape[:2]) - expected).max() <= 12


# ---------------------------------------------------------------- sizes and profiles
@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 301)])
def test_thin_pictures_are_cut_around_their_centre(form, size):
    """Of a picture one pixel thin, the part of the wanted proportion is about its middle pixel."""
    height, width = size
    levels = np.linspace(0, 255, height * width).reshape(size).astype(np.uint8)
    data = encode(Image.fromarray(levels), form)
    middle = 0 if size == (1, 1) else 127
    assert np.abs(decoded(data, (5, 5)) - middle).max() <= (130 if size == (2, 301) else 6)
    assert decoded(data, size).shape == (*size, 3)
    if form not in ("JPEG", "WEBP"):
        assert (decoded(data, size, 1)[:, :, 0] == levels).all()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_colour_profile_changes_no_pixel(form):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    options = {"quality": 95} if form in ("JPEG", "WEBP") else {}
    plain, other = encode(smooth(), form, **options), encode(smooth(), form, icc_profile=profile, **options)
    assert len(other) > len(plain)
    assert (decoded(plain, (24, 32)) == decoded(other, (24, 32))).all()


# ---------------------------------------------------------------- one byte too few
@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF"])
def test_a_picture_that_lacks_its_last_byte_is_right_or_named(form):
    whole = encode(smooth(), form)
    try:
        found = decoded(whole[:-1], (48, 64))
    except UndecodablePicture as error:
        assert str(error)
    else:
        assert (found == decoded(whole, (48, 64))).mean() > 0.99


def test_a_jpeg_of_12_bits_is_named():
    data = bytearray(encode(smooth(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 4] = 12
    with pytest.raises(UndecodablePicture):
        decoded(bytes(data))


def test_turns_are_those_of_pillow_too():
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encode(smooth(), "PNG", exif=exif)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
        assert (decoded(data, expected.shape[:2]) == expected).all()
