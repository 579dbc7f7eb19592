"""The whole path on a small archive that it renders itself: python jobs/demo.py [out=demo_out] [fresh=1]"""

from pipeline.demo.settings import DemoConfig
from pipeline.job import Job
from pipeline.summary import Summary


def run(config: DemoConfig) -> Summary:
    """Render a small archive of mp4 files and run the real jobs on it; run again, it continues."""
    from pipeline.demo.run import demo  # after the settings are checked: it takes seconds

    return demo(config)


JOB = Job(
    "demo",
    DemoConfig,
    run,
    often=("out", "words", "fresh"),
    example="out=demo_out",
    page="README.md",
)

if __name__ == "__main__":
    JOB.main()
