"""Write a store's features as .npy files: python jobs/export_features.py store=<url> out=<url>"""

from pipeline.features.published.settings import ExportFeaturesConfig
from pipeline.job import Job
from pipeline.summary import Summary


def run(config: ExportFeaturesConfig) -> Summary:
    """Write a store's features as .npy files, one a video; the same command continues after any stop."""
    from pipeline.features.published.exporting import export_features  # after the settings are checked

    return export_features(config)


JOB = Job(
    "export_features",
    ExportFeaturesConfig,
    run,
    often=("dtype",),
    example="store=/data/store out=/data/npy",
    page="docs/import_features.md",
)

if __name__ == "__main__":
    JOB.main()
