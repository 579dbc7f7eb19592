"""Settings of the demo."""

from pydantic import Field, PositiveInt

from pipeline.cluster.settings import RayConfig
from pipeline.settings import OptionalUrl, OutputFolder, Settings


class DemoConfig(Settings):
    """Settings of jobs/demo.py."""

    out: OutputFolder = Field("demo_out", description="folder for everything that the demo makes")
    archive_to: OptionalUrl = Field(
        None, description="render the archive only, and copy its videos and annotations to this URL"
    )
    fresh: bool = Field(False, description="start over instead of continuing")
    seed: int = Field(0, description="seed of the archive")
    train_videos: PositiveInt = Field(24, description="videos to train on")
    test_videos: PositiveInt = Field(8, description="videos to test on")
    words: tuple[str, ...] = Field((), description="further key=value words for the training")
    ray: RayConfig = RayConfig()
