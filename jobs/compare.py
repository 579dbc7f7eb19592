"""Compare runs: python jobs/compare.py runs=[<url>,<url>]"""

from pipeline.comparison.settings import CompareConfig
from pipeline.job import Job
from pipeline.summary import Summary


def run(config: CompareConfig) -> Summary:
    """Tabulate runs by the settings that differ, mean and deviation over seeds and splits, with their curves."""
    from pipeline.comparison.run import compare_runs  # after the settings are checked

    return compare_runs(config)


JOB = Job(
    "compare",
    CompareConfig,
    run,
    often=("runs", "out"),
    example="runs=[/data/dim128,/data/dim256] out=/data/comparison",
    page="docs/train.md",
    bare="runs",
)

if __name__ == "__main__":
    JOB.main()
