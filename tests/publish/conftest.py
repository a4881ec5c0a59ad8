"""The small study and its releases, made once."""

from pathlib import Path

import pytest

from tests.publish.releases import write_study


@pytest.fixture(scope="session")
def small_study(tmp_path_factory) -> Path:
    return write_study(tmp_path_factory.mktemp("small") / "study")
