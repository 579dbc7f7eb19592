"""Class lists in their published forms name the numbers of annotations."""

import pyarrow as pa
import pytest

from pipeline.annotations.canonical import INSTANCES_SCHEMA
from pipeline.annotations.class_list import parse_class_list
from pipeline.annotations.published import Published, merge, settle
from pipeline.errors import InputError


def named(content, labels):
    rows = [{"video_id": "v", "t_start": 0.0, "t_end": 1.0, "label": label} for label in labels]
    table = pa.Table.from_pylist(rows, schema=INSTANCES_SCHEMA)
    return parse_class_list(content.encode(), "list.txt").name(table)["label"].to_pylist()


@pytest.mark.parametrize(
    ("content", "labels", "names"),
    [
        (
            "1 BaseballPitch\n2 BasketballBlock\n",
            ["2", "1"],
            ["BasketballBlock", "BaseballPitch"],
        ),  # MultiTHUMOS
        ("c000 Holding some clothes\nc001 Putting clothes somewhere\n", ["1"], ["Putting clothes somewhere"]),
        ("c000 Holding some clothes\nc001 Putting them down\n", ["c001", "c000"], None),
        ("0\tEnter\n1\tWalk\n2\tMake_coffee\n", ["2", "0"], ["Make_coffee", "Enter"]),  # TSU
        ("\ufeffEnter\r\nWalk\r\n\r\n", ["0", "1"], ["Enter", "Walk"]),  # a plain list, from 0
        ("Enter\nWalk\n", ["2"], ["Walk"]),  # from 1
        ("3 Walk\n1 Enter\n", ["1", "3", "1"], ["Enter", "Walk", "Enter"]),
        ("Long jump\nHigh jump\n", ["High jump", "Long jump"], ["High jump", "Long jump"]),
        ("3 x 100 m\nHigh jump\n", ["3 x 100 m"], ["3 x 100 m"]),  # not every line has a number
    ],
)
def test_published_forms(content, labels, names):
    assert named(content, labels) == (names or ["Putting them down", "Holding some clothes"])


def test_numbers_that_could_begin_at_0_or_1_are_not_guessed():
    with pytest.raises(InputError, match=r"^list\.txt: may number its 3 classes from 0 or from 1"):
        named("a\nb\nc\n", ["1", "2"])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe", "not UTF-8 text"),
        (b"\n \n", "lists no class"),
        (b"a\nb\na\n", "lists 'a' twice"),
        (b"1 a\n1 b\n", "lists 1 twice"),
    ],
)
def test_a_malformed_list_is_one_line_naming_the_file(content, told):
    with pytest.raises(InputError, match=rf"^list\.txt: .*{told}"):
        parse_class_list(content, "list.txt")


def test_the_list_is_the_vocabulary_and_must_know_every_label():
    published = Published.of_rows([("v", "train", 9.0, None)], [("v", 0, 1, "1"), ("v", 2, 3, "2")])
    classes = parse_class_list(b"1 run\n2 jump\n3 never\n", "list.txt")
    assert settle(published, "mine.json", classes=classes).labels == ("run", "jump", "never")
    with pytest.raises(InputError, match=r"^mine\.json: video 'v' has label '2'; add it"):
        settle(published, "mine.json", classes=parse_class_list(b"0 stand\n1 run\n", "list.txt"))


def test_files_of_one_dataset_share_their_classes():
    parts = [
        Published.of_rows([(v, v, 9.0, None)], [], labels)
        for v, labels in (("a", ("x", "y")), ("b", ("y", "z")))
    ]
    assert merge(parts, "both").labels == ("x", "y", "z")
    unlisted = Published.of_rows([("c", "c", 9.0, None)], [("c", 1, 2, "w")])
    assert merge([*parts, unlisted], "all").labels is None
    assert settle(merge([*parts, unlisted], "all"), "all").labels == ("w",)
