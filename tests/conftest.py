"""What every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no reason to fail.
settings.register_profile("workbench", deadline=None)
settings.load_profile("workbench")

ROOT = Path(__file__).parents[1]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]


def missing(reason: str) -> None:
    """Skip a test whose peer is missing; in CI, fail it."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser():
    """Return a real browser, which asks for nothing by itself."""
    if not CHROMIUM.exists():
        missing("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of reference data; without it skip, but fail in CI."""
    folder = ROOT / os.environ.get("WORKBENCH_TEST_DATA", "../shared/data")
    if not folder.is_dir():
        missing(f"no reference data at {folder}: set WORKBENCH_TEST_DATA")
    return folder
