"""Score predicted segments: python jobs/evaluate.py predictions=<url> dataset.annotations=<url>"""

from pipeline.evaluation.settings import EvaluateConfig
from pipeline.job import Job
from pipeline.summary import Summary


def run(config: EvaluateConfig) -> Summary:
    """Score predicted segments by the dataset's published protocol: tables on the screen and metrics.json."""
    from pipeline.evaluation.evaluate import evaluate  # after the settings are checked: it takes seconds

    return evaluate(config)


JOB = Job(
    "evaluate",
    EvaluateConfig,
    run,
    often=("dataset", "protocol", "out"),
    example="predictions=/data/predictions dataset=thumos14 dataset.annotations=/data/thumos14.json",
    page="docs/evaluate.md",
)

if __name__ == "__main__":
    JOB.main()
