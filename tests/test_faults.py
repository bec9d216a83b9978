"""The list of planted faults fits the code, and the planter tells what is caught from what is not."""

from __future__ import annotations

import pytest

from tests import faults
from tests.faults import FAULTS, ROOT, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_can_be_planted(fault):
    assert (ROOT / fault.file).read_text(encoding="utf-8").count(fault.old) == 1
    assert fault.new != fault.old


def test_faults_have_names_of_their_own():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Make a tree of one module and one test, and a fault in it."""
    for part in faults.PARTS:
        (tmp_path / part).mkdir() if "." not in part else (tmp_path / part).touch()
    (tmp_path / "backends" / "half.py").write_text("def half(x):\n    return x / 2\n")
    test = (
        "import sys\nsys.path.insert(0, 'backends')\nimport half\ndef test_half():\n    assert half.half(4) == 2\n"
    )
    (tmp_path / "tests" / "test_half.py").write_text(test)
    monkeypatch.setattr(faults, "ROOT", tmp_path)
    # It needs no plugin but that of -n: loading all that are installed takes a second each of the five times.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "xdist.plugin")

    def plant(new, *tests):
        found = Fault("half", "backends/half.py", "x / 2", new, tests or ("tests/test_half.py",))
        monkeypatch.setattr(faults, "FAULTS", (found,))
        return faults.main([])

    return plant


def test_a_fault_is_caught_or_missed(tiny, capsys):
    assert tiny("x / 3") == 0
    assert "caught  half" in capsys.readouterr().out
    assert tiny("x * 0.5") == 1
    assert "MISSED  half" in capsys.readouterr().out


def test_tests_that_fail_anyway_catch_nothing(tiny, capsys):
    assert tiny("x / 3", "tests/test_half.py", "-p", "no_such_plugin") == 2
    assert "pytest ended with" in capsys.readouterr().err
