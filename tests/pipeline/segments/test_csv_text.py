"""Segments as CSV: every row once, in one order, and read back as they were."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from pipeline.segments.csv_text import csv_text
from tests.pipeline.evaluation.cases import predicted_rows, segments_table


def test_by_video_and_best_first():
    rows = [
        ("w", 0, 1.5, "run", 0.25),
        ("v", 2, 3, "a, b", 0.5),
        ("w", 5, 6, 'say "hi"', 0.75),
        ("v", 1, 3, "run", 0.5),
    ]
    assert csv_text(segments_table(rows)) == (
        "video_id,label,t_start,t_end,score\r\n"
        "v,run,1.0,3.0,0.5\r\n"
        'v,"a, b",2.0,3.0,0.5\r\n'
        'w,"say ""hi""",5.0,6.0,0.75\r\n'
        "w,run,0.0,1.5,0.25\r\n"
    )
    assert csv_text(segments_table([])) == "video_id,label,t_start,t_end,score\r\n"


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@given(st.lists(st.tuples(predicted_rows, names, names), max_size=12), st.randoms())
def test_any_text_and_number_reads_back_whatever_the_order(cases, random):
    rows = [(video, start, end, label, score) for (_, start, end, _, score), video, label in cases]
    text = csv_text(segments_table(rows))
    header, *lines = csv.reader(io.StringIO(text, newline=""))
    assert header == ["video_id", "label", "t_start", "t_end", "score"]
    back = [
        (video, float(start), float(end), label, float(score)) for video, label, start, end, score in lines
    ]
    assert sorted(back) == sorted(rows)
    random.shuffle(rows)
    assert csv_text(segments_table(rows)) == text
