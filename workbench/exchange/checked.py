"""Checked: a run, what of it may leave, and the ledger as it was when that was decided."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, asdict, dataclass, field
from pathlib import Path

from workbench.disclosure.check import Checked, check
from workbench.disclosure.ledger import Ledger
from workbench.errors import ReleaseError
from workbench.exchange.envelope import canonical
from workbench.exchange.offer import HasFolder, Offer, read_offer
from workbench.findings import Finding
from workbench.running.disk import require_outside_repository
from workbench.site import Site
from workbench.study import Study
from workbench.summaries.summary import Summary
from workbench.summaries.table import render_summary

_SEAL = object()


@dataclass(frozen=True, kw_only=True, repr=False)
class CheckedRun(Checked):
    """A run that was checked; only `check_release` makes one, and `pack` packs just this.

    Parameters
    ----------
    offer
        What the run offers. It is held here, so that a later change of the run folder is no
        change of what was checked.
    site
        Digest of the site's declaration that it was checked under.
    after
        State of the ledger that the check saw; see `Ledger.last`.
    digest
        SHA-256 over the views, the findings, what is not answered and the policy, as they were
        decided.
    """

    findings: tuple[Finding, ...]  # type: ignore[assignment]  # nothing is taken out of it
    offer: Offer = field(repr=False)
    site: str
    after: str
    digest: str
    _seal: InitVar[object] = None

    def __post_init__(self, _seal: object) -> None:
        """Refuse what `check_release` did not make, or what `replace` changed."""
        if _seal is not _SEAL:
            raise ReleaseError(
                "A check is not made by hand", where="CheckedRun", todo="Use check_release"
            )

    def render(self, study: Study, site: Site) -> dict[str, bytes]:
        """Return the files of the tables, by name: those that were checked, and no others.

        Raises
        ------
        ReleaseError
            If another study or site was checked, the site declares something else by now, such
            as a stricter policy, or what was decided was changed since.
        """
        record = self.offer.record
        if (record.study_digest, record.site) != (study.digest, site.id):
            raise ReleaseError(
                "What was checked is of another study or site",
                where=f"run {record.run_id}, {record.study} at {record.site}",
                todo=f"Check the run of {study.id} at {site.id}",
            )
        if self.site != site.digest or self.offer.policy != study.policy.tighten(site.policy):
            raise ReleaseError(
                "The site's declaration or policy was changed since this was checked",
                where=f"run {record.run_id}, {site.id}",
                todo="Run the command again",
            )
        files, digest = _render(self.views, self.findings, self.offer)
        if digest != self.digest:
            raise ReleaseError(
                "What was checked was changed since",
                where=f"run {record.run_id}",
                todo="Run the command again",
            )
        return files


def check_release(run: HasFolder | Path, study: Study, site: Site) -> CheckedRun:
    """Return what of a run may leave, and what the check found; nothing is written.

    Parameters
    ----------
    run
        A finished run, or its folder.
    study, site
        What ran, and where.

    Returns
    -------
    CheckedRun
        `views` are the tables that would be packed, `findings` what a person must look at. Give
        it to `pack` once that is done.

    Raises
    ------
    ReleaseError
        If the run cannot be released at all: a sample, unfinished, or of another study or site.
    """
    offer = read_offer(run, study, site)
    ledger = open_ledger(site, _runs(offer))
    with ledger.reading():  # both are of one state
        after, entries = ledger.last(), ledger.entries()
    checked = check(offer.summaries, offer.policy, entries)
    findings = tuple(checked.findings)
    return CheckedRun(
        views=checked.views,
        findings=findings,
        classes=checked.classes,
        offer=offer,
        site=site.digest,
        after=after,
        digest=_render(checked.views, findings, offer)[1],
        _seal=_SEAL,
    )


def ledger_of(checked: CheckedRun, site: Site) -> Ledger:
    """Return the ledger that a run was checked against."""
    return open_ledger(site, _runs(checked.offer))


def open_ledger(site: Site, runs: Path) -> Ledger:
    """Return the ledger of a site, whether there is one yet or not.

    It lies beside the site.toml of a real site, which must be outside of every git work tree. The
    ledger of a public or pretend site protects nobody, and lies with the runs, out of the
    repository.

    Parameters
    ----------
    site
        Whose ledger.
    runs
        Where runs are kept.

    Raises
    ------
    ReleaseError
        If a real site lies in a git work tree.
    """
    if site.kind != "real":
        return Ledger(runs.absolute() / ".ledgers" / f"{site.id}.jsonl")
    path = site.folder / "ledger.jsonl"
    require_outside_repository(path, "The ledger of a real site")
    return Ledger(path)


def _runs(offer: Offer) -> Path:
    return offer.folder.absolute().parents[2]


def _render(
    views: Mapping[str, Summary], findings: Sequence[Finding], offer: Offer
) -> tuple[dict[str, bytes], str]:
    """Return the files of the tables, and the digest of all that was decided."""
    files = {name: render_summary(view) for name, view in views.items()}
    decided = {
        "views": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "findings": [asdict(finding) for finding in findings],
        "not_answered": {name: dict(reason) for name, reason in offer.not_answered.items()},
        "policy": offer.policy.as_dict(),
    }
    return files, hashlib.sha256(canonical(decided)).hexdigest()
