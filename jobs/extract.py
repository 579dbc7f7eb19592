"""Decode videos and extract snippet features: python jobs/extract.py videos=<folder> store=<url>"""

from pipeline.features.extraction.settings import ExtractConfig
from pipeline.job import Job, Outcome


def run(config: ExtractConfig) -> Outcome:
    """Decode videos and extract snippet features into a store; the same command continues after any stop."""
    # Imported after the settings are checked: it takes seconds.
    if config.dry_run:
        from pipeline.features.extraction.dry_run import rehearse

        return rehearse(config)
    from pipeline.features.extraction.run import extract

    return extract(config)


JOB = Job(
    "extract",
    ExtractConfig,
    run,
    often=("backbone", "timeline.fps", "timeline.stride", "timeline.window", "embed.gpus", "dry_run"),
    example="videos=/data/videos store=/data/store backbone=clip_vit_b16",
    page="docs/extract.md",
)

if __name__ == "__main__":
    JOB.main()
