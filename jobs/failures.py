"""List what was lost, and why: python jobs/failures.py store=<url> | predictions=<url>"""

from pipeline.job import Job, Outcome
from pipeline.lost.settings import FailuresConfig


def run(config: FailuresConfig) -> Outcome:
    """List every video that a store, a prediction or an export has lost, by name, with the reason."""
    from pipeline.lost.run import list_failures  # after the settings are checked

    return list_failures(config)


JOB = Job(
    "failures",
    FailuresConfig,
    run,
    often=("store", "predictions", "kind", "format"),
    example="store=/data/store",
    page="docs/running.md",
)

if __name__ == "__main__":
    JOB.main()
