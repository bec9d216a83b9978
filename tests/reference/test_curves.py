"""The picture of a function is a part of a page: it brings no colours of text, no size and no other file."""

from __future__ import annotations

import pytest

from benchmarks.reference import curves


@pytest.fixture(scope="module")
def tanh():
    pytest.importorskip("matplotlib")
    return curves.figure("tanh")


def test_a_picture_takes_the_colours_and_the_width_of_the_page(tanh):
    assert "currentColor" in tanh
    assert "#010203" not in tanh
    opening = tanh[tanh.index("<svg") : tanh.index(">", tanh.index("<svg"))]
    assert 'style="width:100%' in opening
    assert ' width="' not in opening
    assert ' height="' not in opening
    assert "viewBox" in opening


def test_a_picture_needs_no_network_and_says_what_it_shows(tanh):
    assert 'aria-label="tanh and its derivative' in tanh
    assert "<image" not in tanh
    assert "<?xml" not in tanh
    assert "<metadata" not in tanh
    assert len(tanh) < 40_000


def test_ops_without_a_derivative_have_no_picture():
    assert curves.figure("softmax") == ""
