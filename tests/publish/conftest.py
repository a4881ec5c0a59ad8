"""Studies and their releases, made once."""

from pathlib import Path

import pytest

from tests.publish.city import write_city
from tests.publish.releases import write_study
from workbench.publish.content import Content, read_content


@pytest.fixture(scope="session")
def small_study(tmp_path_factory) -> Path:
    return write_study(tmp_path_factory.mktemp("small") / "study")


@pytest.fixture(scope="session")
def city_study(tmp_path_factory) -> Path:
    return write_city(tmp_path_factory.mktemp("city") / "study")


@pytest.fixture(scope="session")
def city(city_study) -> Content:
    return read_content(city_study)
