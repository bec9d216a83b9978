"""Files damaged anywhere are refused in one line, or read as they were; the others beside them are still found."""

from __future__ import annotations

import pytest

from benchmarks.validation import damage


@pytest.mark.parametrize("sealed", [True, False], ids=["checksums", "older"])
@pytest.mark.parametrize("kind", damage.FORMATS, ids=lambda kind: kind.name)
def test_a_damaged_file_is_refused_or_as_it_was(kind, sealed):
    found = list(damage.trials(kind, 30, 1, sealed=sealed, used=15))
    assert [trial for trial in found if trial.outcome not in damage.FINE] == []
    assert sum(trial.outcome == damage.REFUSED for trial in found) > 6
    assert not sealed or all(trial.outcome != damage.UNSEALED for trial in found)


def test_what_is_not_noticed_is_counted(monkeypatch):
    """The count would show it, if a changed digit were read."""
    kind = damage.FORMATS[0]
    monkeypatch.setattr(damage, "_told", lambda *_: "")
    assert {trial.outcome for trial in damage.trials(kind, 20, 1, sealed=True, used=99)} >= {
        damage.CHANGED,
        damage.REFUSED,
    }


def test_the_table_counts_every_trial(monkeypatch):
    monkeypatch.setattr(damage, "FORMATS", damage.FORMATS[:1])
    found = damage.table(3, 0)
    assert found["checksums"].tolist() == ["yes", "no"]
    assert (found[list(damage.OUTCOMES)].sum(axis=1) == 3).all()
