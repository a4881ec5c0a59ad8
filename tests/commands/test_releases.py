"""The commands about releases: what they print of names that a stranger chose."""

from __future__ import annotations

import shutil

from tests.test_cli import STUDY, workbench, write_hospital


def test_the_name_of_a_folder_is_printed_without_what_a_terminal_would_obey(tmp_path):
    study = tmp_path / "imaging_service"
    left_out = shutil.ignore_patterns("releases", ".ipynb_checkpoints")
    shutil.copytree(STUDY, study, ignore=left_out)
    (study / "releases" / "a\x1b[2Jb\nc").mkdir(parents=True)
    done = workbench("verify", study)
    assert done.returncode == 14
    assert "a\\x1b[2Jb\\nc: " in done.stderr
    assert "\x1b" not in done.stderr


def test_a_run_of_a_sample_alone_is_said_to_be_one(tmp_path):
    site = write_hospital(tmp_path / "north", "north", 60)
    assert workbench("new", "first_look", cwd=tmp_path).returncode == 0
    words = ("first_look", "--site", site)
    assert workbench("run", *words, "--sample", "20", cwd=tmp_path).returncode == 0
    for more in ((), ("--dry-run",)):
        done = workbench("release", *words, *more, cwd=tmp_path)
        assert done.returncode == 12
        assert "Only a sample of 20 patients was run" in done.stderr
        assert "--dry-run --sample 20" in done.stderr
    other = workbench("release", *words, "--dry-run", "--sample", "30", cwd=tmp_path)
    assert "There is no finished run" in other.stderr
    assert workbench("release", *words, "--dry-run", "--sample", "20", cwd=tmp_path).returncode == 0


def test_releases_of_several_sites_at_a_time_are_those_made_one_after_the_other(tmp_path):
    assert workbench("new", "first_look", cwd=tmp_path).returncode == 0
    words = []
    for name, patients in (("north", 60), ("south", 80)):
        words += ["--site", write_hospital(tmp_path / name, name, patients)]
        assert workbench("key", words[-1], cwd=tmp_path).returncode == 0
    assert workbench("run", "first_look", *words, "--jobs", "2", cwd=tmp_path).returncode == 0
    packed = []
    for jobs in ("1", "2"):
        done = workbench(
            "release", "first_look", *words, "--yes", "--jobs", jobs, cwd=tmp_path
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        packed.append(done.stdout)
        shutil.rmtree(tmp_path / "first_look" / "releases")
    assert packed[0] == packed[1]
    assert packed[0].index("north: release") < packed[0].index("south: release")


def test_a_site_that_is_refused_ends_the_releases_in_its_turn(tmp_path):
    assert workbench("new", "first_look", cwd=tmp_path).returncode == 0
    sites = [write_hospital(tmp_path / name, name, 60) for name in ("north", "south", "west")]
    for site in sites:
        assert workbench("key", site, cwd=tmp_path).returncode == 0
    ran = ["--site", sites[0], "--site", sites[2], "--jobs", "2"]
    assert workbench("run", "first_look", *ran, cwd=tmp_path).returncode == 0
    words = [word for site in sites for word in ("--site", site)]
    done = workbench("release", "first_look", *words, "--yes", "--jobs", "2", cwd=tmp_path)
    assert done.returncode == 12
    assert "There is no finished run" in done.stderr
    assert "north: release" in done.stdout
    assert "west: release" not in done.stdout
