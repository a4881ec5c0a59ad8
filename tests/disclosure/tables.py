"""Pretend exams for the tests of disclosure control."""

import numpy as np
from hypothesis import strategies as st

from workbench.summaries import counts, histogram, moments
from workbench.summaries.dimension import Dimension

MODALITY = Dimension("modality", ("CT", "MR", "PT", "US"))
SEX = Dimension("sex", ("F", "M", "other"), one_per="patient", zeros="public")
TRACER = Dimension("tracer", ("A", "B", "C"), one_per="none")
VENDOR = Dimension("vendor", ("V", "W", "X"), zeros="public")
EDGES = [1, 2, 5, 10, 20, 50, 100]


def tables(patients, seed, *, exams_each=1.4, skew=1.2, population="exams"):
    """Return several exact tables of one population, by name."""
    rng = np.random.default_rng(seed)
    size = max(patients, int(patients * exams_each))
    patient = np.concatenate(
        [np.arange(patients), rng.integers(0, max(patients, 1), size - patients)]
    )
    exam = np.arange(size)

    def draw(dimension, n):
        weight = 1 / np.arange(1, len(dimension.labels) + 1) ** (2 * skew)
        return rng.choice(len(dimension.labels), n, p=weight / weight.sum())

    modality, vendor = draw(MODALITY, size), draw(VENDOR, size)
    sex, tracer = draw(SEX, max(patients, 1))[patient], draw(TRACER, size)
    value = rng.lognormal(2, 1.2, size).round()
    about = {"population": population}
    # Every tenth exam has a second tracer.
    twice = np.flatnonzero(exam % 10 == 0)
    rows = np.concatenate([exam, twice])
    of_tracer = np.concatenate([tracer, (tracer[twice] + 1) % 3])
    return {
        "by_modality": counts.summarise([MODALITY], {"modality": modality}, exam, patient, **about),
        "by_vendor_sex": counts.summarise(
            [VENDOR, SEX], {"vendor": vendor, "sex": sex}, exam, patient, **about
        ),
        "by_tracer": counts.summarise(
            [TRACER], {"tracer": of_tracer}, exam[rows], patient[rows], **about
        ),
        "value": moments.summarise(
            [MODALITY], {"modality": modality}, exam, patient, value,
            unit="1", resolution=1.0, **about,
        ),
        "values": histogram.summarise(
            [MODALITY], {"modality": modality}, exam, patient, value,
            edges=EDGES, unit="1", **about,
        ),
    }  # fmt: skip


sites = st.builds(
    tables,
    patients=st.integers(0, 160),
    seed=st.integers(0, 10**6),
    exams_each=st.sampled_from([1.0, 1.4, 2.5]),
    skew=st.sampled_from([0.3, 1.2, 2.0]),
)


def by(dimension, numbers, *, population="exams", first=0):
    """Return counts of patients with one exam each: so many for each label."""
    column = np.repeat(np.arange(len(numbers)), numbers)
    who = first + np.arange(len(column))
    return counts.summarise([dimension], {dimension.name: column}, who, who, population=population)


def feasible(problem):
    """Return what can be told of every cell that was not told, one programme after another."""
    return [problem.exposure(number) for number in problem.where]
