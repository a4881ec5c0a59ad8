"""Statistics: areas with their intervals of a million exams, whole and in all subgroups."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.row import Row

EXAMS = 1_000_000
REPEATS = 3
COLUMNS = {"age": 14, "sex": 2, "vendor": 6, "slice thickness": 5, "dose": 4}


def run() -> list[Row]:
    """Measure all, and return the rows."""
    from sklearn.metrics import roc_auc_score

    from workbench.statistics.delong import estimate_area
    from workbench.statistics.roc import count_scores
    from workbench.statistics.subgroups import areas_of_subgroups, rank_scores

    random = np.random.default_rng(0)
    truth = random.random(EXAMS) < 0.1
    score = random.normal(truth * 1.5)
    labels = {name: random.integers(0, number, EXAMS) for name, number in COLUMNS.items()}
    few = slice(EXAMS // 10)

    whole = estimate_area(count_scores(truth, score))
    if abs(whole.estimate - roc_auc_score(truth, score)) > 1e-9:
        raise SystemExit("the areas differ")
    ranked = areas_of_subgroups(rank_scores(truth, score), labels, depth=1)
    for at in range(1, len(ranked.areas)):
        (column,) = np.flatnonzero(ranked.codes[at] >= 0)
        inside = labels[ranked.columns[column]] == ranked.codes[at, column]
        alone = estimate_area(count_scores(truth[inside], score[inside]))
        if abs(alone.low - ranked.areas.low[at]) > 1e-9:
            raise SystemExit("a subgroup differs from itself alone")

    # Taken in turns, so that a busy machine slows all.
    # Beyond the cache ten times as many take more than ten times as long, but not a hundred.
    work: dict[str, Callable[[], object]] = {
        "area": lambda: estimate_area(count_scores(truth, score)),
        "few": lambda: estimate_area(count_scores(truth[few], score[few])),
        "peer": lambda: roc_auc_score(truth, score),
        "all": lambda: areas_of_subgroups(rank_scores(truth, score), labels),
    }
    # Taken in turns, so that a busy machine slows all.
    turns = [{name: _seconds(work[name]) for name in work} for _ in range(REPEATS)]
    taken = {name: min(turn[name] for turn in turns) for name in work}
    return [
        Row("AUC with DeLong's interval, 1 million exams", taken["area"], limit=1.0),
        Row("the same beside scikit-learn's AUC alone", taken["area"], taken["peer"], 1.0),
        Row("the same over ten times a tenth of them", taken["area"], 10 * taken["few"], 3.0),
        Row("AUC with interval in all subgroups of 5 columns", taken["all"], limit=10.0),
    ]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
