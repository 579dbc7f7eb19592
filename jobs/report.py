"""Draw predictions, beside the truth if any: python jobs/report.py predictions=<url> [dataset.annotations=<url>]"""

from pipeline.job import Job
from pipeline.report.settings import ReportConfig
from pipeline.summary import Summary


def run(config: ReportConfig) -> Summary:
    """Draw timelines, with truth confidence against tIoU, and what TP²-DETR's salience heads see."""
    from pipeline.report.run import report  # after the settings are checked: it takes seconds

    return report(config)


JOB = Job(
    "report",
    ReportConfig,
    run,
    often=("dataset", "dataset.annotations", "videos", "min_score", "run", "store", "out"),
    example="predictions=/data/predictions",
    page="docs/evaluate.md",
)

if __name__ == "__main__":
    JOB.main()
