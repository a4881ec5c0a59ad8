"""Every error of what travels says what the reader can do."""

import ast
from pathlib import Path

import pytest

import workbench

PACKAGE = Path(workbench.__file__).parent
MODULES = [*PACKAGE.glob("exchange/*.py"), PACKAGE / "release.py", PACKAGE / "pooling.py"]
NAMES = {"RefusedError", "ReleaseError", "DisclosureError", "DefinitionError", "PoolingError"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_error_has_a_todo(module):
    made = [
        call
        for call in ast.walk(ast.parse(module.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in NAMES
    ]
    without = [
        f"line {call.lineno}" for call in made if "todo" not in {k.arg for k in call.keywords}
    ]
    assert without == []
