"""Find the sites that a checkout holds: folders below `datasets/` with a `site.toml`."""

from __future__ import annotations

import runpy
from pathlib import Path

from workbench.errors import SiteError, UsageError, show, suggest
from workbench.site import Site, read_site


def list_sites(root: Path) -> dict[str, Site]:
    """Return the sites declared below a folder, by their id.

    Parameters
    ----------
    root
        Folder to search, to any depth; usually `datasets/`.

    Raises
    ------
    SiteError
        If two declarations carry one id, or one cannot be read.
    """
    found: dict[str, Site] = {}
    for path in sorted(root.rglob("site.toml")):
        site = read_site(path)
        if site.id in found:
            raise SiteError(
                f"Two sites are called {site.id!r}",
                where=f"{found[site.id].path} and {path}",
                todo="Give each site its own id",
            )
        found[site.id] = site
    return found


def build_dataset(folder: Path, name: str, scale: float | None = None) -> None:
    """Make the tables of pretend institutions by their recipe; what is made already stays.

    Parameters
    ----------
    folder
        The `datasets/` folder.
    name
        Name of the folder in it that holds `recipe.py`.
    scale
        Share of it to make, 0.001 to 1; None for what the recipe makes by itself.

    Raises
    ------
    UsageError
        If there is no such recipe, or it cannot be made at this scale.
    """
    recipe = folder / name / "recipe.py"
    known = sorted(path.parent.name for path in folder.glob("*/recipe.py"))
    if name not in known:
        raise UsageError(
            f"There is no recipe of {show(name)!r}",
            where=show(str(folder), 200),
            todo=suggest(name, known),
        )
    runpy.run_path(str(recipe))["main"]([] if scale is None else ["--scale", str(scale)])


def datasets_of(folder: Path) -> Path:
    """Return the `datasets/` folder of the checkout that holds `folder`.

    Raises
    ------
    SiteError
        If no folder above holds one.
    """
    for parent in (folder.resolve(), *folder.resolve().parents):
        if (parent / "datasets").is_dir():
            return parent / "datasets"
    raise SiteError(
        "No sites were found", where=str(folder), todo="Add --site FILE, the path of a site.toml"
    )


def choose_sites(declarations: list[Path], folder: Path, wanted: list[str]) -> list[Site]:
    """Return the named sites, or all of a study's sites that this checkout holds.

    Parameters
    ----------
    declarations
        Paths of `site.toml` files; empty for all.
    folder
        Folder of the study.
    wanted
        Ids of the sites that take part in the study.

    Raises
    ------
    SiteError
        If a declaration cannot be read, or no site of the study is here.
    """
    if declarations:
        return [read_site(path) for path in declarations]
    here = list_sites(datasets_of(folder))
    chosen = [here[name] for name in wanted if name in here]
    if not chosen:
        example = f", e.g. --site {_short(next(iter(here.values())).path)}" if here else ""
        raise SiteError(
            "None of the study's sites is in this checkout",
            where=str(folder / "sites.toml"),
            todo=f"Add --site FILE{example}, or pin sites in sites.toml",
        )
    return chosen


def _short(path: Path) -> Path:
    """Return a path as it is typed here: from the current folder, if it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
