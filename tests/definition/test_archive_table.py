"""A kind of archive that is not known, or has keys of another, is told which one is meant."""

from __future__ import annotations

import pytest

from workbench.definition.archive_table import KINDS, find_archive_problems, guess_kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_is_known_has_no_problem(kind):
    assert find_archive_problems({"kind": kind}, "site.toml") == []


@pytest.mark.parametrize(
    ("archive", "guess"),
    [
        ({"kind": "fodler"}, "folder"),
        ({"kind": "Folder", "path": "dicom"}, "folder"),
        ({"kind": "dicom", "path": "dicom"}, "folder"),
        ({"kind": "directory", "path": "dicom"}, "folder"),
        ({"path": "dicom"}, "folder"),
        ({"kind": "csv", "path": "exams.csv"}, "table"),
        ({"path": "exams.PARQUET"}, "table"),
        ({"path": "exams", "level": "exam"}, "table"),
        ({"kind": "dicom-web"}, "dicomweb"),
        ({"kind": "pacs", "url": "https://pacs.example"}, "dicomweb"),
        ({"kind": "pacs", "host": "pacs.example", "port": 104}, "dimse"),
        ({"kind": "dismse"}, "dimse"),
        ({"collection": "cmmd"}, "idc"),
        ({"kind": 5}, ""),
        ({}, ""),
    ],
)
def test_the_kind_that_is_meant_is_named_with_all_others(archive, guess):
    assert guess_kind(archive) == guess
    (found,) = find_archive_problems(archive, "site.toml")
    assert found.where == "site.toml, archive.kind"
    assert found.message.startswith("Unknown kind" if "kind" in archive else "The archive has no")
    assert found.todo.startswith(f"Did you mean {guess!r}?" if guess else "Known: ")
    assert all(kind in found.todo for kind in KINDS)


@pytest.mark.parametrize(
    ("archive", "key", "kind"),
    [
        ({"kind": "folder", "path": "dicom", "url": "https://pacs.example"}, "url", "dicomweb"),
        ({"kind": "dicomweb", "url": "https://pacs.example", "port": 443}, "port", "dimse"),
        ({"kind": "folder", "path": "exams.csv", "columns": {}}, "columns", "table"),
    ],
)
def test_a_key_of_another_kind_is_named(archive, key, kind):
    (found,) = find_archive_problems(archive, "site.toml")
    assert found.message == f"An archive of kind {archive['kind']!r} has no {key!r}"
    assert (found.where, kind in found.todo) == (f"site.toml, archive.{key}", True)
