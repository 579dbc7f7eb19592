"""Charades' own CSV: actions in one column, subsets in two files."""

import io

import pytest

from pipeline.annotations.charades_csv import read_charades_csv
from pipeline.annotations.published import settle
from pipeline.annotations.read import read_annotations
from pipeline.annotations.settings import DatasetConfig
from pipeline.errors import InputError

HEADER = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"
TRAIN = (
    HEADER
    + 'AAAAA,S1,Kitchen,6,7,Yes,"A person, tired, sits.\nThen eats.",food,"One; two.",'
    + "c092 11.90 21.20;c147 0.00 12.60,20.50\n"
    + "BBBBB,S2,Den,5,7,Yes,script,,,,31.00\n"
)
TEST = HEADER + "CCCCC,S3,Attic,,7,No,script,,,c005 3.00 1.00;c092 0.00 4.50,4.00\n"


def read(text, name="Charades_v1_train.csv"):
    return read_charades_csv(io.BytesIO(text.encode()), name)


def test_actions_are_read_from_their_column():
    annotations = settle(read(TRAIN), "Charades_v1_train.csv", raw=True)
    assert annotations.videos.to_pylist() == [
        {"video_id": "AAAAA", "subset": "training", "duration": 20.5, "fps": None},
        {"video_id": "BBBBB", "subset": "training", "duration": 31.0, "fps": None},
    ]
    assert [tuple(row.values()) for row in annotations.instances.to_pylist()] == [
        ("AAAAA", 11.9, 21.2, "c092"),
        ("AAAAA", 0.0, 12.6, "c147"),
    ]


def test_two_files_make_a_dataset_and_a_class_list_names_it(tmp_path):
    (tmp_path / "Charades_v1_train.csv").write_text(TRAIN)
    (tmp_path / "Charades_v1_test.csv").write_text(TEST)
    classes = [f"c{number:03d} Action {number}" for number in range(157)]
    (tmp_path / "Charades_v1_classes.txt").write_text("\n".join(classes))
    dataset = DatasetConfig(
        format="charades_csv",
        annotations=str(tmp_path / "Charades_v1_t*.csv"),
        classes=str(tmp_path / "Charades_v1_classes.txt"),
    )
    annotations = read_annotations(dataset)
    assert annotations.subset("testing").instances.to_pylist() == [
        {"video_id": "CCCCC", "t_start": 0.0, "t_end": 4.0, "label": "Action 92"}  # one reversed, one clamped
    ]
    assert annotations.subset("training").videos.num_rows == 2
    assert len(annotations.labels) == 157


def test_files_that_are_not_there_or_share_a_video_are_errors(tmp_path):
    dataset = DatasetConfig(format="charades_csv", annotations=str(tmp_path / "t*.csv"))
    with pytest.raises(InputError, match=r"t\*\.csv: matches no file"):
        read_annotations(dataset)
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_text(TEST)
    with pytest.raises(InputError, match="video 'CCCCC' is in more than one file"):
        read_annotations(dataset)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,length\nAAAAA,3\n", "has no column actions"),
        ("", "has no column id"),
        (TRAIN + TRAIN.splitlines()[-1] + "\n", "line 5, video 'BBBBB', id: must be given once"),
        (TRAIN.replace("31.00", "long"), "video 'BBBBB', length: must be a number, not 'long'"),
        (TRAIN.replace("31.00", "1e308"), "video 'BBBBB', length: must be a number up to .*, not '1e308'"),
        (TRAIN.replace("31.00", "0"), "video 'BBBBB', length: must be positive, not '0'"),
        (TRAIN.replace("c147 0.00", "c147"), r"video 'AAAAA', actions\[1\]: must be 'class start end', not "),
        (TRAIN.replace("0.00 12.60", "nan 1"), r"video 'AAAAA', actions\[1\]: must be a number, not 'nan'"),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1") + "x", "has no column"),
    ],
)
def test_a_malformed_file_is_one_line_naming_file_video_and_column(text, told):
    with pytest.raises(InputError, match=rf"^Charades_v1_train\.csv: .*{told}"):
        read(text)


def test_what_is_not_text_and_what_has_no_subset_are_errors():
    with pytest.raises(InputError, match=r"^train\.csv: not a CSV file"):
        read_charades_csv(io.BytesIO(b"\xff\xfe\x00"), "train.csv")
    for name in ("charades.csv", "train_and_test.csv"):
        with pytest.raises(InputError, match="must hold train or test"):
            read(TRAIN, name)
