import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from workbench.definition.study_file import find_cycle
from workbench.disclosure.policy import Policy
from workbench.errors import DefinitionError
from workbench.study import read_study
from workbench.template import create_study


@pytest.fixture
def folder(tmp_path):
    return create_study(tmp_path / "mine", "mine")


def edit(folder, *changes, file="study.toml"):
    path = folder / file
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return folder


def edit_notebook(folder, change, name="01_exams.ipynb"):
    path = folder / name
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(notebook)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return folder


def set_parameters(folder, source):
    def change(notebook):
        cell = next(c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", []))
        cell["source"] = source

    return edit_notebook(folder, change)


def fails(folder):
    return [f for f in read_study(folder).check() if f.level == "fail"]


def test_a_study_is_read(folder):
    study = read_study(folder / "study.toml")
    assert (study.id, study.version, study.status, study.folder) == (
        "mine",
        "0.1.0",
        "draft",
        folder,
    )
    assert study.title == "Exams by modality, age and sex"
    assert study.titles["zh"] == "按检查模态、年龄和性别统计的检查"
    assert study.languages == ("en", "ru", "zh")
    assert study.policy == Policy(10, 5)
    assert [step.id for step in study.steps] == ["exams"]
    assert list(study.outputs) == ["exams", "exams_by_modality", "patients_by_age_sex"]
    assert [o.name for o in study.released] == ["exams_by_modality", "patients_by_age_sex"]
    assert [s.id for s in study.sections] == ["activity", "patients"]
    assert study.tolerance == 0.0
    assert study.notebook("01_exams.ipynb").title == "Which exams are done, and for whom?"


def test_an_output_knows_its_dimensions(folder):
    output = read_study(folder).output("patients_by_age_sex")
    assert (output.kind, output.path, output.step) == ("counts", "patients_by_age_sex.csv", "exams")
    assert output.requires == ("age_years", "sex")
    assert [d.name for d in output.dimensions] == ["age_band", "sex"]
    age = output.dimensions[0]
    assert age.labels == ("[0,18)", "[18,40)", "[40,65)", "[65,inf)", "other", "missing")
    assert (age.dimension.unit, age.dimension.labels_from, age.column) == (
        "a",
        "intervals",
        "age_years",
    )


def test_unknown_names_get_the_nearest(folder):
    study = read_study(folder)
    for ask, name, good in (
        (study.output, "exams_by_modalty", "exams_by_modality"),
        (study.dimension, "age_bnd", "age_band"),
        (study.step, "exam", "exams"),
        (study.section, "patient", "patients"),
    ):
        with pytest.raises(DefinitionError, match=f"Did you mean '{good}'"):
            ask(name)


def test_parameters_are_typed_and_complete(folder):
    study = read_study(folder)
    assert study.parameter_values() == {"rows_shown": 10}
    assert study.parameter_values({"rows_shown": 5}) == {"rows_shown": 5}
    assert study.parse_parameters(["rows_shown=7"]) == {"rows_shown": 7}


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        (["rows_show=5"], "Did you mean 'rows_shown'"),
        (["rows_shown"], "has no value"),
        (["rows_shown=1", "rows_shown=2"], "set twice"),
        (["rows_shown=1.5"], "not a whole number"),
        (["rows_shown=0"], "out of range: allowed 1 to 100"),
        (["site=/etc/passwd"], "declares no parameter 'site'"),
        (["rows_shown; import os=1"], "declares no parameter"),
        (["x" * 10_000_000 + "=1"], "declares no parameter"),
        (["rows_shown=" + "9" * 10_000_000], "10,000,000 characters"),
    ],
)
def test_bad_pairs_are_refused(folder, pairs, reason):
    start = time.monotonic()
    with pytest.raises(DefinitionError, match=reason) as refused:
        read_study(folder).parse_parameters(pairs)
    assert time.monotonic() - start < 5
    assert len(str(refused.value)) < 1000


def test_all_problems_are_listed_together(folder):
    edit(
        folder,
        ('status = "draft"', 'status = "opne"'),
        ("default = 10", 'default = "ten"'),
        ("licence", "license"),
    )
    with pytest.raises(DefinitionError) as refused:
        read_study(folder)
    error = refused.value
    assert error.where.startswith("study.toml, ")
    for text in (
        "'license'",
        "Did you mean 'licence'",
        "'opne'",
        "Allowed: draft, open, closed",
        "rows_shown",
    ):
        assert text in str(error), text


WRONG = [
    (('version = "0.1.0"', "version = 1"), "study.version", "a text in quotes"),
    (('id = "new_study"', 'id = "Mine"'), "study.id", "cannot be a name"),
    (('id = "mine"', 'id = "{{mine}}"'), "study.id", "cannot be a name"),
    (('id = "mine"', 'id = "$(reboot)"'), "study.id", "cannot be a name"),
    (('id = "mine"', 'id = "mіne"'), "study.id", "cannot be a name"),
    (('id = "mine"', 'id = "../mine"'), "study.id", "cannot be a name"),
    (("[parameters.rows_shown]", "[parameters.rows-shown]"), "rows-shown", "cannot be the name"),
    (("[parameters.rows_shown]", "[parameters.site]"), "parameters.site", "reserved"),
    (
        ("[parameters.rows_shown]", '[parameters."x=1;import os"]'),
        "parameters",
        "cannot be the name",
    ),
    (("[parameters.rows_shown]", "[parameters.lambda]"), "parameters.lambda", "reserved"),
    (("maximum = 100\n", "maximun = 100\n"), "rows_shown.maximun", "Did you mean 'maximum'"),
    (("maximum = 100\n", "maximum = 5\n"), "parameters.rows_shown", "out of range"),
    (("default = 10", "default = nan"), "parameters.rows_shown", "not a whole number"),
    (("threshold = 10", "threshold = 9"), "policy", "looser than the floor of 10"),
    (("rounding = 5", "rounding = 1"), "policy", "looser than the floor of 5"),
    (("threshold = 10", "threshold = true"), "policy.threshold", "a whole number"),
    (("threshold = 10", "treshold = 10"), "policy.treshold", "Did you mean 'threshold'"),
    (("edges = [0, 18, 40, 65]", "edges = [0, 40, 18]"), "dimensions.age_band", "do not increase"),
    (("edges = [0, 18, 40, 65]", "edges = [0, nan]"), "dimensions.age_band", "finite"),
    (("edges = [0, 18, 40, 65]", "edges = [0, inf]"), "dimensions.age_band", "finite"),
    (("edges = [0, 18, 40, 65]", "edges = []"), "dimensions.age_band", "at least 2"),
    (("edges = [0, 18, 40, 65]", 'calendar = "week"'), "dimensions.age_band.calendar", "month"),
    (("maximum = 130", "maximum = 30"), "dimensions.age_band", "fits no edges"),
    (
        ('codelist = "codelists/sex.csv"', 'codelist = "/etc/passwd"'),
        "dimensions.sex",
        "cannot be a path",
    ),
    (
        ('codelist = "codelists/sex.csv"', 'codelist = "../sex.csv"'),
        "dimensions.sex",
        "cannot be a path",
    ),
    (
        ('codelist = "codelists/sex.csv"', 'codelist = "codelists/seх.csv"'),
        "dimensions.sex",
        "cannot be a path",
    ),
    (
        ('codelist = "codelists/sex.csv"', 'codelist = "codelists\\u0000"'),
        "dimensions.sex",
        "cannot be a path",
    ),
    (('codelist = "codelists/sex.csv"', 'codelist = "PROTOCOL.md"'), "dimensions.sex", "no CSV"),
    (
        ('codelist = "codelists/sex.csv"', 'codelist = "codelists/gender.csv"'),
        "dimensions.sex",
        "no such codelist",
    ),
    (('codelist = "codelists/sex.csv"\n', ""), "dimensions.sex", "one source of labels"),
    (("[dimensions.sex]", "[dimensions.patients]"), "dimensions.patients", "is reserved"),
    (
        ('one_per = "none"', 'one_per = "study"'),
        "dimensions.modality.one_per",
        "Allowed: patient, exam, none",
    ),
    (('"01_exams.ipynb"', '"01_exams.py"'), "step.exams.notebook", "no notebook"),
    (('"01_exams.ipynb"', '"../../01_exams.ipynb"'), "step.exams.notebook", "cannot be a path"),
    (('"01_exams.ipynb"', '"{{x}}.ipynb"'), "step.exams.notebook", "cannot be a path"),
    (('path = "exams"', 'path = "/tmp/exams"'), "output.exams.path", "cannot be a path"),
    (('path = "exams"', 'path = ".step"'), "output.exams.path", "cannot be a path"),
    (('path = "exams"\n', ""), "output.exams", "has no path"),
    (('kind = "folder"', 'kind = "folder"\nrelease = true'), "output.exams", "never be released"),
    (('kind = "folder"', 'kind = "count"'), "output.exams.kind", "Did you mean 'counts'"),
    (
        ('kind = "folder"', 'kind = "moments"\ndimensions = ["sex"]\nunit = "1"'),
        "output.exams",
        "'exams' has no 'resolution'|no CSV",
    ),
    (
        ('dimensions = ["modality"]', 'dimensions = ["modalty"]'),
        "exams_by_modality.dimensions",
        "Did you mean 'modality'",
    ),
    (
        ('dimensions = ["modality"]', 'dimensions = ["sex", "sex"]'),
        "exams_by_modality",
        "stands twice",
    ),
    (
        ('dimensions = ["modality"]', 'dimensions = ["modality"]\nedges = [1, 2]'),
        "exams_by_modality",
        "has no 'edges'",
    ),
    (
        ('name = "exams_by_modality"', 'name = "exams"'),
        "output.exams",
        "Two outputs are called 'exams'",
    ),
    (
        ('name = "exams_by_modality"', 'name = "exams_by_modality"\npath = "EXAMS/a.csv"'),
        "exams_by_modality",
        "in use",
    ),
    (
        ('table = "exams_by_modality"', 'table = "exams"'),
        "section.activity.table",
        "No released output",
    ),
    (
        ('measure = "exams"', 'measure = "mean"'),
        "section.activity.measure",
        "has no measure 'mean'",
    ),
    (
        ('dimension = "modality"', 'dimension = "sex"'),
        "section.activity.dimension",
        "has no dimension 'sex'",
    ),
    (('figure = "bars"', 'figure = "pie"'), "section.activity.figure", "bars, grouped_bars"),
    (
        ('figure = "bars"', 'figure = "bars"\naxis = { en = "Images" }'),
        "section",
        "names what a histogram is of",
    ),
    (
        ('title = { en = "What is done"', 'title = { de = "Was"'),
        "section.activity.title",
        "Unknown language 'de'",
    ),
    (("limits = { en =", "limits = { de ="), "study.limits", "Unknown language 'de'"),
    (('lead = "Your name', 'lead = "Your\\u202ename'), "study.lead", "control character"),
    (("[policy]", "[polcy]"), "polcy", "Did you mean 'policy'"),
    (("[study]", "[study"), "study.toml", "Not valid TOML"),
    (("[policy]", "[study]"), "study.toml", "Not valid TOML"),
]


@pytest.mark.parametrize(("change", "where", "reason"), WRONG, ids=range(len(WRONG)))
def test_wrong_definitions_are_refused_by_name(folder, change, where, reason):
    change = tuple(text.replace("new_study", "mine") for text in change)
    edit(folder, change)
    before = sorted(folder.parent.rglob("*"))
    start = time.monotonic()
    with pytest.raises(DefinitionError, match=reason) as refused:
        read_study(folder)
    assert time.monotonic() - start < 5
    assert where in str(refused.value)
    assert sorted(folder.parent.rglob("*")) == before


HOSTILE = {
    "empty": b"",
    "binary": bytes(range(256)),
    "not utf-8": b"a = '\xff'",
    "utf-16": "a = 1".encode("utf-16"),
    "nul": b"a = 1\0",
    "large": b"a = '" + b"x" * 10_000_000 + b"'",
    "deep lists": b"a = " + b"[" * 100_000 + b"]" * 100_000,
    "deep tables": b"a = " + b"{a=" * 50_000 + b"1" + b"}" * 50_000,
    "deep keys": b"a" + b".a" * 450_000 + b" = 1",
    "long keys": b"\n".join(b"k%d%s = 1" % (i, b".a" * 45_000) for i in range(10)),
    "many deep keys": b"\n".join(b"%s%d = 1" % (b"a." * 900, i) for i in range(500)),
    "dotted lines": b"\n".join(b"a%d%s = 1" % (i, b".a" * 290) for i in range(760)),
    "many deep headers": b"\n".join(b"[%s%s]" % (b"a." * 900, b"b" * i) for i in range(1, 300)),
    "nested a little": b"a = " + b"[" * 20 + b"]" * 20,
    "long number": b"a = " + b"9" * 500_000,
    "long line of numbers": b"a = [" + b"1," * 400_000 + b"]",
    "many keys": b"\n".join(b"k%d = 1" % i for i in range(80_000)),
    "many steps": b"[[step]]\n" * 100_000,
    "nan": b"[study]\nid = nan",
    "escape": b'[study]\nid = "\\u001b[31m"',
    "wrong shape": b"study = 5\nstep = 'x'\ndimensions = [1]\nparameters = true",
    "dates": b"study = 2020-01-01",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_quickly(folder, content):
    (folder / "study.toml").write_bytes(content)
    start = time.process_time()
    with pytest.raises(DefinitionError) as refused:
        read_study(folder)
    assert time.process_time() - start < 1
    assert "study.toml" in refused.value.where
    assert len(str(refused.value)) < 5000
    assert str(refused.value).replace("\n", "").isprintable()


def test_special_files_are_refused(folder):
    (folder / "study.toml").unlink()
    os.mkfifo(folder / "study.toml")
    with pytest.raises(DefinitionError, match="Not a regular file"):
        read_study(folder)
    with pytest.raises(DefinitionError, match="cannot be read"):
        read_study(folder / "nothing")


@pytest.mark.parametrize("file", ["codelists/sex.csv", "01_exams.ipynb"])
def test_links_out_of_the_folder_are_refused(folder, file):
    outside = folder.parent / "outside"
    shutil.move(folder / file, outside)
    (folder / file).symlink_to(outside)
    with pytest.raises(DefinitionError, match="leads out of"):
        read_study(folder).validate()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[site]]\nid = 'north'\n", "'name' is missing"),
        ("[[sites]]\n", "Unknown key 'sites'"),
        ("[[site]", "Not valid TOML"),
        (
            "[[site]]\nid='a'\nname='A'\npublic_key='x'\nkind='demo'\nvalid_from=2026-01-01",
            "no public key",
        ),
    ],
)
def test_the_check_reads_who_takes_part(folder, text, words):
    (folder / "sites.toml").write_text(text)
    found = [f for f in read_study(folder).check() if f.rule == "participants"]
    assert [f.level for f in found] == ["fail"]
    assert words in found[0].message
    assert "sites.toml" in found[0].where
    assert found[0].todo
    (folder / "sites.toml").unlink()
    found = [f for f in read_study(folder).check() if f.rule == "participants"]
    assert [f.level for f in found] == ["review"]


def test_an_open_study_says_what_its_numbers_do_not_show(folder):
    def found():
        return [(f.level, f.message) for f in read_study(folder).check() if f.rule == "limits"]

    digest = read_study(folder).digest
    assert found() == [("pass", "What the numbers do not say is told, or the study is not open")]
    edit(folder, ("limits = {", "limits_ = {"), ("limits_ = {", "# limits = {"))
    assert read_study(folder).limits == {}
    assert [level for level, _ in found()] == ["pass"]  # a draft
    assert read_study(folder).digest == digest  # what is said of the numbers changes none
    edit(folder, ('status = "draft"', 'status = "open"'))
    assert found() == [("review", "Nothing says what the numbers of this study do not show")]
    edit(folder, ("# limits = {", 'limits = { en = "A" } # {'))
    assert [level for level, _ in found()] == ["fail", "fail"]  # Russian and Chinese are missing


def test_the_lead_is_a_text_by_language(folder):
    assert read_study(folder).leads == {"en": "Your name, your institution"}
    edit(folder, ('lead = "Your name, your institution"', 'lead = { en = "A", zh = "协调中心" }'))
    assert (read_study(folder).lead, read_study(folder).leads["zh"]) == ("A", "协调中心")


def test_steps_come_in_an_order_in_which_they_can_run(folder):
    step = (
        '[[step]]\nid = "{}"\nnotebook = "01_exams.ipynb"\nneeds = {}\n'
        '[[step.output]]\nname = "{}"\nkind = "file"\npath = "x"\n'
    )
    text = step.format("late", '["early", "exams"]', "x1") + step.format("early", "[]", "x2")
    edit(folder, ("[[step]]", text + "[[step]]"))
    assert [s.id for s in read_study(folder).steps] == ["early", "exams", "late"]


@pytest.mark.parametrize(("first", "second"), [("x", "x/a.csv"), ("x/a.csv", "x"), ("x", "X")])
def test_outputs_of_a_step_do_not_overlap(folder, first, second):
    output = '[[step.output]]\nname = "{}"\nkind = "folder"\npath = "{}"\n'
    both = output.format("one", first) + output.format("two", second)
    edit(folder, ("[[step.output]]", both + "[[step.output]]"))
    with pytest.raises(DefinitionError, match=f"The path '{second}' is in use"):
        read_study(folder)


def test_cycles_and_unknown_needs_are_refused(folder):
    edit(folder, ('id = "exams"', 'id = "exams"\nneeds = ["exams"]'))
    with pytest.raises(DefinitionError, match="circle: exams needs exams"):
        read_study(folder)
    edit(folder, ('needs = ["exams"]', 'needs = ["exms"]'))
    with pytest.raises(DefinitionError, match="Did you mean 'exams'"):
        read_study(folder)
    assert find_cycle({"a": ["b"], "b": ["a"], "c": ["a"]})[0] in "ab"
    assert find_cycle({"a": [], "b": ["a"], "c": ["a", "b"]}) == []


def test_a_missing_notebook_fails_and_names_the_nearest(folder):
    edit(folder, ('"01_exams.ipynb"', '"01_exam.ipynb"'))
    assert "There is no notebook '01_exam.ipynb'" in fails(folder)[0].message
    with pytest.raises(DefinitionError, match="Did you mean '01_exams"):
        read_study(folder).validate()
    with pytest.raises(DefinitionError):
        read_study(folder).digest  # noqa: B018


def test_a_missing_notebook_is_named_where_it_is_needed(folder):
    edit(folder, ('"01_exams.ipynb"', '"01_exam.ipynb"'))
    with pytest.raises(DefinitionError, match="There is no notebook '01_exam") as caught:
        read_study(folder).digest  # noqa: B018
    assert "Did you mean '01_exams.ipynb'" in caught.value.todo


def test_a_wrong_dimension_of_an_output_is_told_once(folder):
    edit(folder, ('dimensions = ["modality"]', 'dimensions = ["modalty"]'))
    with pytest.raises(DefinitionError, match="There is no dimension 'modalty'") as caught:
        read_study(folder)
    assert "more" not in caught.value.todo
    assert "Did you mean 'modality'" in caught.value.todo


GOOD_CELL = 'site = ""\nrun_dir = ""\noutput_dir = ""\nrows_shown = 10\n'


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (GOOD_CELL.replace("10", "11"), "'rows_shown' is 11 in the notebook and 10 in study.toml"),
        (GOOD_CELL.replace("10", "10.0"), "is 10.0 in the notebook"),
        (GOOD_CELL.replace("10", "True"), "is True in the notebook"),
        (GOOD_CELL.replace("rows_shown", "rows_show"), "'rows_show' is no parameter of the study"),
        (GOOD_CELL.replace("rows_shown = 10\n", ""), "lacks 'rows_shown'"),
        (GOOD_CELL.replace('site = ""', "site = 5"), "'site' is no text"),
        ("rows_shown = 10\n" + GOOD_CELL, "assigned twice"),
        (
            'rows_shown = 10\nsite = ""\nrun_dir = ""\noutput_dir = ""\n',
            "begins with rows_shown, site, run_dir",
        ),
        (GOOD_CELL + "extra = 1\n", "'extra' is no parameter"),
        (GOOD_CELL + "open('pwned', 'w')\n", "more than name = literal"),
        (GOOD_CELL.replace("10", "open('pwned', 'w')"), "more than name = literal"),
        (
            GOOD_CELL.replace("10", "__import__('os').system('touch pwned')"),
            "more than name = literal",
        ),
        (GOOD_CELL.replace("10", "5 + 5"), "more than name = literal"),
        (GOOD_CELL.replace("10", "None"), "more than name = literal"),
        (GOOD_CELL.replace("10", "{'a': 1}"), "more than name = literal"),
        (GOOD_CELL.replace("10", "[[1]]"), "more than name = literal"),
        (GOOD_CELL.replace("rows_shown", "rows_shown: int"), "more than name = literal"),
        (GOOD_CELL.replace("rows_shown", "rows_shown = other"), "more than name = literal"),
        (GOOD_CELL + "import os\n", "more than name = literal"),
        (GOOD_CELL + "a, b = 1, 2\n", "more than name = literal"),
        ("x = (", "not Python"),
        ("x = " + "(" * 5000 + ")" * 5000, "not Python"),
        ("x = " + "-" * 50_000 + "1", "not Python|more than"),
    ],
)
def test_a_parameters_cell_that_differs_fails_and_is_never_run(folder, source, reason, monkeypatch):
    monkeypatch.chdir(folder)
    set_parameters(folder, source)
    start = time.monotonic()
    messages = " | ".join(f.message for f in fails(folder))
    assert reason in messages or any(part in messages for part in reason.split("|")), messages
    assert time.monotonic() - start < 5
    assert not (folder / "pwned").exists()


def test_a_good_parameters_cell_passes(folder):
    assert fails(set_parameters(folder, GOOD_CELL)) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda n: n["cells"][1]["metadata"].clear(), "has 0 cells tagged 'parameters'"),
        (lambda n: n["cells"][2]["metadata"].update(tags=["parameters"]), "has 2 cells tagged"),
        (lambda n: n["cells"][2].update(execution_count=1), "holds outputs"),
        (lambda n: n["cells"][2].update(outputs=[{}]), "holds outputs"),
        (lambda n: n["cells"][2].update(source="def f():\n    pass"), "defines a function"),
        (lambda n: n["cells"][0].update(source="no title"), "has no title"),
        (lambda n: n.update(nbformat=3), "nbformat is 3"),
        (lambda n: n.update(cells=5), "Not a readable notebook"),
        (lambda n: n["cells"][0].update(source=[1]), "Not a readable notebook"),
        (
            lambda n: n["cells"][2].update(source='x = Path(output_dir) / "other.csv"'),
            "an undeclared output 'other.csv'",
        ),
        (
            lambda n: n["cells"][2].update(source='x = study.output("exms")'),
            "an undeclared output 'exms'",
        ),
        (
            lambda n: n["cells"][2].update(source='x = study.dimension("sx")'),
            "an undeclared dimension 'sx'",
        ),
        (
            lambda n: n["cells"][2].update(source='x = Path(run_dir) / "later" / "a"'),
            "a step that it does not need, 'later'",
        ),
    ],
)
def test_a_notebook_out_of_order_fails(folder, change, reason):
    edit_notebook(folder, change)
    assert reason in " | ".join(f.message for f in fails(folder))


def test_a_deep_or_large_notebook_is_refused(folder):
    for content in (b"[" * 1_000_000, b" " * 5_000_001, b"\xff"):
        (folder / "01_exams.ipynb").write_bytes(content)
        assert "cannot be read" in fails(folder)[0].message


@pytest.mark.parametrize(
    "change",
    [
        lambda notebook: notebook.pop("metadata"),
        lambda notebook: notebook.update(metadata=[1]),
        lambda notebook: notebook["metadata"].clear(),
        lambda notebook: notebook["metadata"]["kernelspec"].update(language="R"),
        lambda notebook: notebook.pop("nbformat_minor"),
        lambda notebook: notebook.update(nbformat_minor="x"),
        lambda notebook: notebook["cells"][1].update(source=5),
        lambda notebook: notebook["cells"][1].update(source="x = '\ud800'"),
        lambda notebook: notebook["cells"][1].update(metadata=None),
    ],
)
def test_a_notebook_of_another_form_is_refused(folder, change):
    path = folder / "01_exams.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(notebook)
    path.write_text(json.dumps(notebook))
    assert "Not a readable notebook" in fails(folder)[0].message


def test_a_missing_label_fails(folder):
    edit(folder, ("Женщины", ""), file="codelists/sex.csv")
    (finding,) = fails(folder)
    assert finding.message == "The code 'F' has no label in ru"
    assert finding.where == "codelists/sex.csv, label_ru"
    edit(folder, ('zh = "性别"', ""), (' ru = "Пол", ', ' ru = "Пол" '))
    assert "The text in zh is missing" in [f.message for f in fails(folder)]
    with pytest.raises(DefinitionError, match="no label in ru"):
        read_study(folder).validate()


def test_a_missing_label_in_a_language_the_study_does_not_speak_is_no_matter(folder):
    edit(folder, ("Женщины", ""), file="codelists/sex.csv")
    edit(folder, ('status = "draft"', 'status = "draft"\nlanguages = ["en", "zh"]'))
    assert fails(folder) == []


def test_a_missing_protocol_fails(folder):
    (folder / "PROTOCOL.md").unlink()
    assert [f.rule for f in fails(folder)] == ["protocol"]


def test_the_digest_follows_what_a_site_computes(folder):
    first = read_study(folder).digest
    edit(
        folder,
        ("# What is asked", "# Comment"),
        ('status = "draft"', 'status = "open"'),
        ("What is done", "Done"),
    )
    edit_notebook(folder, lambda n: n["cells"][0].update(source="# Another question?"))
    edit_notebook(folder, lambda n: n["cells"][2].update(source="pass"), "90_pool.ipynb")
    assert read_study(folder).digest == first
    found = {first}
    for change in (
        lambda: edit(folder, ("default = 10", "default = 11")),
        lambda: edit(folder, ("threshold = 10", "threshold = 11")),
        lambda: edit(folder, ("[0, 18, 40, 65]", "[0, 18, 40, 66]")),
        lambda: edit(folder, ("female|w", "female"), file="codelists/sex.csv"),
        lambda: edit_notebook(folder, lambda n: n["cells"][2].update(source="pass")),
    ):
        change()
        found.add(read_study(folder).digest)
    assert len(found) == 6


def test_the_digest_is_the_same_in_every_process(folder):
    code = (
        "from workbench.study import read_study\nimport sys\n"
        f"sys.stdout.write(read_study({str(folder)!r}).digest)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {read_study(folder).digest}


def test_reading_a_study_loads_nothing_heavy(folder):
    code = (
        "import sys\nfrom workbench.study import read_study\nfrom workbench.site import read_site\n"
        f"read_study({str(folder)!r}).check()\n"
        "heavy = {'pandas', 'xarray', 'dask', 'papermill', 'torch', 'polars', 'scipy', 'yaml'}\n"
        "sys.stdout.write(str(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]"


def test_the_card_is_escaped(folder):
    edit(folder, ('en = "Which exams', 'en = "<script>Which exams'))
    shown = read_study(folder)._repr_html_()
    assert "<script>" not in shown
    assert "exams_by_modality" in shown


def test_code_beside_the_notebooks_fails_the_check(folder):
    (folder / "helper.py").write_text("x = 1\n")
    failed = [f for f in read_study(folder).check() if f.level == "fail"]
    assert ["helper.py" in f.message for f in failed] == [True]


def test_a_step_cannot_be_called_lock(folder):
    path = folder / "study.toml"
    text = path.read_text()
    first = read_study(folder).steps[0].id
    path.write_text(text.replace(f'"{first}"', '"lock"'))
    with pytest.raises(DefinitionError, match="'lock' is reserved"):
        read_study(folder)
