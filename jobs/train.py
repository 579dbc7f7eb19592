"""Train a detector: python jobs/train.py store=<url> dataset.annotations=<url> run=<url>"""

from pipeline.job import Job
from pipeline.summary import Summary
from pipeline.training.settings import TrainConfig


def run(config: TrainConfig) -> Summary:
    """Train a detector on a feature store; the same command continues after any stop."""
    from pipeline.training.run import train  # after the settings are checked: it takes seconds

    return train(config)


JOB = Job(
    "train",
    TrainConfig,
    run,
    often=(
        "experiment",
        "model",
        "optimiser.epochs",
        "optimiser.batch_size",
        "windows.length",
        "workers",
        "gpus_per_worker",
    ),
    example="store=/data/store dataset.annotations=/data/labels.json run=/data/run",
    page="docs/train.md",
)

if __name__ == "__main__":
    JOB.main()
