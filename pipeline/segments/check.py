"""What evaluation and reports ask of a segment table, whoever wrote it."""

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError
from pipeline.segments.schema import SEGMENTS_SCHEMA


def check_segments(table: pa.Table, name: str = "predictions") -> pa.Table:
    """The columns of `SEGMENTS_SCHEMA` of `table`, with exactly these types; other columns are left out.

    Raises InputError, calling the table `name`, where a column is missing, cannot become that type, or holds
    a null or a number that is not finite.
    """
    columns = {}
    for field in SEGMENTS_SCHEMA:
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
        columns[field.name] = column
    return pa.table(columns, schema=SEGMENTS_SCHEMA)
