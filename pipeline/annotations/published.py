"""From what a dataset's files say to its truth: the rules that hold for every format."""

import itertools
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.annotations.class_list import ClassList
from pipeline.annotations.defects import mend
from pipeline.errors import InputError

logger = logging.getLogger(__name__)

# As objects, rows take many times what they take as columns.
_ROWS_AT_ONCE = 1 << 16
_VIDEOS_AT_ONCE = 1 << 13

_VideoRow = tuple[str, str, float | None, float | None]
_InstanceRow = tuple[str, float, float, str]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Published:
    """What annotation files say, before any rule.

    Attributes:
        videos: table of `VIDEOS_SCHEMA`.
        instances: table of `INSTANCES_SCHEMA`, every one, times in seconds.
        labels: the classes in the order that the files give them; None where they list none.
    """

    videos: pa.Table
    instances: pa.Table
    labels: tuple[str, ...] | None

    @staticmethod
    def of_rows(
        videos: Iterable[_VideoRow], instances: Iterable[_InstanceRow], labels: tuple[str, ...] | None = None
    ) -> "Published":
        """From rows in the order of the schemas' columns."""
        return Published(
            _table(_some(videos, _ROWS_AT_ONCE), VIDEOS_SCHEMA),
            _table(_some(instances, _ROWS_AT_ONCE), INSTANCES_SCHEMA),
            labels,
        )

    @staticmethod
    def of_videos(
        videos: Iterable[tuple[_VideoRow, Sequence[_InstanceRow]]], labels: tuple[str, ...] | None = None
    ) -> "Published":
        """From rows of videos with those of their instances, which no one needs to hold all at once."""
        parts = [
            (
                _table([[video for video, _ in some]], VIDEOS_SCHEMA),
                _table([list(itertools.chain.from_iterable(rows for _, rows in some))], INSTANCES_SCHEMA),
            )
            for some in _some(videos, _VIDEOS_AT_ONCE)
        ]
        videos_table, instances_table = (
            pa.concat_tables([schema.empty_table(), *(part[place] for part in parts)]).combine_chunks()
            for place, schema in enumerate((VIDEOS_SCHEMA, INSTANCES_SCHEMA))
        )
        return Published(videos_table, instances_table, labels)


def merge(parts: Sequence[Published], name: str) -> Published:
    """What several files of one dataset say together; `name` is what to call them in messages.

    Raises InputError where a video is in two of them.
    """
    videos = pa.concat_tables([part.videos for part in parts])
    for count in videos["video_id"].value_counts().to_pylist():
        if count["counts"] > 1:
            raise InputError(f"{name}: video {count['values']!r} is in more than one file")
    labels = None
    if all(part.labels is not None for part in parts):
        labels = tuple(dict.fromkeys(label for part in parts for label in part.labels or ()))
    return Published(videos, pa.concat_tables([part.instances for part in parts]), labels)


def settle(
    published: Published,
    name: str,
    *,
    raw: bool = False,
    classes: ClassList | None = None,
    ignored_labels: Collection[str] = ("Ambiguous",),
    id_prefix: str = "",
    min_seconds: float = 0.0,
) -> Annotations:
    """The truth that files state, by the rules of every format; one log line counts what each rule touched.

    - Ids get `id_prefix` unless all of the file's have it (ActivityNet's "v_", which its feature files carry).
    - Instances of `ignored_labels` are left out, raw or not.
    - Labels take the names of `classes`. The order of class indices is that of `classes`, or else of the
      classes that the file lists, or else of the labels that occur, sorted (numbers by value).
    - Defects are mended by the rules of `pipeline.annotations.defects`, unless `raw`.
    - Instances not longer than `min_seconds` are left out, raw or not.
    - A segment with two labels (THUMOS14 calls each cliff dive a dive, too) stays two instances; without
      classes it becomes one (`pipeline.training.targets.as_one_class`).

    Raises InputError where an instance has a label that the classes lack.
    """
    videos, instances, listed = published.videos, published.instances, published.labels
    if id_prefix:
        videos, instances = _prefixed(videos, instances, id_prefix)
    total = instances.num_rows
    ignored = pc.is_in(instances["label"], value_set=pa.array(ignored_labels, type=pa.string()))
    instances = instances.filter(pc.invert(ignored))
    num_ignored = total - instances.num_rows
    if classes is not None:
        instances, listed = classes.name(instances), classes.names
    elif listed is None:
        listed = tuple(sorted(instances["label"].unique().to_pylist(), key=_by_value))
    _check_labels(instances, listed, name)

    rules = [f"{num_ignored} ignored by label"] if num_ignored else []
    if not raw:
        instances, defects = mend(videos, instances)
        rules += filter(None, [str(defects)])
    if min_seconds:
        long_enough = pc.greater(pc.subtract(instances["t_end"], instances["t_start"]), min_seconds)
        kept = instances.filter(long_enough)
        rules.append(f"dropped {instances.num_rows - kept.num_rows} not longer than {min_seconds:g} s")
        instances = kept
    annotations = Annotations(videos, instances, listed)
    if double := _num_double_labelled(instances):
        rules.append(f"{double} segments with several labels kept")
    logger.info(
        "%s: %s%s", name, annotations, f" (of {total} instances: {'; '.join(rules)})" if rules else ""
    )
    return annotations


def _some(rows: Iterable[_T], count: int) -> Iterator[list[_T]]:
    """So many at a time."""
    remaining = iter(rows)
    while some := list(itertools.islice(remaining, count)):
        yield some


def _table(parts: Iterable[Sequence[_VideoRow] | Sequence[_InstanceRow]], schema: pa.Schema) -> pa.Table:
    batches = [
        pa.RecordBatch.from_arrays(
            [pa.array(*column) for column in zip(zip(*rows, strict=True), schema.types, strict=True)],
            schema=schema,
        )
        for rows in parts
        if rows
    ]
    return pa.Table.from_batches(batches, schema).combine_chunks()


def _prefixed(videos: pa.Table, instances: pa.Table, prefix: str) -> tuple[pa.Table, pa.Table]:
    # Of all ids together: an id without the prefix may begin with the same letters by chance.
    if pc.all(pc.starts_with(videos["video_id"], pattern=prefix)).as_py():
        return videos, instances

    def with_prefix(table: pa.Table) -> pa.Table:
        ids = pc.binary_join_element_wise(prefix, table["video_id"], "")
        return table.set_column(0, table.schema.field("video_id"), ids)

    return with_prefix(videos), with_prefix(instances)


def _by_value(label: str) -> tuple[int, str]:
    return (int(label) if re.fullmatch(r"\d+", label) else -1, label)


def _check_labels(instances: pa.Table, labels: tuple[str, ...], name: str) -> None:
    known = pa.array(labels, type=pa.string())
    strangers = instances.filter(pc.invert(pc.is_in(instances["label"], value_set=known)))
    if strangers.num_rows:
        row = strangers.slice(0, 1).to_pylist()[0]
        raise InputError(
            f"{name}: video {row['video_id']!r} has label {row['label']!r}; add it to the file's classes or "
            "to dataset.classes"
        )


def _num_double_labelled(instances: pa.Table) -> int:
    """Segments of a video that carry more than one label."""
    counts = instances.group_by(["video_id", "t_start", "t_end"]).aggregate([("label", "count_distinct")])
    return pc.sum(pc.greater(counts["label_count_distinct"], 1)).as_py() or 0
