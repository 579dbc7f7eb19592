"""Decode videos and extract snippet features: python jobs/extract.py videos=<folder> store=<url>"""

from pipeline.config import ExtractConfig
from pipeline.features.extraction import extract
from pipeline.job import main

if __name__ == "__main__":
    main("extract", ExtractConfig, extract)
