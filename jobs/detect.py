"""Find the actions in a few videos, without a cluster: python jobs/detect.py clip.mp4 run=<url>"""

from pipeline.inference.settings import DetectHereConfig
from pipeline.job import Job, Outcome


def run(config: DetectHereConfig) -> Outcome:
    """Find the actions in a few videos, in this process; words without a key are videos."""
    from pipeline.inference.detect import detect  # after the settings are checked: it takes seconds

    return detect(config)


JOB = Job(
    "detect",
    DetectHereConfig,
    run,
    often=("run", "out", "results.min_score", "rows"),
    example="clip.mp4 run=/data/run",
    page="docs/your_videos.md",
    bare="videos",
)

if __name__ == "__main__":
    JOB.main()
