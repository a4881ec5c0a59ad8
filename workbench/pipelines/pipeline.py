"""Pipeline: a bundle applied to a cohort, one exam a task, and nothing done twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.archive.cluster import Workers, open_cluster
from workbench.capacity import read_cores, read_memory
from workbench.errors import PipelineError, UsageError, show, suggest
from workbench.pipelines.attrition import REASONS
from workbench.pipelines.bundle import Bundle, read_bundle
from workbench.pipelines.cohort import Exam, list_exams
from workbench.pipelines.exam import Order, do_nothing, examine
from workbench.pipelines.inference import Model, load_model
from workbench.pipelines.place import Place, choose_place, deterministic
from workbench.pipelines.requirement import Requirement
from workbench.pipelines.results import (
    EXAMS,
    RUN,
    Results,
    clear_unfinished,
    gather,
    names_of,
    read_row,
)
from workbench.running.disk import read_private, writing
from workbench.running.lock import lock_folder
from workbench.running.publication import write_json

if TYPE_CHECKING:
    from workbench.pipelines.cohort import Cohort
    from workbench.site import Site

VERSION = 1
"""Of what stands in run.json and in an exam's row."""
MEMORY_SHARE = 0.8
"""Part of the free memory that all exams together may take."""
GPU_READERS = 4
"""Exams that are read and prepared at a time beside a GPU, at most."""


@dataclass(frozen=True)
class Progress:
    """Say how far a pipeline is; holds nothing of whom.

    Parameters
    ----------
    done, total
        Exams.
    reason
        Why the last one has no answer; "" if it has one.
    """

    done: int
    total: int
    reason: str = ""


@dataclass(frozen=True)
class Pipeline:
    """Hold a bundle that may be applied; made by `load`.

    Parameters
    ----------
    path
        Where the bundle lies.
    bundle
        What was read of it.
    """

    path: Path
    bundle: Bundle

    @classmethod
    def load(cls, bundle: Path | str, *, trusted: Collection[str] | Site = ()) -> Pipeline:
        """Read a bundle, and see that its weights are those of its network.

        Parameters
        ----------
        bundle
            A bundle of MONAI: a folder, or a zip file of one.
        trusted
            A site, or digests ("sha256:…") of bundles whose configuration may hold code.

        Returns
        -------
        Pipeline

        Raises
        ------
        PipelineError
            With file, key and value of what is refused.
        """
        digests: Any = getattr(trusted, "trusted_bundles", trusted)
        read = read_bundle(bundle, trusted=digests)
        read.network()
        read.configuration.build()
        return cls(Path(bundle), read)

    @property
    def digest(self) -> str:
        """Digest of the bundle, which each row names."""
        return self.bundle.digest

    @property
    def requirement(self) -> Requirement:
        """What a series must be, as the bundle declares it."""
        return self.bundle.requirement

    def apply(
        self,
        exams: Cohort,
        out: Path | str,
        *,
        requirement: Requirement | None = None,
        site: Site | None = None,
        workers: int | None = None,
        device: str = "auto",
        precision: str = "auto",
        timeout_s: float = 1800.0,
        memory_gb: float | None = None,
        retry: Collection[str] = (),
        progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Results:
        """Apply the pipeline to each exam of a cohort; what is finished is not done again.

        The same call after an interruption, or a crash, goes on where it ended, and gives the same
        numbers to the last bit on the same kind of processor. An exam that cannot be used, fails,
        or takes too long or too much is a row with its reason, and the others go on.

        Parameters
        ----------
        exams
            A catalog or an archive, or name -> volume, folder or files, or volumes in order. A
            name stands in the column exam_uid, in the tables alone.
        out
            Folder of the results; private like the exams.
        requirement
            What a series must be, instead of what the bundle declares.
        site
            Whose `[dask]` names the workers; threads of this process without.
        workers
            Exams at a time, without a site; by default one a core.
        device
            "cpu", "cuda", or "auto": a GPU if there is one.
        precision
            "float32", "bfloat16", "float16", or "auto": bfloat16 on a GPU that has it.
        timeout_s
            Seconds that one exam may take; asked between stages and windows.
        memory_gb
            Memory that one exam may take (GB); by default its share of what is free.
        retry
            Reasons whose exams are done again, such as `attrition.AGAIN`.
        progress
            Called after each exam.
        stop
            Once set, no further exam is begun, and those begun are left to the next call.

        Returns
        -------
        Results
            Of all exams that are finished.

        Raises
        ------
        PipelineError
            If `out` holds results of another pipeline, or the bundle changed.
        UsageError
            If an option is not known.
        ExecutionError
            If another process works in `out`, or there is no room.
        KeyboardInterrupt
            If the user stops it; what is finished is kept.
        """
        for reason in retry:
            if reason not in REASONS:
                raise UsageError(
                    f"Unknown reason {show(reason)!r}", where="retry", todo=suggest(reason, REASONS)
                )
        wanted = self.requirement if requirement is None else requirement
        place = choose_place(device, precision)
        number = workers or read_cores()
        if place.device == "cuda" and not workers:
            number = min(number, GPU_READERS)
        memory = read_memory()[0] * MEMORY_SHARE / number if memory_gb is None else memory_gb * 1e9
        out = Path(out).absolute()
        with writing(out):
            (out / EXAMS).mkdir(parents=True, exist_ok=True)
        with lock_folder(out, what="folder of results"):
            clear_unfinished(out)
            self._claim(out, place, wanted)
            listed = list(list_exams(exams))
            rows = {exam.exam_uid: read_row(out, exam.exam_uid) for exam in listed}
            todo = [e for e in listed if _is_undone(rows[e.exam_uid], retry)]
            done = len(listed) - len(todo)
            crowd = _Crowd(len(listed), done, progress, stop or threading.Event())
            order = Order(
                self.path.absolute(), self.digest, self.bundle.trusted, place, wanted, out,
                timeout_s, memory,
            )  # fmt: skip
            try:
                if todo:
                    self._map(order, todo, site, number, crowd)
            finally:
                known = [read_row(out, exam.exam_uid) for exam in listed]
                answer = self.bundle.answer
                results = gather(
                    out, [row for row in known if row], names_of(answer.findings, answer.kind)
                )
        return results

    def _claim(self, out: Path, place: Place, wanted: Requirement) -> None:
        """Write what is applied into a folder, or refuse one that holds something else."""
        import monai
        import torch

        asked = {
            "version": VERSION, "name": self.bundle.name, "model_digest": self.digest,
            "device": place.device, "precision": place.precision, "threads": place.threads,
            "requirement": wanted.plain(),
        }  # fmt: skip
        told = asked | {"torch": torch.__version__, "monai": monai.__version__}
        if place.device == "cuda":
            told["gpu"] = torch.cuda.get_device_name()
        before = read_private(out / RUN, 2**20)
        if before is None:
            write_json(out / RUN, told)
            return
        try:
            found = json.loads(before)
        except ValueError:
            found = {}
        asked = json.loads(json.dumps(asked))
        for key, value in asked.items():
            if key != "name" and (not isinstance(found, dict) or found.get(key) != value):
                raise PipelineError(
                    "The folder holds results of another pipeline",
                    where=f"{RUN}, {key}: {show(found.get(key) if isinstance(found, dict) else '')}"
                    f" instead of {show(value)}",
                    todo="Apply this one into another folder",
                )

    def _map(
        self, order: Order, exams: Sequence[Exam], site: Site | None, number: int, crowd: _Crowd
    ) -> None:
        declared = {} if site is None else dict(site.dask or {})
        if declared.get("scheduler") or (declared.get("workers") and declared.get("processes")):
            with open_cluster(site) as cluster:
                _map_far(cluster, order, exams, crowd)
            return
        model = load_model(self.bundle, order.place)
        threads = int(declared.get("workers") or number)
        with deterministic(order.place):
            _map_here(model, order, exams, threads, crowd)


class _Crowd:
    """Count the exams of one call, tell who listens, and hold what stops them."""

    def __init__(
        self,
        total: int,
        done: int,
        listener: Callable[[Progress], None] | None,
        halt: threading.Event,
    ) -> None:
        self.total, self.done = total, done
        self.listener = listener or do_nothing
        self.halt = halt
        self.lock = threading.Lock()

    def tell(self, reason: str) -> None:
        with self.lock:
            self.done += 1
            self.listener(Progress(self.done, self.total, reason))


def _is_undone(row: Mapping[str, Any] | None, retry: Collection[str]) -> bool:
    return row is None or (row["reason"] != "" and row["reason"] in retry)


def _map_here(
    model: Model, order: Order, exams: Sequence[Exam], threads: int, crowd: _Crowd
) -> None:
    """Examine exams in threads of this process, and wait for those begun, whatever happens."""
    active = threading.BoundedSemaphore(threads)

    def task(exam: Exam) -> None:
        with active:
            if crowd.halt.is_set():
                return
            try:
                reason = examine(order, exam, model, crowd.halt)
                if reason is not None:
                    crowd.tell(reason)
            except BaseException:
                crowd.halt.set()
                raise

    try:
        Workers(threads=threads).map(task, exams)
    except BaseException:
        crowd.halt.set()
        raise
    finally:
        for _ in range(threads):
            active.acquire()


def _map_far(cluster: Workers, order: Order, exams: Sequence[Exam], crowd: _Crowd) -> None:
    """Examine exams in processes of a cluster; one whose process dies again and again is a row."""
    distributed = import_module("distributed")
    client = cluster.client
    futures = {client.submit(examine, order, exam, pure=False): exam for exam in exams}
    try:
        for future in distributed.as_completed(list(futures), loop=client.loop):
            error = future.exception()
            if isinstance(error, distributed.KilledWorker):
                exam = futures[future]
                lost = replace(order, memory_bytes=0.0)
                crowd.tell(examine(lost, exam, None, None) or "failed")
            elif error is not None:
                raise error
            else:
                crowd.tell(future.result() or "")
            if crowd.halt.is_set():
                return
    finally:
        client.cancel(list(futures))
