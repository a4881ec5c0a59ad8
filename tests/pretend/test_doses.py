"""Doses grow with size, differ by device, and are missing where a device sends none."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from tests.pretend.test_city import rows
from workbench.pretend.city import City

NEEDS = {
    "CT": {"ctdivol_mgy", "dlp_mgy_cm", "phantom_cm", "kvp_kv"},
    "MG": {"agd_mgy", "kvp_kv"},
    "DX": {"dap_gy_cm2", "kvp_kv"},
    "CR": {"dap_gy_cm2", "kvp_kv"},
    "PX": {"dap_gy_cm2", "kvp_kv"},
    "RF": {"dap_gy_cm2", "fluoro_time_s", "kvp_kv"},
    "XA": {"dap_gy_cm2", "dose_rp_mgy", "fluoro_time_s", "kvp_kv"},
}
DOSES = set().union(*NEEDS.values())


@pytest.fixture(scope="module")
def exams():
    return rows(City(9, 0.1, start=dt.date(2023, 1, 1), months=3, plant=False), "exams")


def test_a_dose_stands_where_it_belongs(exams):
    for (modality,), held in exams.partition_by("modality", as_dict=True).items():
        given = {name for name in DOSES if held[name].count() > 0}
        assert given == NEEDS.get(modality, set())
        assert all((held[name].drop_nulls() >= 0).all() for name in given)


def test_some_devices_send_no_dose(exams):
    ct = exams.filter(pl.col("modality") == "CT")
    silent = ct.group_by("station").agg(pl.col("dlp_mgy_cm").count() / pl.len())["dlp_mgy_cm"]
    assert ((silent == 0) | (silent > 0.95)).all()
    assert 0.01 < ct["dlp_mgy_cm"].is_null().mean() < 0.25


def test_children_get_less(exams):
    chest = exams.filter(pl.col("protocol") == "CT_CHEST")
    child = chest.filter(pl.col("age_years") < 6)["dlp_mgy_cm"].median()
    adult = chest.filter(pl.col("age_years") >= 18)["dlp_mgy_cm"].median()
    assert child < 0.4 * adult


def test_larger_people_get_more(exams):
    body = exams.filter(pl.col("protocol") == "CT_ABDPELVIS", pl.col("age_years") >= 18)
    light = body.filter(pl.col("weight_kg") < 65)["ctdivol_mgy"].median()
    heavy = body.filter(pl.col("weight_kg") > 90)["ctdivol_mgy"].median()
    # RP 185 (2018), thorax: 3.7 mGy at 30 to 50 kg, 5.4 mGy at 50 to 80 kg.
    assert heavy / light == pytest.approx((5.4 / 3.7) ** (35 / 25), rel=0.2)


def test_dlp_is_ctdivol_times_a_length(exams):
    head = exams.filter(pl.col("protocol") == "CT_HEAD", pl.col("age_years") >= 18)
    lengths = head["dlp_mgy_cm"] / head["ctdivol_mgy"]
    # 790 mGy·cm over 47 mGy, UK national diagnostic reference levels, 20 November 2024.
    assert lengths.median() == pytest.approx(790 / 47, rel=0.05)
    assert head["phantom_cm"].drop_nulls().unique().to_list() == [16]
