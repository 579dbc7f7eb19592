"""Train, predict and evaluate every zero-shot split: python jobs/splits.py experiment=<preset> store=<url> run=<url>"""

from pipeline.job import Job
from pipeline.splits.settings import SplitsConfig
from pipeline.summary import Summary


def run(config: SplitsConfig) -> Summary:
    """Train, predict and evaluate every zero-shot split and average; the same command continues after any stop."""
    from pipeline.splits.run import run_splits  # after the settings are checked: it takes seconds

    return run_splits(config)


JOB = Job(
    "splits",
    SplitsConfig,
    run,
    often=("experiment", "naming", "workers", "gpus_per_worker"),
    example="experiment=tp2detr_thumos14_50 store=/data/store dataset.annotations=/data/thumos14.json run=/data/splits",
    page="docs/tp2detr.md",
)

if __name__ == "__main__":
    JOB.main()
