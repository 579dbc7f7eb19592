"""Detect the actions of a store's videos: python jobs/predict.py run=<url> store=<url> out=<url>"""

from pipeline.inference.predict import predict

from pipeline.config import PredictConfig
from pipeline.job import main

if __name__ == "__main__":
    main("predict", PredictConfig, predict)
