"""Detect the actions of a store's videos: python jobs/predict.py run=<url> store=<url> out=<url>"""

from pipeline.inference.settings import PredictConfig
from pipeline.job import Job
from pipeline.summary import Summary


def run(config: PredictConfig) -> Summary:
    """Detect the actions of a store's videos; the same command continues after any stop."""
    from pipeline.inference.predict import predict  # after the settings are checked: it takes seconds

    return predict(config)


JOB = Job(
    "predict",
    PredictConfig,
    run,
    often=("run", "detect.gpus", "detect.max_actors", "results.write", "retry_failed"),
    example="run=/data/run store=/data/store out=/data/predictions",
    page="docs/predict.md",
)

if __name__ == "__main__":
    JOB.main()
