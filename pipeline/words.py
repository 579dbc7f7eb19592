"""The `key=value` words of a command line as Hydra must see them: what is text is taken as it stands.

Paths and ids hold commas, brackets, quotes, `#` and `=`, which mean something in Hydra's grammar.
"""

import re
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from pipeline.errors import InputError

_UNQUOTED = ("null", "???")
_QUOTES = ("'", '"')
_STRANGE = re.compile(r"[^\w.+-]")


def as_override(word: str, field: FieldInfo | None) -> str:
    """The word with its value quoted where the field is a text or a list of texts; any other word as it is.

    A list is `[a,b]`, `a,b` or `a`. In it a comma parts items, unless it stands in quotes around the item, in brackets
    that close again, or behind a backslash.

    Raises InputError, saying how to quote, where quotes do not close.
    """
    key, _, value = word.partition("=")
    if field is None or value in _UNQUOTED:
        return word
    if not _is_texts(field.annotation):
        # Numbers and other values are read by Hydra; what cannot be one is for the check of types to refuse.
        readable = not _is_text(field.annotation) and (value[:1] in ("[", "{") or not _STRANGE.search(value))
        return word if readable or _is_quoted(value) else f"{key}={_quote(value)}"
    return f"{key}=[{','.join(_quote(item) for item in _items(_without_brackets(value, word), word))}]"


def _is_text(kind: Any) -> bool:
    """Whether a type is `str`, a choice of texts, or either of them or None."""
    parts = [part for part in get_args(kind) if part is not type(None)] if _is_optional(kind) else [kind]
    return all(_plain(part) is str or get_origin(part) is Literal for part in parts)


def _plain(kind: Any) -> Any:
    """A type without what is annotated to it, such as that it is a path."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _is_texts(kind: Any) -> bool:
    """Whether a type is a tuple of any number of texts, or that or None."""
    parts = [part for part in get_args(kind) if part is not type(None)] if _is_optional(kind) else [kind]
    return all(get_origin(part) is tuple and _is_text(get_args(part)[0]) for part in parts)


def _is_optional(kind: Any) -> bool:
    return type(None) in get_args(kind)


def _is_quoted(value: str) -> bool:
    """Whether a text stands in quotes as a whole, so that these are Hydra's."""
    return re.fullmatch(r"""'([^'\\]|\\.)*'|"([^"\\]|\\.)*\"""", value, re.DOTALL) is not None


def _quote(text: str) -> str:
    """A text in Hydra's quotes. What looks like an interpolation is none, but for the environment's (`oc.env`)."""
    text = re.sub(r"(\\*)\$\{(?!oc\.env:)", r"\1\1\\${", text)
    # Backslashes count only before a quote, that at the end included.
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)$", r"\1\1", escaped) + "'"


def _without_brackets(value: str, word: str) -> str:
    """What stands in the brackets of a list; a list without them, such as `[2019] tour,b`, is all of it."""
    if value.startswith("[") and value.endswith("]"):
        inner = value[1:-1]
        return inner if _brackets_close(inner) or not _brackets_close(value) else value
    if value.startswith("[") and not _brackets_close(value):
        raise InputError(f"{word}: the list does not end; close it with ]")
    return value


def _items(text: str, word: str) -> list[str]:
    """The items of a list, without the quotes around them."""
    nested = _brackets_close(text)
    items: list[str] = []
    place = 0
    while place <= len(text) and text.strip():
        place += len(text[place:]) - len(text[place:].lstrip())
        if text[place : place + 1] in _QUOTES:
            item, place = _quoted_item(text, place, word)
        else:
            item, place = _plain_item(text, place, nested)
        items.append(item)
    return items


def _quoted_item(text: str, start: int, word: str) -> tuple[str, int]:
    """The item whose opening quote is at `start`, and the place behind the comma after it."""
    quote = text[start]
    closed = re.compile(rf"((?:[^{quote}\\]|\\.)*){quote}\s*(?:,|$)", re.DOTALL).match(text, start + 1)
    if closed is None:
        other = _QUOTES[quote == "'"]
        raise InputError(
            f"{word}: a {quote} begins an item and does not end it; write the item in the other quotes, "
            f"as in [{other}{quote}s morgens{other},b]"
        )
    end = closed.end() if closed[0].endswith(",") else len(text) + 1
    return re.sub(rf"\\([{quote}\\])", r"\1", closed[1]), end


def _plain_item(text: str, start: int, nested: bool) -> tuple[str, int]:
    """The item without quotes that begins at `start`, and the place behind the comma after it."""
    depth, place = 0, start
    while place < len(text) and (depth or text[place] != ","):
        if nested:
            depth += (text[place] == "[") - (text[place] == "]")
        place += 2 if text[place : place + 2] == "\\," else 1
    return text[start:place].strip().replace("\\,", ","), place + 1


def _brackets_close(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if depth < 0:
            return False
    return depth == 0
