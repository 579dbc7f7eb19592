"""Runs side by side: a table in the layout of the papers, and their curves."""

from pipeline import storage
from pipeline.comparison.groups import compare
from pipeline.comparison.published import published_beside_runs
from pipeline.comparison.runs import find_runs, read_run
from pipeline.comparison.settings import CompareConfig
from pipeline.comparison.tables import csv_text, markdown, screen_table, title
from pipeline.errors import InputError
from pipeline.screen import terminal
from pipeline.summary import Summary
from pipeline.training.settings import MAY_CHANGE


def compare_runs(config: CompareConfig) -> Summary:
    """Print the comparison, and write it where it is asked for.

    Raises InputError where a URL names no run, or none of them has come to the end of an epoch.
    """
    urls = find_runs(config.runs)
    runs = [run for url in urls if (run := read_run(url, config.epoch)) is not None]
    if not runs:
        raise InputError(f"runs={','.join(config.runs)}: none has done an epoch yet")
    comparison = compare(runs, sorted(MAY_CHANGE))
    terminal().print(screen_table(comparison))
    if config.published and (beside := published_beside_runs(comparison)) is not None:
        terminal().print(beside)
    outputs = {}
    if config.out is not None:
        from pipeline.comparison.curves import curves_figure  # takes a second
        from pipeline.report.style import png

        contents = {
            "compare.md": markdown(comparison).encode(),
            "compare.csv": csv_text(comparison).encode(),
            "curves.png": png(lambda: curves_figure(comparison)),
        }
        for name, content in contents.items():
            outputs[name] = storage.join(config.out, name)
            storage.write_bytes(outputs[name], content)
    return Summary(
        job="compare",
        unit="runs",
        total=len(urls),
        done=len(runs),
        skipped=len(urls) - len(runs),
        outputs=outputs,
        figures={"rows": str(len(comparison.groups)), "figures": title(comparison)},
    )
