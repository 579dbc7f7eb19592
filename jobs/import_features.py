"""Import published features: python jobs/import_features.py source=<folder> store=<url> features=<preset>"""

from pipeline.features.published.settings import ImportFeaturesConfig
from pipeline.job import Job
from pipeline.summary import Summary


def run(config: ImportFeaturesConfig) -> Summary:
    """Import published feature files into a store; the same command continues after any stop."""
    from pipeline.features.published.importing import import_features  # after the settings are checked

    return import_features(config)


JOB = Job(
    "import_features",
    ImportFeaturesConfig,
    run,
    often=("features", "dataset", "dataset.annotations"),
    example="source=/data/i3d store=/data/store features=thumos14_i3d",
    page="docs/import_features.md",
)

if __name__ == "__main__":
    JOB.main()
