import numpy as np
import polars as pl
import pytest

from workbench.dose_reports.reading import read_dose_reports
from workbench.radiology.exposure_index import deviation_index, fill_deviation_index


def test_deviation_is_in_tenths_of_a_decade():
    assert round(float(deviation_index(662.18, 226.22)), 2) == 4.66
    assert deviation_index([200, 100, 50], 100).round().tolist() == [3, 0, -3]
    assert np.isnan(deviation_index([0, -5, np.nan], 100)).all()


def test_what_a_radiograph_states_is_what_is_computed(shared_data):
    events = read_dose_reports(shared_data / "openrem").events.drop_nulls("exposure_index")
    assert len(events) == 3
    computed = fill_deviation_index(events.with_columns(deviation_index=pl.lit(None, pl.Float64)))
    stated = events["deviation_index"].to_list()
    assert computed["deviation_index"].to_list() == pytest.approx(stated, abs=0.05)
    assert fill_deviation_index(events)["deviation_index"].to_list() == stated
