"""A newcomer's path: a fresh clone, and the shell blocks of README.md and docs/quick_start.md in order, as printed.

Given are what the pages ask for: a few videos, labels, what the report page would export, an S3 server and a Ray.
CLIP's weights lie where the hub's client looks for them, for they cannot be fetched everywhere; they are random. Run by
`make drill`; takes some half an hour.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from tempfile import mkdtemp

import open_clip
import pyarrow.parquet as pq
import pytest
import torch
from open_clip.pretrained import get_pretrained_cfg
from safetensors.torch import save_file

from pipeline import storage
from tests.s3_server import free_ports
from tests.videos import encode_video

_ROOT = Path(__file__).parents[2]
_CLIP = "ViT-B-16-quickgelu"
_SECONDS, _FPS = 8.0, 12  # CLIP takes half a second a frame


def blocks(page: Path) -> str:
    """The shell blocks of a page, one after the other, as a script that ends where one fails."""
    found = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return "set -e\n" + "\n".join(found)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("newcomer") / "raytad"
    subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of the hub's client, with random weights under the name of OpenAI's."""
    repository = get_pretrained_cfg(_CLIP, "openai")["hf_hub"].rstrip("/")
    cache = tmp_path_factory.mktemp("hub")
    snapshot = cache / f"models--{repository.replace('/', '--')}" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0")
    torch.manual_seed(0)
    state = open_clip.create_model(_CLIP, precision="fp32").state_dict()
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()},
        snapshot / "open_clip_model.safetensors",
    )
    return cache


def give_videos(folder: Path) -> None:
    """Three videos with labels, the same as corrected, and one more."""
    actions = {"jump": [1.0, 3.0], "wave": [4.5, 7.0]}
    database = {}
    for number, subset in enumerate(("train", "train", "test")):
        encode_video(
            folder / "videos" / f"clip_{number + 1}.mp4",
            seconds=_SECONDS,
            fps=_FPS,
            size=(64, 48),
            seed=number,
        )
        annotations = [{"label": label, "segment": segment} for label, segment in actions.items()]
        database[f"clip_{number + 1}"] = {"subset": subset, "duration": _SECONDS, "annotations": annotations}
    for name in ("labels.json", "corrected.json"):
        (folder / name).write_text(json.dumps({"database": database}))
    encode_video(folder / "new" / "another.mp4", seconds=_SECONDS, fps=_FPS, size=(64, 48), seed=7)


def with_weights(hub: Path) -> dict[str, str]:
    return os.environ | {"HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"}


def run(page: str, clone: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", blocks(clone / page)],
        cwd=clone, text=True, check=False, timeout=3000, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment | {"PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Traceback" not in done.stdout
    return done.stdout


def test_the_readme_does_what_it_says(clone: Path, hub: Path, s3_server: str) -> None:
    give_videos(clone)
    shutil.rmtree(clone / "new")
    bucket, _ = storage.resolve("s3://archive")
    bucket.makedirs("archive", exist_ok=True)
    for video in (clone / "videos").iterdir():
        storage.write_bytes(f"s3://archive/videos/{video.name}", video.read_bytes())
    gcs, dashboard, client, agent = free_ports(4)
    ray = str(Path(sys.executable).parent / "ray")
    words = [
        "--head", f"--port={gcs}", f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}",
        f"--dashboard-agent-listen-port={agent}", "--num-cpus=4", "--object-store-memory=200000000",
        "--include-dashboard=true", "--disable-usage-stats", "--block",
    ]  # fmt: skip
    environment = with_weights(hub) | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex * 2}
    head = subprocess.Popen(
        [ray, "start", *words],
        # Sockets have short names; `python` is what has raytad's packages, as in its image.
        env=environment
        | {"RAY_TMPDIR": mkdtemp(prefix="ray-"), "PATH": f"{Path(ray).parent}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        said = run("README.md", clone, environment | {"CLUSTER": f"http://127.0.0.1:{dashboard}"})
    finally:
        head.terminate()
        head.wait(60)
    assert "index.html" in said
    assert (clone / "demo_out" / "labelled" / "segments").exists()
    assert (clone / "found" / "report" / "index.html").exists()
    found = pq.read_table(clone / "found" / "segments")
    assert found.num_rows
    assert pq.read_table(clone / "labelled" / "segments").num_rows == found.num_rows
    assert storage.list_files("s3://archive/store/features")


def test_the_quick_start_goes_from_videos_to_corrected_segments(clone: Path, hub: Path) -> None:
    for name in ("store", "run", "found", "labelled"):
        shutil.rmtree(clone / name, ignore_errors=True)
    give_videos(clone)
    run("docs/quick_start.md", clone, with_weights(hub))
    assert (clone / "found" / "report" / "index.html").exists()
    assert set(pq.read_table(clone / "labelled" / "segments")["video_id"].to_pylist()) == {"another"}
