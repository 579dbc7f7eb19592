"""Write segments in the form of another tool: python jobs/export_segments.py predictions=<url> format=csv out=<url>"""

from pipeline.job import Job
from pipeline.segments.settings import ExportSegmentsConfig
from pipeline.summary import Summary


def run(config: ExportSegmentsConfig) -> Summary:
    """Write segments as ActivityNet results, CSV, subtitles, or for annotators: Label Studio's tasks, VIA's project."""
    from pipeline.segments.exporting import export_segments  # after the settings are checked

    return export_segments(config)


JOB = Job(
    "export_segments",
    ExportSegmentsConfig,
    run,
    often=("min_score", "videos"),
    example="predictions=/data/predictions format=webvtt out=/data/subtitles",
    page="docs/report.md",
)

if __name__ == "__main__":
    JOB.main()
