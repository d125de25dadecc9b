"""Who works on a shared run, and how long anybody did."""

import pytest

from vistazo.engine import sittings


@pytest.mark.parametrize(
    ("intervals", "seconds"),
    [
        ([], 0),
        ([(100, 60)], 60),
        ([(100, 60), (200, 30)], 90),  # one after the other, a pause between
        ([(100, 60), (110, 20)], 60),  # one inside the other
        ([(110, 60), (100, 20)], 70),
        ([(100, 10), (105, 10), (112, 10), (200, 1)], 23),
    ],
)
def test_seconds_with_anybody_at_work_are_counted_once(intervals, seconds):
    assert sittings.together(intervals) == seconds


def test_a_sitting_is_at_work_until_it_ends_and_its_seconds_stay(tmp_path):
    assert not sittings.at_work(tmp_path)
    one = sittings.Sitting(tmp_path, 5.0)
    assert sittings.at_work(tmp_path)
    one.end(7.0)
    assert not sittings.at_work(tmp_path)
    other = sittings.Sitting(tmp_path, 0.0)
    other.began = one.began + 100
    assert other.spent(2.0) == pytest.approx(9.0)
    other.end(2.0)
    sittings.forget(tmp_path)
    assert sittings.Sitting(tmp_path, 1.0).spent(1.0) == pytest.approx(1.0)


def test_a_file_that_a_power_cut_left_is_no_time(tmp_path):
    one = sittings.Sitting(tmp_path, 1.0)
    (tmp_path / sittings.FOLDER / "1-cut.json").write_text('{"began": 1')
    assert one.spent(3.0) == pytest.approx(3.0)
