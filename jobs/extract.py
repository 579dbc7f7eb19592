"""Decode videos and extract snippet features: python jobs/extract.py videos=<folder> store=<url>"""

from pipeline.config import ExtractConfig
from pipeline.job import main
from pipeline.summary import Summary


def run(config: ExtractConfig) -> Summary:
    """Decode videos and extract snippet features into a store; the same command continues after any stop."""
    from pipeline.features.extraction import extract  # after the settings are checked: it takes seconds

    return extract(config)


if __name__ == "__main__":
    main("extract", ExtractConfig, run)
