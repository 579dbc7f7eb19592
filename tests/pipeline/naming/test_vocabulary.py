"""Classes in words: names, files, prompts, and what is wrong with them in a line."""

from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.naming.vocabulary import MOST_CLASSES, read_vocabulary, split_name


def of_file(folder: Path, name: str, content: str) -> tuple[str, ...]:
    (folder / name).write_text(content)
    return (str(folder / name),)


def test_names_on_the_command_line() -> None:
    found = read_vocabulary([" high jump", "pole vault "], "naming.classes")
    assert found.names == ("high jump", "pole vault")
    assert found.phrases == (("high jump",), ("pole vault",))


@pytest.mark.parametrize(
    "content", ["a dog barks\nTennis\n", "1 a dog barks\n2 Tennis\n", "0\ta dog barks\n7\tTennis"]
)
def test_a_list_in_a_text_file_is_read_as_datasets_publish_theirs(tmp_path: Path, content: str) -> None:
    assert read_vocabulary(of_file(tmp_path, "classes.txt", content), "k").names == ("a dog barks", "Tennis")


def test_yaml_gives_a_class_several_phrases(tmp_path: Path) -> None:
    content = "jump: [a person jumps, 'leaps, far']\nopen door: somebody opens a door\nTennis:\n"
    found = read_vocabulary(of_file(tmp_path, "classes.yaml", content), "k")
    assert found.names == ("jump", "open door", "Tennis")
    assert found.phrases == (("a person jumps", "leaps, far"), ("somebody opens a door",), ("Tennis",))
    assert read_vocabulary(of_file(tmp_path, "list.yml", "- a\n- b\n"), "k").names == ("a", "b")


def test_prompts_are_every_phrase_in_every_template() -> None:
    found = read_vocabulary(["HighJump", "walk"], "k").prompts(["a {}", "{} in a video"], split_names=True)
    assert found == (("a high jump", "high jump in a video"), ("a walk", "walk in a video"))
    assert read_vocabulary(["HighJump"], "k").prompts(["a {}"], split_names=False) == (("a HighJump",),)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("BaseballPitch", "baseball pitch"), ("CleanAndJerk", "clean and jerk"), ("Arm wrestling", "arm wrestling"),
        ("TVShow", "tv show"), ("high_jump", "high jump"), ("ThrowDiscus2Hands", "throw discus2 hands"),
    ],
)  # fmt: skip
def test_names_as_words(name: str, words: str) -> None:
    assert split_name(name) == words


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "run\nwalk\nrun\n", "lists 'run' twice"),
        ("a.txt", "\n \n", "lists no class"),
        ("a.txt", "\n".join(map(str, range(10_000))), f"lists 10000 classes; at most {MOST_CLASSES} can"),
        ("a.yaml", "run: [a]\nrun: [b]\n", "lists 'run' twice"),
        ("a.yaml", "run: []\n", "the phrases of 'run' must be"),
        ("a.yaml", "run: [a, {b: c}]\n", "the phrases of 'run' must be"),
        ("a.yaml", "", "holds neither a list of names nor"),
        ("a.yaml", "[]", "lists no class"),
        ("a.yaml", "run: [a\n", "cannot be read as YAML"),
        ("a.yaml", "!!python/object/apply:os.system ['true']", "cannot be read as YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_a_line(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_vocabulary(of_file(tmp_path, name, content), "naming.classes")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_a_file_that_is_not_there_is_no_class(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"naming.classes=.*no.txt: no such file"):
        read_vocabulary([str(tmp_path / "no.txt")], "naming.classes")
    with pytest.raises(InputError, match=r"naming.classes: lists 'a' twice"):
        read_vocabulary(["a", "b", "a"], "naming.classes")
    with pytest.raises(InputError, match=r"naming.classes: a class has no name"):
        read_vocabulary(["a", " "], "naming.classes")
