"""A training with a budget ends inside it, whatever the machine does meanwhile."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistazo.engine.pacing import Pace, seconds


def run(pace, seconds_of_a_step):
    """Steps at the pace given until the plan is done; (steps done, the progress at each)."""
    done, progress = 0, []
    while done < pace.planned:
        at, steps = pace.at(done)
        progress.append(at / steps)
        done += 1
        pace.passed(done, seconds_of_a_step(done))
    return done, progress


def test_a_plan_without_a_budget_is_the_plan():
    pace = Pace(120)
    done, progress = run(pace, lambda step: 1e6)
    assert done == 120
    assert progress == [step / 120 for step in range(120)]


@given(st.integers(20, 3000), st.floats(0.3, 3.0), st.floats(0.3, 3.0), st.floats(0.05, 0.9))
def test_it_ends_inside_the_budget_however_the_speed_changes(planned, before, after, when):
    budget = 100.0
    step = 0.93 * budget / planned  # as the trial said
    change = when * planned
    pace = Pace(planned, budget)
    done, progress = run(pace, lambda at: step * (before if at < change else after))
    # One look is two hundredths of the budget; a speed that triples just before the end cannot be known.
    slack = 2 * budget / 50 * max(before, after) + 3 * step * max(before, after)
    assert pace.spent <= budget + slack
    if min(before, after) > 0.75:
        assert pace.spent >= 0.7 * budget - slack
    assert all(one <= other + 1e-9 for one, other in zip(progress, progress[1:], strict=False))
    assert progress[-1] <= 1.0
    assert done == pace.planned


@pytest.mark.parametrize("speed", [0.4, 0.7, 1.0, 1.5, 2.5])
def test_a_steady_machine_ends_where_it_should(speed):
    pace = Pace(1000, 100.0)
    _, progress = run(pace, lambda step: 0.093 * speed)
    assert 85 <= pace.spent <= 100
    assert progress[-1] == pytest.approx(1.0, abs=0.01)  # the schedule came to its end


def test_small_deviations_change_nothing():
    pace = Pace(1000, 100.0)
    done, progress = run(pace, lambda step: 0.093 * (1 + 0.05 * math.sin(step)))
    assert done == 1000
    assert progress == [step / 1000 for step in range(1000)]


def test_a_resumed_pace_goes_on_as_the_saved_one():
    one, other = Pace(500, 50.0), Pace(500, 50.0)
    for step in range(1, 301):
        one.passed(step, 0.2)
    other.load_state_dict(one.state_dict())
    assert (other.planned, other.spent) == (one.planned, one.spent)
    assert other.planned < 500
    assert [other.at(step) for step in range(300, other.planned)] == [
        one.at(step) for step in range(300, one.planned)
    ]


def test_a_machine_faster_than_the_trial_makes_no_more_steps_than_the_most():
    pace = Pace(1000, 100.0, most=1500)
    done, progress = run(pace, lambda step: 0.01)
    assert done == 1500
    assert progress[-1] == pytest.approx(1.0, abs=0.01)
    pace = Pace(1500, 100.0, most=1500)
    done, progress = run(pace, lambda step: 0.01)
    assert progress == [step / 1500 for step in range(1500)]


@pytest.mark.parametrize("at", [10, 1000, 1900])
def test_the_first_look_after_a_resume_times_the_steps_since_then(at):
    one, other = Pace(2000, 200.0), Pace(2000, 200.0)
    for step in range(1, at + 1):
        one.passed(step, 0.093)
    other.load_state_dict(one.state_dict())
    assert not any(other.passed(step, 0.093) for step in range(at + 1, 2001))
    assert other.planned == 2000
    assert other.spent == pytest.approx(186)


def slowing(step):
    return 0.05 if step < 400 else 0.2 if step < 700 else 0.09


def test_changes_that_were_written_down_are_made_again_without_a_clock():
    one, other = Pace(1000, 100.0), Pace(1000, 100.0)
    done, progress = run(one, slowing)
    assert len(one.changes) >= 3
    assert [step for step, _ in one.changes] == sorted({step for step, _ in one.changes})
    other.follow(one.changes, to_the_end=True)
    assert run(other, lambda step: 1e6) == (done, progress)  # to the last bit of each progress
    assert other.changes == one.changes


def test_a_resumed_pace_repeats_what_was_changed_after_its_checkpoint_and_then_looks_at_the_clock():
    one, other = Pace(1000, 100.0), Pace(1000, 100.0)
    for step in range(1, 801):
        one.passed(step, slowing(step))
        if step == 300:
            kept = one.state_dict()
    first, *_, last = (step for step, _ in one.changes)
    assert first < 300 < last
    made = [*one.changes]
    other.follow(made, to_the_end=False)
    other.load_state_dict(kept)
    seen = []
    for step in range(301, 801):
        other.passed(step, 0.001)  # so fast that it would be made longer at once
        if step <= last:
            assert other.changes == made
        seen.append(other.at(step))
    assert other.changes[: len(made)] == made
    assert len(other.changes) > len(made)
    again = Pace(1000, 100.0)
    again.follow(other.changes, to_the_end=True)
    for step in range(1, 801):
        again.passed(step, 0.0)
        assert step <= 300 or again.at(step) == seen[step - 301]


def test_a_training_has_a_step():
    with pytest.raises(ValueError, match="at least one step"):
        Pace(0)


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("90", 90), ("5m", 300), ("5min", 300), ("1.5h", 5400), ("0.5s", 0.5)]
)
def test_a_time_is_read(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "m", "5 m", "-5s", "5d", "1e3s"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="a time is written as in"):
        seconds(text)
