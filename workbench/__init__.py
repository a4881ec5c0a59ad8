"""A research workbench and study framework for imaging studies between institutions."""

from importlib import import_module as _import_module

_NAMES = {
    "Archive": "archive.archive",
    "Codelist": "codelists",
    "Finding": "findings",
    "Policy": "disclosure.policy",
    "Release": "release",
    "Site": "site",
    "Study": "study",
    "Summary": "summaries.summary",
    "WorkbenchError": "errors",
    "add_main_event": "radiology.reference_levels",
    "check_release": "exchange.checked",
    "combine": "summaries.summary",
    "create_site": "definition.new_site",
    "create_study": "template",
    "cumulative_dose": "radiology.cumulative_dose",
    "describe_fleet": "radiology.fleet",
    "describe_reports": "radiology.reports",
    "estimate_effective_dose": "radiology.effective_dose",
    "estimate_exam_effective_dose": "radiology.effective_dose",
    "fill_deviation_index": "radiology.exposure_index",
    "fill_size_specific_dose": "radiology.size_specific_dose",
    "find_above_reference": "radiology.dose_alerts",
    "find_dose_checks": "radiology.dose_alerts",
    "find_faults": "radiology.device_faults",
    "find_patient_totals": "radiology.dose_alerts",
    "find_releases": "exchange.verification",
    "find_rooms_above": "radiology.reference_levels",
    "inspect_machine": "machine",
    "judge_plausibility": "radiology.plausibility",
    "list_device_days": "radiology.device_records",
    "list_device_hours": "radiology.device_records",
    "list_devices": "radiology.device_records",
    "list_runs": "running.retention",
    "load_volume": "imaging.volume",
    "make_key": "exchange.keys",
    "measure_turnaround": "radiology.reports",
    "measure_use": "radiology.equipment",
    "number_facilities": "radiology.ct_doses",
    "open_acquisitions": "radiology.acquisitions",
    "open_archive": "archive.archive",
    "open_catalog": "catalog.catalog",
    "open_exams": "radiology.exams",
    "open_fleet": "radiology.fleet",
    "open_records": "radiology.records",
    "open_register": "radiology.site_tables",
    "open_reports": "radiology.site_tables",
    "open_segmentation": "segments.segmentation",
    "open_table": "radiology.site_tables",
    "open_volume": "imaging.volume",
    "pack": "release",
    "place_in_calendar": "radiology.acquisitions",
    "plot_section": "publish.paper",
    "pool": "pooling",
    "pool_reference_levels": "radiology.pooled_reference_levels",
    "preview_release": "exchange.preview",
    "read_codelist": "codelists",
    "read_dose_reports": "dose_reports.reading",
    "read_site": "site",
    "read_study": "study",
    "read_summary": "summaries.table",
    "read_volume": "imaging.volume_file",
    "reference_levels": "radiology.reference_levels",
    "run_study": "execution",
    "scan": "catalog.scan",
    "scan_site": "archive.site_scan",
    "summarise_rooms": "radiology.reference_levels",
    "take_ct_doses": "radiology.ct_doses",
    "verify": "release",
    "verify_all": "exchange.verification",
    "view": "viewer.view",
    "write_exams": "radiology.exams",
    "write_figure": "publish.paper",
    "write_phantom": "segments.phantom",
    "write_pooled": "pooling",
    "write_records": "radiology.records",
    "write_summary": "summaries.table",
    "write_volume": "imaging.volume_file",
}
"""Public name -> the module that holds it; a module is imported when its name is first used."""


def __getattr__(name: str) -> object:
    if name not in _NAMES:
        from workbench.errors import suggest

        raise AttributeError(f"workbench has no {name!r}. {suggest(name, _NAMES)}")
    value = getattr(_import_module(f"workbench.{_NAMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_NAMES)
