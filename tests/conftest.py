"""What every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no reason to fail.
settings.register_profile("workbench", deadline=None)
settings.load_profile("workbench")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of reference data; without it skip, but fail in CI."""
    folder = ROOT / os.environ.get("WORKBENCH_TEST_DATA", "../shared/data")
    if not folder.is_dir():
        reason = f"no reference data at {folder}: set WORKBENCH_TEST_DATA"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
