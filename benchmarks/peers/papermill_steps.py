"""Run the steps of a study with papermill alone, in one process and without a runner."""

from __future__ import annotations

import sys
from pathlib import Path

import papermill

from workbench.study import read_study


def main(study_folder: str, site: str, folder: str) -> None:
    study = read_study(study_folder)
    run_dir = Path(folder, "stock").resolve()
    for step in study.steps:
        output = run_dir / step.id
        output.mkdir(parents=True)
        papermill.execute_notebook(
            str(study.folder.resolve() / step.notebook),
            str(run_dir / f"{step.id}.ipynb"),
            {
                "site": str(Path(site).resolve()),
                "run_dir": str(run_dir),
                "output_dir": str(output),
                **study.parameter_values(),
            },
            cwd=str(study.folder.resolve()),
            kernel_name="python3",
            progress_bar=False,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
