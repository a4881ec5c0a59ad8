"""Execution: the steps of a study at one site, in order; what is finished is not run again."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.cache import (
    StepKey,
    digest_value,
    environment_parts,
    step_parts,
    workbench_digest,
)
from workbench.definition.declaration import Problem, refuse
from workbench.definition.parameters import write_params
from workbench.errors import DefinitionError, ExecutionError, WorkbenchError, show
from workbench.notebook import (
    Kernel,
    Stopped,
    kernel_environment,
    run_notebook,
    sweep_sockets,
)
from workbench.provenance import (
    RECORD,
    STEP,
    Failure,
    RunRecord,
    StepRecord,
    platform_name,
    read_record,
    read_step_record,
    write_record,
)
from workbench.running.crate import CRATE, write_crate
from workbench.running.outputs import collect_outputs, is_intact, take_fingerprint
from workbench.running.progress import Event, EventLog, EventName, Listener, now
from workbench.running.publication import (
    TEMPORARY,
    Holder,
    full_disk,
    lock_folder,
    no_space,
    publish,
    recover,
    size_of,
    write_json,
    write_whole,
)
from workbench.running.run import PARAMS, RUNS, Run, StepResult, name_run

if TYPE_CHECKING:
    from workbench.definition.steps import Step
    from workbench.site import Site
    from workbench.study import Study

EVENTS = "events.jsonl"


def run_study(
    study: Study,
    site: Site,
    parameters: Mapping[str, object] | None = None,
    *,
    runs: Path = RUNS,
    sample: int | None = None,
    use_cache: bool = True,
    explain: bool = False,
    progress: Listener | None = None,
) -> Run:
    """Run the steps of a study at a site; go on where an earlier run of the same kind stopped.

    Parameters
    ----------
    study, site
        What to run, and where.
    parameters
        Value by name; others take their default.
    runs
        Folder of all runs; this one's is `runs/<study>/<site>/<run id>`.
    sample
        Number of patients to open, or None for all; a sample can never be released.
    use_cache
        Whether finished steps whose key is unchanged are kept.
    explain
        Whether `progress` gets an event for each reason why a step runs.
    progress
        Called with each event.

    Returns
    -------
    Run

    Raises
    ------
    DefinitionError
        When a parameter or a notebook is not what study.toml declares.
    ExecutionError
        When another process holds the folder, a step does not end well, or the disk is full.
    """
    run = name_run(study, site, parameters, runs, sample)
    # A name that a notebook's parameters cell lacks would be set and then overlooked.
    problems = [f for f in study.check() if f.level == "fail" and f.rule == "parameters"]
    refuse([Problem(f.message, f.where, f.todo) for f in problems], DefinitionError)
    keys = {step.id: step_parts(study, site, step, run.parameters, sample) for step in study.steps}
    with full_disk(run.folder):
        run.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock_folder(run.folder) as dead:
        return _Execution(run, keys, use_cache, explain, progress).execute(dead)


class _Execution:
    """One call of `run_study`, with the lock of its folder held."""

    def __init__(
        self,
        run: Run,
        parts: Mapping[str, dict[str, dict[str, Any]]],
        use_cache: bool,
        explain: bool,
        progress: Listener | None,
    ) -> None:
        self.run, self.parts = run, parts
        self.use_cache, self.explain = use_cache, explain
        self.folder, self.steps = run.folder, run.study.steps
        self.events = EventLog(run.folder / EVENTS, progress)
        self.records: dict[str, StepRecord] = {}
        self.results: list[StepResult] = []
        self.spare: Kernel | None = None
        self.failure: Failure | None = None
        # Names the sockets of this folder's kernels, and of no other's.
        self.sockets = f"workbench-{digest_value(str(self.folder))[:8]}"
        self.started, self.clock = now(), time.monotonic()

    def execute(self, dead: Holder | None) -> Run:
        self.log("run started", total=len(self.steps))
        if dead is not None:
            self.log("lock taken over", detail=f"process {dead.pid} on {show(dead.host)}")
        for name in recover(self.folder, [step.id for step in self.steps]):
            self.log("publication finished", name)
        sweep_sockets(self.sockets)
        try:
            self.write_inputs()
            for i, step in enumerate(self.steps):
                self.do(step, next_step=self.steps[i + 1] if i + 1 < len(self.steps) else None)
            self.finish()
        except KeyboardInterrupt:
            self.end("interrupted", "run interrupted")
            raise
        except WorkbenchError:
            self.end("failed", "run failed")
            raise
        finally:
            if self.spare is not None:
                self.spare.kill()
            shutil.rmtree(self.folder / TEMPORARY, ignore_errors=True)
        return replace(self.run, steps=tuple(self.results))

    def log(self, name: EventName, step: str = "", **more: str | float) -> None:
        self.events.log(Event(name, self.run.site.id, step, **more))  # type: ignore[arg-type]

    def write_inputs(self) -> None:
        """Write what every notebook gets, for the stock papermill line and for the crate."""
        values = {"site": str(self.run.site.path.resolve()), "run_dir": str(self.folder)}
        with full_disk(self.folder / PARAMS):
            write_params(self.folder / PARAMS, {**values, **self.run.parameters})
        definition = self.run.study.path.read_bytes()
        copy = self.folder / "study.toml"
        if not copy.is_file() or copy.read_bytes() != definition:
            write_whole(copy, definition)

    def do(self, step: Step, next_step: Step | None) -> None:
        """Keep a finished step, or run it."""
        key = StepKey(self.parts[step.id] | {"upstream": self.upstream(step)})
        found = read_step_record(self.folder / step.id)
        if (
            self.use_cache
            and found is not None
            and found.key == key.digest
            and set(found.outputs) == {o.name for o in step.outputs}
            and is_intact(found, self.folder / step.id)
        ):
            self.records[step.id] = found
            self.results.append(StepResult(step.id, reused=True, seconds=0.0))
            self.log("step reused", step.id)
            return
        reasons = self.reasons(step, key, found)
        if self.explain:
            for reason in reasons:
                self.log("step explained", step.id, detail=reason)
        record = self.run_step(step, key, next_step)
        self.records[step.id] = record
        self.results.append(StepResult(step.id, False, record.seconds, tuple(reasons)))

    def upstream(self, step: Step) -> dict[str, str]:
        found: dict[str, str] = {}
        for need in step.needs:
            record = self.records[need]
            found |= {f"{need}: {name}": o.sha256 for name, o in record.outputs.items()}
            found |= {f"{need}: what it opened": record.input_digest}
        return found

    def reasons(self, step: Step, key: StepKey, found: StepRecord | None) -> list[str]:
        """Return in words why a step runs."""
        if found is not None:
            changes = key.changes(found.parts)
            if not changes and self.use_cache:
                return ["published outputs were changed or removed"]
            return changes or ["finished steps are not kept in this run"]
        others = [
            (record.ended, folder.name, record)
            for folder in self.folder.parent.iterdir()
            if folder != self.folder and (record := read_step_record(folder / step.id)) is not None
        ]
        if not others:
            return ["it was not finished before"]
        _, name, record = max(others, key=lambda other: other[0])
        changes = key.changes(record.parts)
        return [f"{change} (against run {name})" for change in changes] or ["it was not finished"]

    def kernel(self, step: Step) -> Kernel:
        kernel, self.spare = self.spare, None
        if kernel is None:
            kernel = Kernel(
                self.run.study.folder.resolve(), kernel_environment(self.run.sample), self.sockets
            )
            self.log("kernel started", step.id)
        return kernel

    def run_step(self, step: Step, key: StepKey, next_step: Step | None) -> StepRecord:
        """Run a notebook in a temporary folder and publish what it wrote."""
        started, clock = now(), time.monotonic()
        attempt = self.folder / TEMPORARY / f"{step.id}.{secrets.token_hex(4)}"
        made, executed = attempt / "output", attempt / "notebook.ipynb"
        with full_disk(attempt):
            made.mkdir(parents=True)
        self.log("step started", step.id)
        kernel = self.kernel(step)
        try:
            # A step that was never finished will need a kernel for certain: let it boot meanwhile.
            if next_step is not None and not (self.use_cache and self.has(next_step)):
                self.spare = self.kernel(next_step)
            stopped = run_notebook(
                self.run.study.folder.resolve() / step.notebook,
                executed,
                {
                    "site": str(self.run.site.path.resolve()),
                    "run_dir": str(self.folder),
                    "output_dir": str(made),
                    **self.run.parameters,
                },
                kernel,
                lambda done, total: self.events.tell(
                    Event("cell started", self.run.site.id, step.id, done, total)
                ),
            )
            kernel.close()
        except BaseException:
            kernel.kill()
            raise
        if stopped is not None:
            raise self.stop(step, attempt, stopped)
        try:
            outputs = collect_outputs(step, made)
        except WorkbenchError as error:
            kept = self.keep_notebook(step, executed)
            self.log("step failed", step.id, detail="its outputs are not what it declares")
            self.failure = Failure(step=step.id, error="Output")
            error.todo += f". The executed notebook is kept at {kept}"
            raise
        opened = take_fingerprint(made)
        record = StepRecord(
            step=step.id,
            key=key.digest,
            parts={part: dict(values) for part, values in key.parts.items()},
            outputs=outputs,
            input_digest=opened,
            started=started,
            ended=now(),
            seconds=round(time.monotonic() - clock, 3),
        )
        with full_disk(attempt):
            (made / STEP).mkdir()
            executed.rename(made / STEP / "notebook.ipynb")
            write_json(made / STEP / RECORD, record.model_dump(mode="json"))
        publish(made, self.folder / step.id)
        shutil.rmtree(self.folder / f"{step.id}.failed", ignore_errors=True)
        self.log("step ended", step.id, seconds=record.seconds)
        return record

    def has(self, step: Step) -> bool:
        return (self.folder / step.id).exists()

    def stop(self, step: Step, attempt: Path, stopped: Stopped) -> ExecutionError:
        """Return the error for a step that stopped; its notebook is kept for the site."""
        written = size_of(attempt / "output")
        # Make room first: on a full disk the notebook could not be kept otherwise.
        shutil.rmtree(attempt / "output", ignore_errors=True)
        kept = self.keep_notebook(step, attempt / "notebook.ipynb")
        cell = "" if stopped.cell is None else f" at cell In [{stopped.cell}]"
        with contextlib.suppress(WorkbenchError):
            self.log("step failed", step.id, detail=f"{stopped.error}{cell}")
        self.failure = Failure(step=step.id, cell=stopped.cell, error=stopped.error)
        if stopped.full:
            return no_space(attempt / "output", written)
        return ExecutionError(
            f"Step {step.id!r} stopped{cell}: {stopped.error}",
            where=str(kept),
            todo="Open that notebook at the site only: it may show patient data",
        )

    def keep_notebook(self, step: Step, executed: Path) -> Path:
        folder = self.folder / f"{step.id}.failed"
        with contextlib.suppress(OSError):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            executed.rename(folder / "notebook.ipynb")
        return folder / "notebook.ipynb"

    def finish(self) -> None:
        """Write record and crate, unless they already say the same."""
        record = self.record("finished")
        try:
            earlier: RunRecord | None = read_record(self.folder)
        except ExecutionError:
            earlier = None
        times = {"started", "ended", "seconds"}
        same = earlier is not None and earlier.model_dump(exclude=times) == record.model_dump(
            exclude=times
        )
        if not same or not (self.folder / CRATE).is_file():
            write_crate(self.folder, record, self.run.study)
            write_record(self.folder, record)
        self.log("run ended", seconds=record.seconds)

    def end(self, status: Literal["failed", "interrupted"], name: EventName) -> None:
        """Record that a run did not end well; a full disk must not hide why."""
        with contextlib.suppress(WorkbenchError):
            (self.folder / CRATE).unlink(missing_ok=True)
            write_record(self.folder, self.record(status))
            self.log(name)

    def record(self, status: Literal["finished", "failed", "interrupted"]) -> RunRecord:
        environment = environment_parts()
        return RunRecord(
            run_id=self.run.run_id,
            status=status,
            study=self.run.study.id,
            study_version=self.run.study.version,
            study_digest=self.run.study.digest,
            site=self.run.site.id,
            site_digest=self.run.site.digest,
            parameters=dict(self.run.parameters),
            sample=self.run.sample,
            steps=list(self.records.values()),
            failure=self.failure,
            started=self.started,
            ended=now(),
            seconds=round(time.monotonic() - self.clock, 3),
            workbench_version=version("imaging-workbench"),
            workbench_digest=workbench_digest(),
            software={"python": environment["python"]["version"], **environment["lock"]},
            platform=platform_name(),
        )
