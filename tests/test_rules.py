"""Every rule of the call behaviour has a test that names it, and docs/rules.md says which."""

import importlib.util
from pathlib import Path

_PATH = Path(__file__).parent.parent / "packaging" / "rules.py"
_SPEC = importlib.util.spec_from_file_location("rules", _PATH)
assert _SPEC
assert _SPEC.loader
table = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(table)

IDS = {f"{section}.{name}" for section, rows in table.rules().items() for name in rows if name != "title"}


def test_no_test_names_a_rule_that_there_is_none_of():
    assert {rule: tests for rule, tests in table.proofs().items() if rule not in IDS} == {}


def test_every_rule_has_a_test():
    assert IDS - table.proofs().keys() == set()


def test_the_page_is_true():
    assert table.PAGE.read_text("utf-8") == table.page()


def test_marks_are_found_on_functions_classes_parameters_and_modules(tmp_path):
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_some.py").write_text(
        'import pytest\npytestmark = pytest.mark.rule("a.module")\n'
        '@pytest.mark.rule("a.one", "a.two")\ndef test_first(): ...\n'
        '@pytest.mark.peer("sipp")\nclass TestMore:\n'
        '    @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.rule("a.three"))])\n'
        "    def test_second(self, x): ...\n"
        '@pytest.mark.rule("a.lost")\ndef helper(): ...\n'
    )
    first, second = "tests/test_some.py::test_first", "tests/test_some.py::TestMore::test_second"
    assert table.proofs(folder) == {
        "a.module": [(first, False), (second, True)],
        "a.one": [(first, False)],
        "a.two": [(first, False)],
        "a.three": [(second, True)],
    }
