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


def failed_in(rows: pa.Table) -> list[str]:
    """The ids of the videos that lost a chunk; `rows` are of `FEATURES_SCHEMA`."""
    return pc.unique(rows.filter(pc.is_valid(rows["error"]))["video_id"]).to_pylist()
