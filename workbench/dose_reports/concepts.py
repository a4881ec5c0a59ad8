"""Concepts: the codes of dose reports, and what they mean to us.

A code of the DICOM dictionary stands as its value alone (`content.Item`), one of SNOMED with its
scheme: SCT is today's, SRT the one before it, which most reports still use.

Source: DICOM PS3.16, TID 10001-10007 (projection), 10011-10015 (CT), 10021-10024
(radiopharmaceutical); annex D (codes).
"""

from __future__ import annotations

DOSE_REPORT, RADIOPHARMACEUTICAL_REPORT = "113701", "113500"
CT_ACCUMULATED, CT_ACQUISITION, CT_SOURCE = "113811", "113819", "113831"
PROJECTION_ACCUMULATED, PROJECTION_EVENT = "113702", "113706"
ADMINISTRATION = "113502"
ALERT_DETAILS, NOTIFICATION_DETAILS = "113900", "113908"
PROCEDURE = "121058"
STATED_EVENTS = "113812"
EVENT_UIDS = ("113769", "113503")
EVENT_TIMES = ("111526", "123003")
PROTOCOL = "125203"
REGION = "123014"
ANATOMY = ("SRT:T-D0005", "SCT:91723000")
LATERALITY = ("SRT:G-C171", "SCT:272741003")
EVENT_TYPES = ("113820", "113721")
PHANTOM, PLANE = "113835", "113764"
AGENT = ("SRT:C-B02C9", "SRT:F-61FDB", "SCT:349358000")
ACCUMULATED_AGD = "111637"

TOTALS = {
    "113813": "dlp_total_mgy_cm",
    "113722": "dap_total_gy_cm2",
    "113725": "dose_rp_total_mgy",
    "113730": "fluoro_time_s",
}
"""Number of accumulated dose data -> column of exams."""
NUMBERS = {
    "113830": "ctdivol_mgy",
    "113838": "dlp_mgy_cm",
    "113930": "ssde_mgy",
    "113980": "water_equivalent_diameter_cm",
    "113733": "kvp_kv",
    "113734": "tube_current_ma",
    "113767": "tube_current_ma",
    "113824": "exposure_time_s",
    "113828": "pitch",
    "113825": "scanning_length_mm",
    "113827": "collimation_mm",
    "122130": "dap_gy_cm2",
    "113738": "dose_rp_mgy",
    "111631": "agd_mgy",
    "113845": "exposure_index",
    "113846": "target_exposure_index",
    "113847": "deviation_index",
    "113903": "dlp_alert_mgy_cm",
    "113904": "ctdivol_alert_mgy",
    "113905": "dlp_forward_mgy_cm",
    "113906": "ctdivol_forward_mgy",
    "113911": "dlp_notification_mgy_cm",
    "113912": "ctdivol_notification_mgy",
    "113507": "administered_activity_mbq",
}
"""Number of an event -> column of events."""
AVERAGED = ("kvp_kv", "tube_current_ma")
"""Columns whose numbers are stated for each pulse: their mean."""
PHANTOMS = {"113690": 16.0, "113691": 32.0}
"""Phantom of CTDI -> its diameter in cm (IEC 60601-2-44)."""
SIDES = {
    "SRT:G-A101": "L",
    "SCT:7771000": "L",
    "SRT:T-04030": "L",
    "SCT:80248007": "L",
    "SRT:G-A100": "R",
    "SCT:24028007": "R",
    "SRT:T-04020": "R",
    "SCT:73056007": "R",
    "SRT:G-A102": "B",
    "SCT:51440002": "B",
    "SRT:T-04080": "B",
    "SCT:63762007": "B",
}
"""Side of the body -> L, R or B for both (CID 244)."""
PLANES = {"113620": "A", "113621": "B"}
TYPES = {
    "SRT:P5-08001": "Spiral Acquisition",
    "SCT:116152004": "Spiral Acquisition",
    "113804": "Sequenced Acquisition",
    "113805": "Constant Angle Acquisition",
    "113806": "Stationary Acquisition",
    "113807": "Free Acquisition",
    "113611": "Stationary Acquisition",
    "113612": "Stepping Acquisition",
    "113613": "Rotational Acquisition",
    "SRT:P5-06000": "Fluoroscopy",
    "SCT:44491008": "Fluoroscopy",
}
"""Type of an event -> its name in the standard, whatever a vendor calls it (CID 10013, 10002)."""
MAMMOGRAPHY = ("SRT:P5-40010", "SCT:71651007")
EVENT_VALUES = {
    "dlp_total_mgy_cm": "dlp_mgy_cm",
    "dap_total_gy_cm2": "dap_gy_cm2",
    "dose_rp_total_mgy": "dose_rp_mgy",
    "activity_total_mbq": "administered_activity_mbq",
}
"""Total of an exam -> what of its events it sums; those of the breast also by side."""
