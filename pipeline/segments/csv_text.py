"""Segments as comma-separated values, for spreadsheets and scripts."""

import csv
import io

import pyarrow as pa

from pipeline.segments.tables import ordered

COLUMNS = ("video_id", "label", "t_start", "t_end", "score")


def csv_text(segments: pa.Table) -> str:
    """A line of column names, then a line a segment as `ordered` has them: times in seconds, no digit left out.

    Quoted where need be, with CRLF at the end of lines, as RFC 4180 says.
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    table = ordered(segments)
    writer.writerows(zip(*(table[name].to_pylist() for name in COLUMNS), strict=True))
    return sink.getvalue()
