"""What every plugin of the kind schedules promises."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, cast

from recsmith.testing.conformance.subject import Violation, expect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsmith.contracts.config import Choice
    from recsmith.contracts.training import Schedule
    from recsmith.testing.conformance.subject import Subject

STEPS = [step / 100 for step in range(101)]
HIGHEST = 10.0  # above it the learning rate that is searched would tell nothing of the one that is used
SCORES = (0.1, 0.2, 0.2, 0.15, 0.1, 0.3, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.4, 0.4, 0.4)  # after each epoch
EXTREME = (0.0, -0.0, -3.5, 1e-300, 1e300, -1e300, 1e300, 0.5)


def factors_are_sane(subject: Subject) -> None:
    """From the first step to the last the factor is a finite number from 0 to 10, and not 0 all the time."""
    for label, choice in subject.corners():
        schedule = _build(subject, choice)
        factors = [_sane(schedule, progress, label) for progress in STEPS]
        expect(any(factors), f"{label}: the factor is 0 at every step")


def asking_changes_nothing(subject: Subject) -> None:
    """The factor at a progress is the same however often and in whatever order it is asked for."""
    for label, choice in subject.corners():
        schedule = _build(subject, choice)
        forth, back = _factors(schedule, STEPS), _factors(schedule, STEPS[::-1])[::-1]
        for progress, first, again in zip(STEPS, forth, back, strict=True):
            expect(
                first == again,
                f"{label}: the factor at {progress} was {first}, then {again}: only `observe` may change it",
            )


def hears_any_score(subject: Subject) -> None:
    """`observe` takes every finite score: negative, zero, huge and repeated ones; the factor stays sane."""
    for label, choice in subject.corners():
        schedule = _build(subject, choice)
        for score in EXTREME:
            try:
                schedule.observe(score)
            except Exception as error:
                raise Violation(f"{label}: observe({score}) raised {type(error).__name__}: {error}") from error
            for progress in STEPS[::10]:
                _sane(schedule, progress, f"{label}, after observe({score})")


def equal_scores_give_equal_factors(subject: Subject) -> None:
    """Two schedules that heard the same scores give the same factors: no clock and no chance."""
    for label, choice in subject.corners():
        one, two = _run(_build(subject, choice), SCORES), _run(_build(subject, choice), SCORES)
        expect(one == two, f"{label}: after the same scores two schedules differ, {_difference(one, two)}")


def state_is_numbers(subject: Subject) -> None:
    """`state()` maps names to finite numbers, so that JSON can keep it, before the first score and after any."""
    for label, choice in subject.corners():
        schedule = _build(subject, choice)
        for heard in range(len(SCORES) + 1):
            state: Any = schedule.state()
            expect(isinstance(state, dict), f"{label}: state() is {type(state).__name__}, not a dict")
            for name, value in state.items():
                number = isinstance(value, (int, float)) and not isinstance(value, bool)
                expect(
                    isinstance(name, str) and number and math.isfinite(value),
                    f"{label}: state()[{name!r}] after {heard} scores is {value!r}, not a finite number",
                )
            schedule.observe(SCORES[heard % len(SCORES)])


def goes_on_from_its_state(subject: Subject) -> None:
    """A new schedule that loads the state continues exactly as the old one would have, after any epoch."""
    for label, choice in subject.corners():
        for cut in range(len(SCORES) + 1):
            old, new = _build(subject, choice), _build(subject, choice)
            _run(old, SCORES[:cut])
            new.load(_through_json(old.state()))
            whole, resumed = _run(old, SCORES[cut:]), _run(new, SCORES[cut:])
            expect(whole == resumed, f"{label}: resumed after {cut} scores it differs, {_difference(whole, resumed)}")


CHECKS = (
    factors_are_sane,
    asking_changes_nothing,
    hears_any_score,
    equal_scores_give_equal_factors,
    state_is_numbers,
    goes_on_from_its_state,
)


def _build(subject: Subject, choice: Choice) -> Schedule:
    return cast("Schedule", subject.registry.build(subject.kind, choice, subject.registry.context(users=1)))


def _factors(schedule: Schedule, steps: Sequence[float]) -> list[str]:
    """Every digit of the factors, so that NaN equals itself."""
    return [repr(schedule.factor(progress)) for progress in steps]


def _sane(schedule: Schedule, progress: float, where: str) -> float:
    """The factor, if it is one that a learning rate can be multiplied by."""
    factor = schedule.factor(progress)
    number = isinstance(factor, (int, float)) and not isinstance(factor, bool)
    expect(number, f"{where}: the factor at {progress} is {factor!r}, not a float")
    expect(0 <= factor <= HIGHEST, f"{where}: the factor at {progress} is {factor!r}, not from 0 to {HIGHEST:g}")
    return factor


def _run(schedule: Schedule, scores: Sequence[float]) -> list[list[str]]:
    """The factors before the first score and after each, at progress 0 to 1."""
    factors = [_factors(schedule, STEPS[::10])]
    for score in scores:
        schedule.observe(score)
        factors.append(_factors(schedule, STEPS[::10]))
    return factors


def _through_json(state: dict[str, float]) -> dict[str, float]:
    return cast("dict[str, float]", json.loads(json.dumps(state)))


def _difference(expected: list[list[str]], found: list[list[str]]) -> str:
    for epoch, (left, right) in enumerate(zip(expected, found, strict=True)):
        for progress, one, other in zip(STEPS[::10], left, right, strict=True):
            if one != other:
                return f"first after {epoch} more at progress {progress}: {other} and not {one}"
    return "nowhere"
