"""What evaluation and reports ask of a segment table, whoever wrote it."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError
from pipeline.segments.schema import SEGMENTS_SCHEMA


def check_segments(
    table: pa.Table, name: str = "predictions", columns: Sequence[str] = tuple(SEGMENTS_SCHEMA.names)
) -> pa.Table:
    """These `columns` of `SEGMENTS_SCHEMA` of `table`, with exactly its types; other columns are left out.

    Raises InputError, calling the table `name`, where a column is missing, cannot become that type, or holds
    a null or a number that is not finite.
    """
    schema = pa.schema([SEGMENTS_SCHEMA.field(column) for column in columns])
    checked = {}
    for field in schema:
        if field.name not in table.column_names:
            wanted = ", ".join(SEGMENTS_SCHEMA.names)
            raise InputError(f"{name}: no column {field.name!r}; a segment table has {wanted}")
        column = table[field.name]
        try:
            column = column.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"{name}: column {field.name!r} is {column.type}, not {field.type}") from error
        if column.null_count:
            raise InputError(
                f"{name}: column {field.name!r} has {column.null_count} empty values; drop these rows"
            )
        if pa.types.is_floating(field.type) and not pc.all(pc.is_finite(column), min_count=0).as_py():
            raise InputError(f"{name}: column {field.name!r} has values that are not finite; drop these rows")
        checked[field.name] = column
    return pa.table(checked, schema=schema)
