"""What every job has in common: its command line, its errors and its exit status."""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NoReturn, Protocol, TypeVar

from omegaconf import OmegaConf
from pydantic import BaseModel
from rich.console import Console

from pipeline import screen, stopping
from pipeline.cluster.knock import knock
from pipeline.compose import (
    compose_config,
    preset_groups,
)
from pipeline.errors import InputError
from pipeline.help_page import show_help
from pipeline.inputs import check_inputs
from pipeline.outages import OutageError, first_line
from pipeline.outputs import check_output
from pipeline.settings import SUBMITTED, output_folders
from pipeline.summary import EXIT_BAD_INPUT, EXIT_BROKEN

ConfigType = TypeVar("ConfigType", bound=BaseModel)


class Outcome(Protocol):
    """What a job returns: a Summary, or the plan that takes its place."""

    @property
    def exit_status(self) -> int: ...

    def show(self, console: Console) -> None: ...


@dataclass(frozen=True)
class Job(Generic[ConfigType]):
    """A verb of the command line.

    Attributes:
        name: of the verb and of its file in `configs/`.
        config_type: its settings.
        run: what it does; the first line of the docstring is its help.
        often: the keys that most users give, which help shows first.
        example: words of a typical command line.
        page: of the docs.
        bare: the key of a list that words without a key belong to, if there is one.
    """

    name: str
    config_type: type[ConfigType]
    run: Callable[[ConfigType], Outcome]
    often: tuple[str, ...]
    example: str
    page: str
    bare: str | None = None

    def main(self, words: Sequence[str] | None = None, command: str | None = None) -> NoReturn:
        """Compose the settings from the command line, run the job, print its outcome and exit.

        Exit status: 0 when nothing was lost, 2 for bad input (one line a mistake, no traceback), 3 when some
        inputs failed and `allow_failures` is not set, 128 and the number of the signal where one ended the job, 1 where
        the job broke: what died in a cluster is told in a line, a bug by its traceback. Whatever ends a job, its local
        Ray ends with it, and the same command goes on.

        Args:
            words: `key=value`; those of the process unless given.
            command: how the job was called, for its help.
        """
        words = sys.argv[1:] if words is None else words
        screen.take(self.name)
        if "--help" in words or "-h" in words:
            self._show_help(words, command or f"python jobs/{self.name}.py")
        stopping.arm(self.name)
        try:
            config = compose_config(self.name, self.config_type, self._keyed(words))
            for key, url in output_folders(config).items():
                check_output(key, url)
            check_inputs(config)
            _check_address(config)
            outcome = self.run(config)
            outcome.show(screen.terminal())
            status = outcome.exit_status
        except (KeyboardInterrupt, SystemExit) as error:
            stopped = stopping.as_stopped(error)
            _shut_down()
            stopping.tell(self.name, stopped)
            sys.exit(stopped.status)
        except Exception as error:
            text, status = _told(self.name, error)
            _shut_down()
            _exit_with(self.name, text, status)
        sys.exit(status)

    def show_config(self, words: Sequence[str]) -> NoReturn:
        """Print all settings that `words` make, as YAML, and exit; 2 where they make none."""
        try:
            config = compose_config(self.name, self.config_type, self._keyed(words))
        except InputError as error:
            _exit_with(self.name, str(error), EXIT_BAD_INPUT)
        print(OmegaConf.to_yaml(OmegaConf.create(config.model_dump(mode="json"))), end="")
        sys.exit(0)

    def _keyed(self, words: Sequence[str]) -> list[str]:
        """The words with those that have no key under the job's key for them."""
        bare = [word for word in words if "=" not in word]
        if self.bare is None or not bare:
            return list(words)
        return [
            *(word for word in words if "=" in word),
            f"{self.bare}={json.dumps(bare, ensure_ascii=False)}",
        ]

    def _show_help(self, words: Sequence[str], command: str) -> NoReturn:
        chosen = [word for word in words if word.partition("=")[0] in preset_groups(self.name)]
        try:
            show_help(self, screen.terminal(), chosen, command)
        except InputError as error:
            _exit_with(self.name, str(error), EXIT_BAD_INPUT)
        sys.exit(0)


def _check_address(config: BaseModel) -> None:
    """Raise InputError where the Ray that a command names is not there; a submitted job stands beside its own."""
    address = getattr(getattr(config, "ray", None), "address", None)
    if address is not None and SUBMITTED not in os.environ:
        knock(address)


def _exit_with(job: str, text: str, status: int) -> NoReturn:
    for line in text.splitlines():
        screen.say(f"{job}: {line}")
    sys.exit(status)


def _told(job: str, error: Exception) -> tuple[str, int]:
    """What to print of an error, and the exit status. Raises what is nobody's fault but ours."""
    if "ray" in sys.modules:  # for which bad input need not wait
        from pipeline.cluster import failures as ray_failures

        # An error of a task is of its class, too, but its text is a traceback.
        error = ray_failures.own_error(error) or error
    if isinstance(error, InputError):
        return str(error), EXIT_BAD_INPUT
    if isinstance(error, OutageError):
        return first_line(error), EXIT_BROKEN  # Ray adds advice of its own
    if "ray" not in sys.modules or not ray_failures.is_from_cluster(error):
        screen.give_back()
        raise error
    return f"{ray_failures.describe(error)}; {stopping.CONTINUES}{_report(job, error)}", EXIT_BROKEN


def _report(job: str, error: Exception) -> str:
    """Where all that Ray has to say lies, as the end of a sentence."""
    report = "".join(traceback.format_exception(error))
    if log := screen.log_file():
        print(report, file=sys.stderr)
        return f"; Ray's report is in {log}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix=f"raytad-{job}-", suffix=".log", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(report)
    except OSError:  # a full disk may be the very cause
        return ""
    return f"; Ray's report is in {file.name}"


def _shut_down() -> None:
    """End Ray before the last line is printed, for until then it prints what dying workers say."""
    if "ray" in sys.modules:
        from pipeline.cluster.watch import end_watch

        end_watch()
        sys.modules["ray"].shutdown()
