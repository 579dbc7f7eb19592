"""Make a page to look at predictions and correct them: python jobs/report.py predictions=<url> [videos=<url>]"""

from pipeline.job import Job
from pipeline.report.settings import ReportConfig
from pipeline.summary import Summary


def run(config: ReportConfig) -> Summary:
    """Make a page to look at predictions, beside the truth if any, to play and to correct them; and pictures."""
    from pipeline.report.run import report  # after the settings are checked: it takes seconds

    return report(config)


JOB = Job(
    "report",
    ReportConfig,
    run,
    often=("dataset", "dataset.annotations", "videos", "serve", "min_score", "run", "store", "out"),
    example="predictions=/data/predictions videos=/data/videos",
    page="docs/report.md",
)

if __name__ == "__main__":
    JOB.main()
