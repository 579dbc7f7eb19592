"""Find the actions of raw videos by a trained run: python jobs/label.py videos=<folder> run=<url> out=<url>"""

from pipeline.job import Job
from pipeline.labelling.settings import LabelConfig
from pipeline.summary import Summary


def run(config: LabelConfig) -> Summary:
    """Go from raw video to segments with a trained run; the same command continues after any stop."""
    from pipeline.labelling.run import label  # after the settings are checked: it takes seconds

    return label(config)


JOB = Job(
    "label",
    LabelConfig,
    run,
    often=("run", "store", "naming.classes", "embed.gpus", "detect.gpus", "round_gb", "results.write"),
    example="videos=/data/videos run=/data/run out=/data/labelled",
    page="docs/label.md",
)

if __name__ == "__main__":
    JOB.main()
