"""Merge the small files of a store or of predictions: python jobs/compact.py store=<url> | predictions=<url>"""

from pipeline.compaction.settings import CompactConfig
from pipeline.job import Job, Outcome


def run(config: CompactConfig) -> Outcome:
    """Merge the small files that many runs have left in a store or in predictions; what they say stays the same."""
    from pipeline.compaction.run import compact  # after the settings are checked: it takes seconds

    return compact(config)


JOB = Job(
    "compact",
    CompactConfig,
    run,
    often=("store", "predictions", "file_mb"),
    example="store=/data/store",
    page="docs/running.md",
)

if __name__ == "__main__":
    JOB.main()
