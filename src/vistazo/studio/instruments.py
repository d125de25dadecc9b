"""What a page sees and draws with: paper and the webcam. Each is an element with a small script of its own."""

from base64 import b64decode
from binascii import Error
from typing import Any

from nicegui.element import Element

__all__ = ["MOST_FRAME", "Paper", "Webcam", "frame_of"]

MOST_FRAME = 1 << 20  # bytes of a frame


class Paper(Element, component="drawing.js"):
    """Paper to draw on. words: what it is called; light: light lines on dark; width: of a line, a share of the paper.

    Emits 'drawn' with {"strokes": [[[x ...], [y ...]] ...]} on paper 256 units wide after every stroke.
    """

    def __init__(self, words: str, *, light: bool, width: float) -> None:
        super().__init__()
        self.props.update(words=words, thickness=256 * width)
        self.turn(light=light)

    def turn(self, *, light: bool) -> None:
        """Draw light on dark, or dark on light, from now on."""
        self.props.update(pen="#fff" if light else "#000", ground="#000" if light else "#fff")

    def undo(self) -> None:
        """Take the last stroke back."""
        self.run_method("undo")

    def wipe(self) -> None:
        """Begin with empty paper."""
        self.run_method("clear")


class Webcam(Element, component="webcam.js"):
    """The webcam of whoever looks at the page; dark until `start`.

    Emits 'started', 'stopped' with {"why"}, 'refused' with {"reason"}, and 'frame' with {"jpeg", "series"}.
    """

    def __init__(self, words: str) -> None:
        super().__init__()
        self.props["words"] = words

    def start(self) -> None:
        """Ask for the camera."""
        self.run_method("start")

    def stop(self) -> None:
        """Let go of it."""
        self.run_method("stop", "asked")

    def take(self) -> None:
        """Take one frame."""
        self.run_method("take")

    def series(self, on: bool) -> None:
        """Take frame after frame, or no more."""
        self.run_method("go_on", on)

    def answered(self) -> None:
        """Say that the last frame has its answer, so that the next may be taken."""
        self.run_method("answered")


def frame_of(told: Any) -> bytes:
    """The JPEG in a frame's address; empty where it holds none, or far too much."""
    text = told if isinstance(told, str) else ""
    head, _, body = text.partition(",")
    if head != "data:image/jpeg;base64" or len(body) > 4 * MOST_FRAME // 3:
        return b""
    try:
        return b64decode(body, validate=True)
    except Error:
        return b""
