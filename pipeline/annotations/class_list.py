"""The class list that is published beside a dataset whose annotations hold only numbers."""

import re
from dataclasses import dataclass

import pyarrow as pa

from pipeline.errors import InputError

_NUMBERED_LINE = re.compile(r"c?(\d+)\s+(\S.*)")
_NUMBER = re.compile(r"c?(\d+)")


@dataclass(frozen=True)
class ClassList:
    """Class names in the order of class indices, and the number that annotations write for each.

    Attributes:
        names: the classes.
        numbers: one for each name; None where the list does not say.
        url: what to call the list in messages.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...] | None
    url: str

    def name(self, instances: pa.Table) -> pa.Table:
        """A table of `INSTANCES_SCHEMA` whose number labels (`12`, or Charades' `c012`) are names.

        Labels that are names already, or have no name here, stay as they are. A list without numbers begins
        at 0 where label 0 occurs and at 1 where the label of its length does.

        Raises InputError where neither occurs, so that the numbers could mean either.
        """
        labels = instances["label"].unique().to_pylist()
        number_of = {
            label: int(match[1])
            for label in labels
            if label not in self.names and (match := _NUMBER.fullmatch(label))
        }
        name_of = dict(zip(self._numbers(set(number_of.values())), self.names, strict=True))
        named = {label: name_of.get(number, label) for label, number in number_of.items()}
        column = pa.array(
            [named.get(label, label) for label in instances["label"].to_pylist()], type=pa.string()
        )
        index = instances.schema.get_field_index("label")
        return instances.set_column(index, instances.schema.field("label"), column)

    def _numbers(self, used: set[int]) -> tuple[int, ...]:
        if self.numbers is not None:
            return self.numbers
        count = len(self.names)
        if used and 0 not in used and count not in used:
            raise InputError(
                f"{self.url}: may number its {count} classes from 0 or from 1, and the annotations use neither "
                f"0 nor {count}; write the number before each name"
            )
        first = 1 if count in used and 0 not in used else 0
        return tuple(range(first, first + count))


def parse_class_list(content: bytes, url: str) -> ClassList:
    """One class a line: a name, or a number and a name with blanks or a tab between them.

    Understands the lists that come with MultiTHUMOS (`1 BaseballPitch`), Charades (`c000 Holding some
    clothes`) and TSU (`0<tab>Enter`), and plain lists of names. Empty lines are passed over.

    Raises InputError where the file is not text, is empty or lists a class or a number twice.
    """
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise InputError(f"{url}: not a list of classes (not UTF-8 text)") from None
    if not lines:
        raise InputError(f"{url}: lists no class")
    matches = [_NUMBERED_LINE.fullmatch(line) for line in lines]
    numbers, names = None, tuple(lines)
    if all(matches):
        numbers = tuple(int(match[1]) for match in matches if match)
        names = tuple(match[2] for match in matches if match)
    for entries in (names, numbers or ()):
        if len(set(entries)) < len(entries):
            repeated = next(entry for index, entry in enumerate(entries) if entry in entries[:index])
            raise InputError(f"{url}: lists {repeated!r} twice; list each class once")
    return ClassList(names, numbers, url)
