"""How much video rows of chunks stand for, in the units that a person counts in."""

import pyarrow as pa
import pyarrow.compute as pc


def videos_in(chunks: pa.Table) -> float:
    """Videos, of which a chunk is its part; `chunks` has the columns of `CHUNK_SCHEMA`."""
    return float(pc.sum(pc.divide(1.0, pc.cast(chunks["num_chunks"], pa.float64()))).as_py() or 0.0)


def seconds_in(chunks: pa.Table) -> float:
    """Seconds of video, as if all chunks of a video were equally long."""
    return float(
        pc.sum(pc.divide(chunks["duration"], pc.cast(chunks["num_chunks"], pa.float64()))).as_py() or 0.0
    )


def errors_in(rows: pa.Table) -> dict[str, str]:
    """An error of each video that lost a chunk; `rows` are of `FEATURES_SCHEMA`."""
    lost = rows.filter(pc.is_valid(rows["error"])).select(["video_id", "error"])
    return dict(zip(*(column.to_pylist() for column in lost.columns), strict=True))
