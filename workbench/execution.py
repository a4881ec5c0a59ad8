"""Execution: the steps of a study at one site, in order; what is finished is not run again."""

from __future__ import annotations

import contextlib
import secrets
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
from workbench.definition.parameters import write_params
from workbench.definition.problems import refuse_failures
from workbench.definition.study_check import check_notebooks
from workbench.errors import DefinitionError, ExecutionError, SiteError, WorkbenchError, show
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
from workbench.running.disk import no_space, remove, size_of, writing
from workbench.running.lock import Holder, Lock, lock_folder
from workbench.running.outputs import collect_outputs, is_intact, take_fingerprint
from workbench.running.progress import Event, EventLog, EventName, Listener, now
from workbench.running.publication import (
    RUNS,
    TEMPORARY,
    publish,
    recover,
    write_json,
    write_whole,
)
from workbench.running.reasons import find_reasons
from workbench.running.run import PARAMS, Run, StepResult, name_run

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
        When another process holds the folder, a step does not end well, or the disk is full or
        refuses.
    """
    run = name_run(study, site, parameters, runs, sample)
    # A name that a notebook's parameters cell lacks would be set and then overlooked.
    findings = (f for f in check_notebooks(study) if f.rule == "parameters")
    refuse_failures(findings, DefinitionError)
    keys = {step.id: step_parts(study, site, step, run.parameters, sample) for step in study.steps}
    with writing(run.folder):
        run.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with lock_folder(run.folder) as lock:
            events = EventLog(run.folder / EVENTS, progress)
            return _Execution(run, keys, events, use_cache, explain).execute(lock)


class _Execution:
    """One call of `run_study`, with the lock of its folder held."""

    def __init__(
        self,
        run: Run,
        parts: Mapping[str, dict[str, dict[str, Any]]],
        events: EventLog,
        use_cache: bool,
        explain: bool,
    ) -> None:
        self.run, self.parts, self.events = run, parts, events
        self.use_cache, self.explain = use_cache, explain
        self.folder, self.steps = run.folder, run.study.steps
        self.records: dict[str, StepRecord] = {}
        self.results: list[StepResult] = []
        self.spare: Kernel | None = None
        self.failure: Failure | None = None
        # Names the sockets of this folder's kernels, and of no other's.
        self.sockets = f"workbench-{digest_value(str(self.folder))[:8]}"
        self.started, self.clock = now(), time.monotonic()

    def execute(self, lock: Lock) -> Run:
        self.lock = lock
        try:
            with writing(self.folder):
                self.start(lock.dead)
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
            remove(self.folder / TEMPORARY)
        return replace(self.run, steps=tuple(self.results))

    def log(self, name: EventName, step: str = "", **more: str | float) -> None:
        self.events.log(Event(name, self.run.site.id, step, **more))  # type: ignore[arg-type]

    def start(self, dead: Holder | None) -> None:
        self.log("run started", total=len(self.steps))
        if dead is not None:
            self.log("lock taken over", detail=f"process {dead.pid} on {show(dead.host)}")
        for name in recover(self.folder, [step.id for step in self.steps]):
            self.log("publication finished", name)
        sweep_sockets(self.sockets)
        self.write_inputs()

    def write_inputs(self) -> None:
        """Write what every notebook gets, for the stock papermill line and for the crate."""
        values = {"site": str(self.run.site.path.resolve()), "run_dir": str(self.folder)}
        params = self.folder / PARAMS
        with writing(params):
            if params.is_symlink() or not params.is_file():
                remove(params)  # nothing is written through what a notebook put there
            write_params(params, {**values, **self.run.parameters})
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
        reasons = find_reasons(self.folder, step.id, key, found, use_cache=self.use_cache)
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
        with writing(attempt):
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
            self.lock.validate()
            with writing(made):
                code = "\n".join(self.run.study.notebook(step.notebook).code)
                outputs = collect_outputs(step, made, code)
        except WorkbenchError as error:
            kept = self.keep_notebook(step, executed)
            self.failure = Failure(step=step.id, error="Output")
            error.todo += f". {_told(kept)}"
            with contextlib.suppress(WorkbenchError):
                self.log("step failed", step.id, detail="its outputs are not what it declares")
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
        with writing(made):
            (made / STEP).mkdir()
            executed.rename(made / STEP / "notebook.ipynb")
            write_json(made / STEP / RECORD, record.model_dump(mode="json"))
        publish(made, self.folder / step.id)
        remove(self.folder / f"{step.id}.failed")
        self.log("step ended", step.id, seconds=record.seconds)
        return record

    def has(self, step: Step) -> bool:
        return (self.folder / step.id).exists()

    def stop(self, step: Step, attempt: Path, stopped: Stopped) -> WorkbenchError:
        """Return the error for a step that stopped; its notebook is kept for the site."""
        written = size_of(attempt / "output")
        # Make room first: on a full disk the notebook could not be kept otherwise.
        remove(attempt / "output")
        kept = self.keep_notebook(step, attempt / "notebook.ipynb")
        cell = "" if stopped.cell is None else f" at cell In [{stopped.cell}]"
        with contextlib.suppress(WorkbenchError):
            self.log("step failed", step.id, detail=f"{stopped.error}{cell}")
        self.failure = Failure(step=step.id, cell=stopped.cell, error=stopped.error)
        if stopped.full:
            return no_space(attempt / "output", written)
        # What may be told is a mistake of the site's, not of the step's.
        return (SiteError if stopped.told else ExecutionError)(
            f"Step {step.id!r} stopped{cell}: {stopped.told or stopped.error}",
            where=str(kept or self.folder),
            todo=f"{stopped.todo}, then run again" if stopped.told else _told(kept),
        )

    def keep_notebook(self, step: Step, executed: Path) -> Path | None:
        folder = self.folder / f"{step.id}.failed"
        with contextlib.suppress(OSError):
            remove(folder)
            folder.mkdir(mode=0o700)
            return executed.rename(folder / "notebook.ipynb")
        return None

    def finish(self) -> None:
        """Write record and crate, unless they already say the same."""
        self.lock.validate()
        for step, published in self.records.items():
            if not is_intact(published, self.folder / step):
                raise ExecutionError(
                    f"The outputs of step {step!r} were changed after they were published",
                    where=str(self.folder / step),
                    todo="Let notebooks write into output_dir only, then run again",
                )
        if not all(result.reused for result in self.results):
            self.write_inputs()  # a notebook may have removed them
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
        """Record that a run did not end well; nothing that fails here may hide why."""
        with contextlib.suppress(WorkbenchError, OSError):
            remove(self.folder / CRATE)
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


def _told(kept: Path | None) -> str:
    if kept is None:
        return "No executed notebook was kept: save the notebook with JupyterLab, then run again"
    return f"Open {kept} at the site only: it may show patient data"
