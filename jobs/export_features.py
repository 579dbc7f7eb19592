"""Write a store's features as .npy files: python jobs/export_features.py store=<url> out=<url>"""

from pipeline.features.published.settings import ExportFeaturesConfig
from pipeline.job import main
from pipeline.summary import Summary


def run(config: ExportFeaturesConfig) -> Summary:
    """Write a store's features as .npy files, one a video; the same command continues after any stop."""
    from pipeline.features.published.exporting import export_features  # after the settings are checked

    return export_features(config)


if __name__ == "__main__":
    main("export_features", ExportFeaturesConfig, run)
