"""Name predicted segments in words: python jobs/name.py predictions=<url> store=<url> out=<url> naming.classes=..."""

from pipeline.inference.settings import NameConfig
from pipeline.job import Job, Outcome


def run(config: NameConfig) -> Outcome:
    """Name the segments of an earlier prediction by classes that nobody trained on; nothing is detected anew."""
    from pipeline.inference.name import name  # after the settings are checked: it takes seconds

    return name(config)


JOB = Job(
    "name",
    NameConfig,
    run,
    often=(
        "naming.classes",
        "query",
        "naming.templates",
        "naming.none_of_these",
        "naming.top_k",
        "actors.max_actors",
        "results.write",
    ),
    example='predictions=/data/predictions store=/data/store out=/data/named naming.classes="high jump, pole vault"',
    page="docs/naming.md",
)

if __name__ == "__main__":
    JOB.main()
