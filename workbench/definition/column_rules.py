"""Column rules: one population is cut by one dimension of a column.

The disclosure check relates the cells of tables by the names of their dimensions. Two dimensions
of one column would be strangers to it, and what one of them hides could be had by subtraction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from workbench.definition.problems import problem
from workbench.findings import Finding

if TYPE_CHECKING:
    from workbench.definition.dimensions import DimensionTable
    from workbench.definition.study_file import StepTable


def column_problems(
    steps: Iterable[StepTable], dimensions: Mapping[str, DimensionTable]
) -> Iterable[Finding]:
    """Yield the dimensions that cut released tables of one population by one column.

    Parameters
    ----------
    steps
        The declared steps, with their outputs.
    dimensions
        The declared dimensions by name.
    """
    used: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for step in steps:
        for output in step.output:
            known = [name for name in output.dimensions if name in dimensions]
            for name in known if output.release else []:
                column = dimensions[name].column or name
                tables = used[output.population, column]
                if tables and name not in tables:
                    first, table = next(iter(tables.items()))
                    both = " and ".join(f"{t!r}" for t in dict.fromkeys([table, output.name]))
                    cut = f"cut {output.population!r} by the column {column!r}"
                    yield problem(
                        f"Both {first!r} and {name!r} {cut}",
                        f"study.toml, step.{step.id}.output.{output.name}.dimensions",
                        f"Use one of them in {both}: by two, what is hidden could be subtracted",
                    )
                tables.setdefault(name, output.name)
