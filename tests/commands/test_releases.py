"""The commands about releases: what they print of names that a stranger chose."""

from __future__ import annotations

import shutil

from tests.test_cli import STUDY, workbench


def test_the_name_of_a_folder_is_printed_without_what_a_terminal_would_obey(tmp_path):
    study = tmp_path / "imaging_service"
    left_out = shutil.ignore_patterns("releases", ".ipynb_checkpoints")
    shutil.copytree(STUDY, study, ignore=left_out)
    (study / "releases" / "a\x1b[2Jb\nc").mkdir(parents=True)
    done = workbench("verify", study)
    assert done.returncode == 14
    assert "a\\x1b[2Jb\\nc: " in done.stderr
    assert "\x1b" not in done.stderr
