"""How two trees of settings differ: every leaf that is not the same, and no other."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.differences import differences, flat

LEAVES = st.none() | st.integers(0, 3) | st.lists(st.integers(0, 2), max_size=2)
TREES = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
)


def test_keys_are_dotted_and_tuples_are_lists() -> None:
    assert flat({"a": {"b": (1, 2), "c": {"d": None}}, "e": 0}) == {"a.b": [1, 2], "a.c.d": None, "e": 0}


def test_each_difference_has_both_sides_and_ignored_groups_none() -> None:
    before = {"a": {"b": 1, "c": 2}, "d": 3, "ray": {"cpus": 1}}
    now = {"a": {"b": 1, "c": 5}, "e": 4, "ray": {"cpus": 2}}
    assert differences(before, now, {"ray"}) == {"a.c": (2, 5), "d": (3, None), "e": (None, 4)}
    assert "ray.cpus" in differences(before, now)
    assert differences(before, now, {"a.c", "d", "e", "ray"}) == {}


@given(TREES, TREES)
def test_a_tree_differs_from_another_as_the_other_from_it(one: dict[str, Any], other: dict[str, Any]) -> None:
    there = differences(one, other)
    assert {key: (b, a) for key, (a, b) in differences(other, one).items()} == there
    assert differences(one, one) == {}
    same = flat(one).keys() & flat(other).keys() - there.keys()
    assert all(flat(one)[key] == flat(other)[key] for key in same)
