"""The environment files say the same, and the lock satisfies the project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base", "dask": "dask"}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(*groups: str) -> list[Requirement]:
    """Return the project's requirements of the named extras, and the core."""
    extras = project()["optional-dependencies"]
    return [
        Requirement(line)
        for line in project()["dependencies"] + [x for g in groups for x in extras[g]]
    ]


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_binder_builds_the_environment_of_the_repository_but_for_what_it_never_opens():
    ours = (ROOT / "environment.yml").read_text().splitlines()
    left_out = [line for line in ours if re.match(r"  - (monai|pytorch-cpu)\b", line)]
    assert len(left_out) == 2
    binder = (ROOT / "binder" / "environment.yml").read_text().splitlines()
    assert binder == [line for line in ours if line not in left_out]
    for notebook in [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("studies/**/*.ipynb")]:
        assert not re.search(r"\b(import|from) (torch|monai)\b", notebook.read_text()), notebook


def test_lock_holds_exact_versions_and_no_host():
    text = (ROOT / "requirements.lock").read_text()
    assert re.fullmatch(r"(?:[a-z0-9._-]+(?:\[[a-z,]+\])?==[0-9a-z.]+(?: ; .+)?\n)+", text)
    assert "nvidia-" not in text
    assert "+cpu" not in text


def test_lock_satisfies_the_project():
    held = locked()
    for requirement in requirements(*project()["optional-dependencies"]):
        assert requirement.name.lower() in held, requirement
        assert Version(held[requirement.name.lower()]) in requirement.specifier, requirement
    assert Version(held["jsonschema"]) < Version("4.25")


def test_lock_is_what_is_installed():
    moved = {
        n: (v, version(n))
        for n, v in locked().items()
        if Version(version(n)).public != Version(v).public
    }
    assert moved == {}


@pytest.mark.parametrize(
    "name",
    [
        "jupyterlab",
        "ipywidgets",
        "xarray",
        "dask",
        "monai",
        "torch",
        "pydicom",
        "papermill",
        "voila",
    ],
)
def test_the_given_packages_are_dependencies(name):
    assert name in {r.name for r in requirements("imaging", "lab", "datasets")}
    assert CONDA_NAMES.get(name, name) in {Requirement(d).name for d in conda_dependencies()}


def conda_dependencies() -> list[str]:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    plain = [d for d in listed if isinstance(d, str)]
    pip = next(d["pip"] for d in listed if isinstance(d, dict))
    return [re.sub(r"^python=", "python==", d) for d in plain] + pip


def test_conda_environment_agrees_with_the_project():
    conda = {Requirement(d).name: Requirement(d).specifier for d in conda_dependencies()}
    for requirement in requirements():
        name = CONDA_NAMES.get(requirement.name, requirement.name)
        assert name in conda, f"{name} is missing in environment.yml"
        assert conda[name] == requirement.specifier, name


def test_binder_recipe_is_accepted():
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-repo2docker"), "--no-build", "--debug", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "binder/environment.yml" in done.stdout + done.stderr
    assert "./binder/postBuild" in done.stdout + done.stderr
    assert 'R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in done.stdout + done.stderr


@pytest.mark.parametrize("script", ["postBuild", "start"])
def test_scripts_of_binder_can_be_run(script):
    path = ROOT / "binder" / script
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", path], check=True)


def make(*words: str) -> list[str]:
    """Return the lines that make would run."""
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "-B", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.replace("\\\n", " ").splitlines()


def test_wheelhouse_holds_what_the_environment_is_built_from():
    (line,) = [line for line in make("wheelhouse") if "pip download" in line]
    assert "--only-binary=:all:" in line
    assert "--dest wheelhouse" in line
    assert line.split()[-3:] == ["--requirement", "requirements.lock", "uv"]
    assert "setuptools" in locked()  # what builds the Workbench itself
    assert "wheelhouse/" in (ROOT / ".gitignore").read_text().splitlines()


def test_without_internet_no_package_is_asked_for_elsewhere():
    lines = [x for x in make("env", "FIND_LINKS=wheelhouse", "NO_INDEX=1") if "install" in x]
    commands = [part for line in lines for part in line.split("||")]
    asking = [c for c in commands if "--no-deps" not in c]
    assert len(asking) == 3
    assert all("--find-links wheelhouse --no-index" in c for c in asking)
    assert all("--no-build-isolation" in c for c in commands if "--no-deps" in c)
    usual = [x for x in make("env", "FIND_LINKS=") if "install" in x]
    assert not any("--no-index" in x for x in usual)


def test_an_empty_wheelhouse_is_refused_rather_than_completed_from_elsewhere(tmp_path):
    uv = Path(sys.executable).with_name("uv")
    lock = ROOT / "requirements.lock"
    done = subprocess.run(
        [uv, "pip", "install", "--dry-run", "--no-index", "--find-links", tmp_path,
         "--target", tmp_path / "new", "-r", lock],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "no-index" in done.stderr or "not found" in done.stderr
