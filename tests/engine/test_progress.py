from io import StringIO
from types import SimpleNamespace

import pytest

from vistazo import language
from vistazo.engine import progress as module
from vistazo.engine.progress import Progress, duration


class Terminal(StringIO):
    def isatty(self):
        return True


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))
    return clock


def epoch(number, **validation):
    return {"epoch": number, "train": {"loss": 1.5}, **({"validation": validation} if validation else {})}


def work(progress, clock, *, epochs=2, steps=3, seconds=0.5):
    progress.begin(planned=epochs * steps, steps=steps, done=0)
    for number in range(epochs):
        for _ in range(steps):
            clock.now += seconds
            progress.stepped()
        clock.now += 2  # validation
        progress.epoch_ended(epoch(number + 1, accuracy=0.25, macro_f1=0.5))


def screen(text):
    """The lines a terminal shows after that output, as '\\r' and '\\n' move its cursor."""
    shown = []
    for line in text.split("\n"):
        cells = []
        for piece in line.split("\r"):
            cells[: len(piece)] = piece
        shown.append("".join(cells).rstrip())
    return shown


def test_without_a_terminal_there_is_exactly_one_line_an_epoch(clock):
    stream = StringIO()
    work(Progress(quiet=False, stream=stream), clock)
    figures = "train loss 1.5000 · validation accuracy 0.2500 · validation macro f1 0.5000 · 3.5 s"
    assert stream.getvalue() == f"epoch 1/2 · {figures}\nepoch 2/2 · {figures}\n"


def test_on_a_terminal_the_live_line_is_cleared_before_anything_else_is_told(clock):
    stream = Terminal()
    progress = Progress(quiet=False, stream=stream)
    work(progress, clock)
    progress.say("done")
    live = stream.getvalue()
    assert "epoch 1/2 · step 1/3 · measuring the speed" in live
    assert "about" in live
    shown = screen(live)
    assert [line[:9] for line in shown] == ["epoch 1/2", "epoch 2/2", "done", ""]
    assert all(line.endswith("3.5 s") for line in shown[:2])  # nothing of the live line is left behind it


def test_text_said_in_the_middle_of_an_epoch_survives_the_live_line(clock):
    stream = Terminal()
    progress = Progress(quiet=False, stream=stream)
    progress.begin(planned=1 * 9, steps=9, done=0)
    for step in range(9):
        clock.now += 1
        progress.stepped()
        if step == 4:
            progress.say("ñ")
    assert screen(stream.getvalue())[0] == "ñ"
    assert screen(stream.getvalue())[1].startswith("epoch")


def test_the_live_line_is_drawn_at_most_five_times_a_second(clock):
    stream = Terminal()
    progress = Progress(quiet=False, stream=stream)
    progress.begin(planned=1 * 1000, steps=1000, done=0)
    for _ in range(1000):
        clock.now += 0.01
        progress.stepped()
    assert 40 <= stream.getvalue().count("step ") <= 51  # of ten seconds


def test_quiet_says_nothing_anywhere(clock, capsys):
    for stream in (StringIO(), Terminal()):
        progress = Progress(quiet=True, stream=stream)
        work(progress, clock)
        progress.say("text")
        assert stream.getvalue() == ""
    assert capsys.readouterr() == ("", "")


def test_everything_goes_to_standard_error_unless_told_otherwise(capsys):
    Progress(quiet=False).say("text")
    assert capsys.readouterr() == ("", "text\n")


def test_there_is_no_estimate_before_a_second_of_steps(clock):
    progress = Progress(quiet=True)
    progress.begin(planned=1 * 100, steps=100, done=0)
    assert progress.seconds_left() is None
    for _ in range(9):
        clock.now += 0.1
        progress.stepped()
    assert progress.seconds_left() is None
    clock.now += 0.2
    progress.stepped()
    assert progress.seconds_left() == pytest.approx(90 * 0.11)


def test_the_estimate_counts_the_steps_left_and_the_ends_of_epochs(clock):
    progress = Progress(quiet=True)
    progress.begin(planned=4 * 10, steps=10, done=0)
    for _ in range(10):
        clock.now += 1
        progress.stepped()
    clock.now += 5
    progress.epoch_ended(epoch(1))
    clock.now += 1
    progress.stepped()
    assert progress.seconds_left() == pytest.approx(29 * 1 + 3 * 5)  # validation is no step


def test_the_estimate_of_a_resumed_run_rests_on_what_this_process_measured(clock):
    progress = Progress(quiet=True)
    progress.begin(planned=2 * 50, steps=50, done=90)
    for _ in range(4):
        clock.now += 2
        progress.stepped()
    assert progress.seconds_left() == pytest.approx(6 * 2)


def test_the_seconds_of_an_epoch_are_those_of_its_steps(clock):
    progress = Progress(quiet=True)
    progress.begin(planned=2 * 2, steps=2, done=0)
    assert progress.epoch_seconds() == 0
    for _ in range(2):
        clock.now += 3
        progress.stepped()
    clock.now += 100
    assert progress.epoch_seconds() == 6
    progress.epoch_ended(epoch(1))
    assert progress.epoch_seconds() == 0


def test_a_resumed_run_goes_on_with_its_epoch_on_the_live_line(clock):
    stream = Terminal()
    progress = Progress(quiet=False, stream=stream)
    progress.begin(planned=3 * 10, steps=10, done=14)
    clock.now += 1
    progress.stepped()
    assert screen(stream.getvalue())[0].startswith("epoch 2/3 · step 5/10 ·")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"), (4.24, "4.2 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (60, "1 min 00 s"),
        (185, "3 min 05 s"), (3599.4, "59 min 59 s"), (3599.6, "1 h 00 min"), (7800, "2 h 10 min"),
        (90_000, "25 h 00 min"),
    ],
)  # fmt: skip
def test_durations_read_like_speech(seconds, text):
    assert duration(seconds) == text


def test_a_spanish_speaker_sees_the_same_figures_with_a_comma(clock):
    with language.speaking("es"):
        stream = StringIO()
        work(Progress(quiet=False, stream=stream), clock)
    assert stream.getvalue().count("\n") == 2
    assert "1,5000" in stream.getvalue()
