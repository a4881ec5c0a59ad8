"""A research workbench and study framework for imaging studies between institutions."""

from importlib import import_module as _import_module

_NAMES = {
    "Archive": "imaging.archive",
    "Codelist": "codelists",
    "Finding": "findings",
    "Policy": "disclosure.policy",
    "Release": "release",
    "Site": "site",
    "Study": "study",
    "Summary": "summaries.summary",
    "WorkbenchError": "errors",
    "check_release": "exchange.checked",
    "combine": "summaries.summary",
    "create_site": "definition.new_site",
    "create_study": "template",
    "find_releases": "exchange.verification",
    "inspect_machine": "machine",
    "list_runs": "running.retention",
    "make_key": "exchange.keys",
    "open_archive": "imaging.archive",
    "open_exams": "radiology.exams",
    "pack": "release",
    "plot_section": "publish.paper",
    "pool": "pooling",
    "preview_release": "exchange.preview",
    "read_codelist": "codelists",
    "read_site": "site",
    "read_study": "study",
    "read_summary": "summaries.table",
    "run_study": "execution",
    "verify": "release",
    "verify_all": "exchange.verification",
    "write_exams": "radiology.exams",
    "write_figure": "publish.paper",
    "write_pooled": "pooling",
    "write_summary": "summaries.table",
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
