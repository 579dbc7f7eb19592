"""Score predicted segments: python jobs/evaluate.py predictions=<url> dataset.annotations=<url>"""

from pipeline.config import EvaluateConfig
from pipeline.evaluation.evaluate import evaluate
from pipeline.job import main

if __name__ == "__main__":
    main("evaluate", EvaluateConfig, evaluate)
