"""What is wrong with a malformed file of annotations or results, in one line that names video and field."""

from typing import Annotated, Any

from pydantic import Field, ValidationError

# No time, rate or count of any video lies beyond: such numbers are damage, and arithmetic on them ends in infinities.
LEAST, MOST = 1e-6, 1e12

# What the models of published files are made of.
Finite = Annotated[float, Field(ge=-MOST, le=MOST, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=LEAST, le=MOST, allow_inf_nan=False)]
LabelNumber = Annotated[int, Field(ge=-(2**63), lt=2**63)]

# Problems whose message needs no "not <the value>" after it.
_SELF_EXPLAINING = {"missing", "json_invalid", "too_short", "too_long"}


def first_problem(error: ValidationError, videos_at: tuple[str, ...] | None = ()) -> str:
    """One line from pydantic's report: `video 'x', annotations[3].segment[1]: Input should be ...`.

    Args:
        error: the report.
        videos_at: the keys that lead to the mapping from video ids to videos; empty where it is the whole file,
            None where there is none.
    """
    problem = error.errors(include_url=False)[0]
    location = list(problem["loc"])
    where, depth = "", len(videos_at or ())
    if videos_at is not None and tuple(location[:depth]) == videos_at and len(location) > depth:
        where, location = f"video {location[depth]!r}", location[depth + 1 :]
    place = ", ".join(part for part in (where, _dotted(location)) if part)
    given = "" if problem["type"] in _SELF_EXPLAINING else f", not {_short(problem['input'])}"
    return f"{place}: {problem['msg']}{given}" if place else f"{problem['msg']}{given}"


def _dotted(location: list[int | str]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _short(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
