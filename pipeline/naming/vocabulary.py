"""Classes in words: from a command line, a list or a YAML file to names with their phrases, and to prompts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from pipeline import storage
from pipeline.annotations.class_list import parse_class_list
from pipeline.errors import InputError

_LISTS, _MAPPINGS = (".txt", ".list", ".csv"), (".yaml", ".yml")
# Text towers read some words in a second on a CPU, and a softmax over more than a dictionary names nothing.
MOST_CLASSES = 5000
_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")


@dataclass(frozen=True)
class Vocabulary:
    """Classes: `names`, and for each the `phrases` that say it, at least one."""

    names: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]

    def prompts(self, templates: Sequence[str], split_names: bool) -> tuple[tuple[str, ...], ...]:
        """For each class its phrases in each template's `{}`; `split_names` writes CamelCase as words."""
        return tuple(
            tuple(
                template.replace("{}", split_name(phrase) if split_names else phrase)
                for phrase in phrases
                for template in templates
            )
            for phrases in self.phrases
        )


def split_name(name: str) -> str:
    """`BaseballPitch` and `baseball_pitch` as `baseball pitch`."""
    return " ".join(_WORD_BORDER.sub(" ", name).split()).lower()


def read_vocabulary(classes: Sequence[str], key: str) -> Vocabulary:
    """The classes that a setting gives: names, or the URL of one file that lists them.

    A text file has a name a line, also as datasets number them (`1 BaseballPitch`); a YAML file is a list of names,
    or a mapping from a name to a phrase or to several.

    Args:
        classes: the setting's value.
        key: its key, for messages.
    Raises:
        InputError: there is no such file, or it lists no class, one twice, one without a phrase, or too many.
    """
    first = classes[0].strip()
    if len(classes) == 1 and first.lower().endswith((*_LISTS, *_MAPPINGS)):
        if not storage.exists(first):
            raise InputError(
                f"{key}={first}: no such file; give a file of class names, or the names themselves"
            )
        content = storage.read_bytes(first)
        where = f"{key}={first}"
        if first.lower().endswith(_MAPPINGS):
            names, phrases = _of_yaml(content, where)
        else:
            names = list(parse_class_list(content, where).names)
            phrases = [(name,) for name in names]
    else:
        where = key
        names = [name.strip() for name in classes]
        phrases = [(name,) for name in names]
    _check(names, where)
    return Vocabulary(tuple(names), tuple(phrases))


def _of_yaml(content: bytes, where: str) -> tuple[list[str], list[tuple[str, ...]]]:
    try:
        node = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
        value = yaml.safe_load(content.decode("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{where}: cannot be read as YAML ({reason})") from None
    if isinstance(value, list):
        names = [str(name).strip() for name in value]
        return names, [(name,) for name in names]
    if not isinstance(value, dict) or not isinstance(node, yaml.MappingNode):
        raise InputError(f"{where}: holds neither a list of names nor `name: [phrases]`")
    # Of a key that stands twice YAML keeps the last without a word.
    names = [str(key.value).strip() for key, _ in node.value]
    _check(names, where)
    phrases = []
    for name, said in zip(names, value.values(), strict=True):
        several = said if isinstance(said, list) else [name if said is None else said]
        texts = tuple(text.strip() for text in several if isinstance(text, str) and text.strip())
        if not texts or len(texts) < len(several):
            raise InputError(f"{where}: the phrases of {name!r} must be one text or a list of texts")
        phrases.append(texts)
    return names, phrases


def _check(names: Sequence[str], where: str) -> None:
    if not names:
        raise InputError(f"{where}: lists no class")
    if not all(names):
        raise InputError(f"{where}: a class has no name")
    if len(set(names)) < len(names):
        repeated = next(name for index, name in enumerate(names) if name in names[:index])
        raise InputError(f"{where}: lists {repeated!r} twice; list each class once")
    if len(names) > MOST_CLASSES:
        raise InputError(
            f"{where}: lists {len(names)} classes; at most {MOST_CLASSES} can compete for a segment, "
            "so give those that the videos may show"
        )
