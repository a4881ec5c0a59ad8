"""Crate: a finished run as a Workflow Run RO-Crate."""

# ruff: noqa: ANN401 - rocrate is untyped

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.provenance import OutputRecord, RunRecord, StepRecord
from workbench.running.publication import write_json

if TYPE_CHECKING:
    from workbench.study import Study

CRATE = "ro-crate-metadata.json"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.6": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.6": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.1": "Workflow RO-Crate",
}
"""Permanent addresses of the profiles that a crate conforms to."""
_TYPES = {"int": "Integer", "float": "Float", "bool": "Boolean", "date": "Date"}


def write_crate(folder: Path, record: RunRecord, study: Study) -> None:
    """Write the crate of a finished run beside its record.

    Parameters
    ----------
    folder
        The run folder.
    record
        Its record.
    study
        The study that ran.
    """
    write_json(folder / CRATE, make_crate(record, study))


def make_crate(record: RunRecord, study: Study) -> Mapping[str, Any]:
    """Return the metadata of a run's crate as JSON-LD.

    The workflow is a copy of study.toml; each step is an action. Parameters, and digests of what
    the site holds, are its objects, declared outputs its results. Executed notebooks are not part
    of the crate, and no path of the site is named.

    Parameters
    ----------
    record
        The record of a finished run.
    study
        The study that ran.

    References
    ----------
    Workflow Run Crate 0.6, https://w3id.org/ro/wfrun/workflow/0.6
    """
    from rocrate.rocrate import ROCrate

    return _Crate(ROCrate(), record, study).build()


@dataclass
class _Crate:
    crate: Any
    record: RunRecord
    study: Study
    files: dict[str, list[Any]] = field(default_factory=dict)

    def build(self) -> Mapping[str, Any]:
        record, crate = self.record, self.crate
        crate.name = f"{self.study.title}: {record.site}, run {record.run_id}"
        crate.description = self.study.question
        crate.license = self.study.licence
        crate.datePublished = record.ended
        crate.root_dataset["conformsTo"] = [
            self._add(address, "CreativeWork", name=name, version=address.rsplit("/", 1)[1])
            for address, name in PROFILES.items()
        ]
        workflow, site = self._workflow(), self._add("#site", "Organization", name=record.site)
        given = [self._parameter(workflow, n, v) for n, v in record.parameters.items()]
        if record.sample is not None:
            given.append(self._value("sample", "sample", record.sample))
        given.append(self._value("site-declaration", "site declaration", record.site_digest))
        action = partial(self._add, kind="CreateAction", agent=site)
        steps = [self._step(action, workflow, step, given) for step in record.steps]
        run = action(
            f"#run-{record.run_id}",
            name=f"Run {record.run_id} of {record.study} at {record.site}",
            startTime=record.started,
            endTime=record.ended,
            instrument=workflow,
            actionStatus="http://schema.org/CompletedActionStatus",
            object=given,
            result=[file for files in self.files.values() for file in files],
        )
        crate.root_dataset["mentions"] = [run, *steps]
        generated: Mapping[str, Any] = crate.metadata.generate()
        return generated

    def _add(self, identifier: str, kind: str, **properties: Any) -> Any:
        from rocrate.model.contextentity import ContextEntity

        return self.crate.add(ContextEntity(self.crate, identifier, {"@type": kind, **properties}))

    def _workflow(self) -> Any:
        from rocrate.model.computerlanguage import ComputerLanguage

        name = {"name": "Workbench study", "version": "1"}
        language = self.crate.add(ComputerLanguage(self.crate, "#study-toml", name))
        workflow = self.crate.add_workflow(
            dest_path="study.toml",
            main=True,
            lang=language,
            properties={"name": self.study.title, "version": self.record.study_version},
        )
        workflow["softwareRequirements"] = self._add(
            "#workbench",
            "SoftwareApplication",
            name="Imaging Workbench",
            softwareVersion=self.record.workbench_version,
            sha256=self.record.workbench_digest,
            softwareRequirements=[f"{n} {v}" for n, v in self.record.software.items()],
            operatingSystem=self.record.platform,
        )
        return workflow

    def _parameter(self, workflow: Any, name: str, value: object) -> Any:
        declared = self.study.parameters.get(name)
        kind = _TYPES.get(declared.type, "Text") if declared else "Text"
        slot = self._slot(workflow, "input", name, kind)
        return self._value(f"parameter-{name}", name, value, exampleOfWork=slot)

    def _slot(self, workflow: Any, side: str, name: str, kind: str) -> Any:
        slot = self._add(f"#{side}-{name}", "FormalParameter", name=name, additionalType=kind)
        workflow.append_to(side, slot)
        return slot

    def _value(self, identifier: str, name: str, value: object, **properties: Any) -> Any:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return self._add(f"#{identifier}", "PropertyValue", name=name, value=text, **properties)

    def _step(
        self, action: Callable[..., Any], workflow: Any, step: StepRecord, given: Iterable[Any]
    ) -> Any:
        declared = self.study.step(step.step)
        tool = self._add(
            f"#notebook-{step.step}",
            "SoftwareSourceCode",
            name=declared.notebook,
            programmingLanguage="Python",
            version=self.record.study_version,
        )
        workflow.append_to("hasPart", tool)
        inputs = {"key": step.key, "opened": step.input_digest, **step.parts.get("inputs", {})}
        values = [self._value(f"{step.step}-{n}", n, v) for n, v in inputs.items() if v]
        read = [file for need in declared.needs for file in self.files.get(need, [])]
        self.files[step.step] = [
            self._result(workflow, step.step, name, output) for name, output in step.outputs.items()
        ]
        return action(
            f"#step-{step.step}",
            name=f"Step {step.step}",
            startTime=step.started,
            endTime=step.ended,
            instrument=tool,
            object=[*given, *values, *read],
            result=self.files[step.step],
        )

    def _result(self, workflow: Any, step: str, name: str, output: OutputRecord) -> Any:
        folder = self.study.output(name).kind == "folder"
        slot = self._slot(workflow, "output", name, "Dataset" if folder else "File")
        add = self.crate.add_dataset if folder else self.crate.add_file
        return add(
            dest_path=f"{step}/{output.path}",
            properties={
                "name": name,
                "contentSize": str(output.size),
                "sha256": output.sha256,
                "exampleOfWork": slot,
            },
        )
