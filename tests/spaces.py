"""Hypothesis strategies for spaces: every kind of entry, nested, with priors and defaults.

@given(spaces(), seeds)
def test_...(space, seed):
    config = space.sample(np.random.default_rng(seed))
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tunewell.errors import SpaceError
from tunewell.space import (
    Choice,
    Constant,
    Entry,
    Float,
    Int,
    LogNormal,
    Normal,
    Ordinal,
    Quantiles,
    Space,
    Weights,
)

seeds = st.integers(0, 2**32 - 1)
shares = st.floats(0, 1)


def _fitting(build: Any, **extra: Any) -> Any:
    """`build(**extra)`, without what does not fit the range: a strategy should not have to know all the rules."""
    for left in (extra, {}):
        try:
            return build(**left)
        except SpaceError:
            continue
    return None


def priors(low: float, high: float) -> st.SearchStrategy[Any]:
    """None, or a prior somewhere about [low, high]."""
    middle, width = (low + high) / 2, (high - low) or 1.0
    return st.one_of(
        st.none(),
        st.builds(Normal, st.just(middle), st.sampled_from([width / 10, width, width * 10])),
        st.builds(LogNormal, st.just(max(abs(middle), 1e-3)), st.sampled_from([0.1, 1.0])),
        st.just(Quantiles([low, middle, middle, high]) if low <= middle <= high else None),
    )


@st.composite
def floats(draw: st.DrawFn) -> Float:
    """A Float: of any magnitude, logarithmic, or with decimal steps."""
    kind = draw(st.sampled_from(["linear", "log", "step"]))
    if kind == "step":
        scale = 10 ** draw(st.integers(0, 6))
        first, step, count = draw(st.integers(-999, 999)), draw(st.integers(1, 99)), draw(st.integers(0, 200))
        low, high = first / scale, (first + step * count) / scale
        build: Any = lambda **more: Float(low, high, step=step / scale, **more)  # noqa: E731
    else:
        bound = st.floats(1e-100, 1e100) if kind == "log" else st.floats(-1e100, 1e100)
        low, high = sorted((draw(bound), draw(bound)))
        if draw(st.booleans()):
            high = low + abs(low) * draw(st.floats(0, 1e-12))  # fewer floats in the range than points on the grid
        build = lambda **more: Float(low, high, log=kind == "log", **more)  # noqa: E731
    default = draw(st.sampled_from([None, low, high]))
    return _fitting(build, default=default, prior=draw(priors(low, high)))


@st.composite
def ints(draw: st.DrawFn) -> Int:
    """An Int: small or huge, logarithmic, or with steps."""
    kind = draw(st.sampled_from(["linear", "log", "step"]))
    if kind == "step":
        low, step = draw(st.integers(-1000, 1000)), draw(st.integers(1, 50))
        high = low + step * draw(st.integers(0, 100))
        build: Any = lambda **more: Int(low, high, step=step, **more)  # noqa: E731
    else:
        bound = st.one_of(st.integers(1, 100), st.integers(1, 2**53))
        low, high = sorted((draw(bound), draw(bound)))
        if kind == "linear" and draw(st.booleans()):
            low, high = low - high, high - low
            low, high = min(low, high), max(low, high)
            high = min(high, low + 2**53)
        build = lambda **more: Int(low, high, log=kind == "log", **more)  # noqa: E731
    default = draw(st.sampled_from([None, low, high]))
    return _fitting(build, default=default, prior=draw(priors(low, high)))


def scalars(null: bool = True) -> st.SearchStrategy[Any]:
    """JSON scalars that TOML knows too, unless `null`."""
    text = st.text("abcxyz /=_-'\"\\\u00e9\u2603", max_size=4)
    plain = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), st.floats(-1e9, 1e9), text)
    return st.one_of(st.none(), plain) if null else plain


def _distinct(value: Any) -> Any:
    return str((type(value), value)) if isinstance(value, bool | list | str | None) else float(value)


@st.composite
def listed(draw: st.DrawFn, null: bool = True) -> Entry:
    """A Choice or an Ordinal of JSON values, some of them lists."""
    value = st.one_of(scalars(null), st.lists(st.integers(0, 9), max_size=3))
    values = draw(st.lists(value, min_size=1, max_size=5, unique_by=_distinct))
    kind: Any = draw(st.sampled_from([Choice, Ordinal]))
    weights = draw(st.none() | st.lists(st.integers(0, 3), min_size=len(values), max_size=len(values)))
    extra = {"default": draw(st.sampled_from(values))} if draw(st.booleans()) else {}
    return kind(values, prior=Weights(weights) if weights and any(weights) else None, **extra)


@st.composite
def branched(draw: st.DrawFn, prefix: str, depth: int, null: bool = True) -> Choice:
    """A Choice with a sub-space below each option; the branches share names."""
    options = draw(st.lists(st.sampled_from(["sgd", "adam", "a b", "x", ""]), min_size=1, max_size=3, unique=True))
    return Choice({option: draw(entries(prefix, depth - 1, null, least=0)) for option in options})


@st.composite
def entries(draw: st.DrawFn, prefix: str = "p", depth: int = 2, null: bool = True, least: int = 1) -> dict[str, Entry]:
    """Names and entries, nested up to `depth` deep."""
    found: dict[str, Entry] = {}
    for number in range(draw(st.integers(least, 3))):
        name = f"{prefix}{number}"
        kinds = [floats(), ints(), listed(null), st.builds(Constant, scalars(null))]
        if depth > 0:
            kinds += [branched(f"{name}_", depth, null)]
        found[name] = draw(st.one_of(kinds))
    return found


def spaces(depth: int = 2, null: bool = True) -> st.SearchStrategy[Space]:
    """Spaces without constraints, nested up to `depth` deep; `null` allows None as an option."""
    return st.builds(Space, entries("p", depth, null))
