"""Train a detector: python jobs/train.py store=<url> dataset.annotations=<url> run=<url>"""

from pipeline.config import TrainConfig
from pipeline.job import main
from pipeline.training.run import train

if __name__ == "__main__":
    main("train", TrainConfig, train)
