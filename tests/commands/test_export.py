"""Tables and pictures of a run, for papers and pull requests."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from benchmarks.__main__ import main
from benchmarks.analysis import peers, tables
from benchmarks.record import saved
from benchmarks.record.frames import to_frame
from benchmarks.record.schema import COLUMNS
from benchmarks.report import pictures
from benchmarks.report.palette import _PATHS, styles
from benchmarks.report.sections import wide
from benchmarks.report.text import latex
from tests import synthetic
from tests.synthetic import HOSTILE, failure, record, study

needs_matplotlib = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="matplotlib is not installed: pip install 'activation-bench[figures]'"
)
OPS = ("tanh", "relu", "mean_squared_error")
SIZES = (1024, 1_048_576)


def rows():
    """Make a small run: doubts, a peer, a wrong peer, and a backend whose every result failed."""
    made = [
        record(backend, op, mode, n, peer=backend == "scipy")
        for op in OPS
        for mode in ("forward", "backward")
        for n in SIZES
        for backend in ("numpy", "torch", "jax", "scipy")
    ]
    wrong = [
        failure("numexpr", "inaccurate", "37 ULP off", op=op, n=n) | {"peer": True} for op in OPS for n in SIZES
    ]
    return [*made, *wrong, *(failure("numba", "failed", "37 ULP off", op=op) for op in OPS)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return a results folder in which the last run's records lie."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "latest").mkdir()
    to_frame(rows()).to_csv(folder / "latest" / "records.csv", index=False)
    return folder


def export(results, output, *arguments):
    return main(["export", *arguments, "--results", str(results), "--output", str(output)])


def draw(made, formats=("svg",)):
    records = to_frame(made)
    return pictures.draw(study(peers.marked(records)), looks_of(records), formats)


def looks_of(records):
    names = [tables.backend_order(frame) for frame in (peers.marked(records), records)]
    return dict(zip(names[0], styles(names[1]).values(), strict=True))


def texts(svg):
    """Return what can be read in an SVG file, a string per text element."""
    return ["".join(e.itertext()) for e in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


# Tables


def test_every_table_is_written_and_its_path_printed(results, tmp_path, capsys):
    assert export(results, tmp_path / "out", "--format", "md", "csv", "parquet", "--format", "latex") == 0
    frames = ("records", "medians", "speedups", "limits")
    expected = {f"{name}.{form}" for name in frames for form in ("csv", "parquet")}
    expected |= {f"{name}.{form}" for name in frames[1:] for form in ("md", "tex")} | {"peers.md"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed) == sorted(f"Written: {tmp_path / 'out' / name}" for name in expected)


def test_files_go_to_the_export_folder_by_default(results):
    assert main(["export", "--format", "md", "--op", "relu", "--results", str(results)]) == 0
    assert (results / "export" / "medians.md").is_file()


def test_parquet_holds_the_records_with_their_types(results, tmp_path):
    assert export(results, tmp_path, "--format", "parquet") == 0
    read = pd.read_parquet(tmp_path / "records.parquet")
    assert list(read.columns) == [column.name for column in COLUMNS]
    assert {name: str(dtype) for name, dtype in read.dtypes.items()} == {c.name: c.dtype for c in COLUMNS}
    records = saved.load(str(results / "latest" / "records.csv"), results).records
    pd.testing.assert_frame_equal(read, records)
    medians = pd.read_parquet(tmp_path / "medians.parquet")
    pd.testing.assert_frame_equal(medians, study(records).medians.reset_index(), check_dtype=False)


def test_options_narrow_the_run(results, tmp_path):
    narrow = ("--op", "relu", "tanh", "--backend", "numpy", "torch", "--mode", "forward", "--dtype", "float32")
    assert export(results, tmp_path, "--format", "csv", *narrow, "--device", "cpu") == 0
    read = pd.read_csv(tmp_path / "records.csv")
    assert set(read["op"]) == {"relu", "tanh"}
    assert set(read["backend"]) == {"numpy", "torch"}
    assert set(read["mode"]) == {"forward"}


def test_without_the_baseline_there_are_no_speedups(results, tmp_path):
    assert export(results, tmp_path, "--format", "md", "latex", "csv", "--backend", "torch", "jax") == 0
    assert not list(tmp_path.glob("speedups.*"))


def test_markdown_marks_doubts_and_peers(results, tmp_path):
    assert export(results, tmp_path, "--format", "md") == 0
    text = (tmp_path / "medians.md").read_text(encoding="utf-8")
    assert "scipy†" in text
    assert "†: another library" in text
    assert text.count("~") == 1 + 3  # the key, and three records with a warning
    assert "numba" not in text
    assert "numexpr" not in text
    assert "numexpr†" in (tmp_path / "peers.md").read_text(encoding="utf-8")  # named as inaccurate


def test_latex_tables_are_well_formed(results, tmp_path):
    assert export(results, tmp_path, "--format", "latex") == 0
    for name in ("medians", "speedups", "limits"):
        text = (tmp_path / f"{name}.tex").read_text(encoding="utf-8")
        assert_well_formed(text)
        assert "% \\usepackage{booktabs}" in text
        assert r"mean\_squared\_error" in text
        assert r"scipy\textdagger{}" in text
        body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
        assert len(body) == 12
        assert all(line.count(r"\textbf{") >= 1 for line in body), "who leads, and who shares the lead"
    assert text.count(r"$\sim$") == 1 + 3


def test_a_long_latex_table_breaks_over_pages():
    text = latex.page(wide.medians(synthetic.made_up()))
    assert text.startswith("% \\usepackage{booktabs, longtable}\n\\begin{longtable}")
    assert_well_formed(text)


@pytest.mark.parametrize("name", [HOSTILE, r"a_b%c#d&e$f{g}h~i^j\k", "x\ny", "\\end{tabular}"])
def test_latex_takes_names_as_they_are(name):
    text = latex.page(wide.medians(study(to_frame([record(name, op=name), record("numpy", op=name)]))))
    assert_well_formed(text)
    assert (
        text.count("&") - text.count(r"\&") == 2 * 3
    )  # two lines of four cells: the name is the op's and the backend's
    assert latex.escape(name) in text


def test_latex_needs_ascii_alone_of_our_signs():
    assert latex.escape("µs × – − ∞ † 10⁻⁷ ~").isascii()


def assert_well_formed(text):
    """Check what a compiler would stumble over: environments, braces, cells a row."""
    opened = re.findall(r"\\begin\{([a-z*]+)\}", text)
    assert sorted(opened) == sorted(re.findall(r"\\end\{([a-z*]+)\}", text))
    bare = re.sub(r"\\[\\{}]", "", text)
    assert bare.count("{") == bare.count("}")
    (columns,) = re.findall(r"\\begin\{(?:tabular|longtable)\}\{([lr]+)\}", text)
    lines = [line for line in text.splitlines() if line.endswith(r"\\") and " & " in line]
    assert lines
    assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {len(columns)}
    assert not re.search(r"(?<!\\)[_#]", text.replace(r"\caption[]", ""))


# Errors


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (("--op", "nothing"), "op: no record has nothing; there are mean_squared_error, relu, tanh", 3),
        (("--backend", "numba"), "nothing of what was asked for was measured successfully", 3),
        (("no-such-run",), "no-such-run: no such run, number or file", 2),
    ],
)
def test_what_cannot_be_exported_is_an_error(results, tmp_path, capsys, arguments, message, status):
    assert export(results, tmp_path / "out", *arguments, "--format", "md") == status
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_any_run_that_is_said(tmp_path, capsys):
    assert export(tmp_path, tmp_path / "out", "--format", "md") == 2
    assert "no run has left" in capsys.readouterr().err


def test_an_unknown_format_is_an_error_that_lists_the_formats(results, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        export(results, tmp_path, "--format", "docx")
    assert ended.value.code == 2
    assert "'parquet'" in capsys.readouterr().err


def test_without_matplotlib_tables_are_written_and_the_package_named(results, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert export(results, tmp_path, "--format", "png", "md", "svg") == 2
    assert (tmp_path / "medians.md").is_file()
    error = capsys.readouterr().err
    assert "--format: png, svg: matplotlib is not installed" in error
    assert "pip install 'activation-bench[figures]'" in error


# Pictures


def test_every_symbol_of_the_palette_has_a_marker():
    assert set(pictures._MARKERS) == set(_PATHS)


@needs_matplotlib
def test_pictures_are_written_in_every_format_the_same_bytes_each_time(results, tmp_path):
    from matplotlib.image import imread

    narrow = ("--op", "relu", "--mode", "forward", "--backend", "numpy", "torch")
    for folder in ("once", "again"):
        assert export(results, tmp_path / folder, *narrow, "--format", *pictures.FORMATS) == 0
    names = {f"{name}.{form}" for name in ("winners", "speed", "limits") for form in pictures.FORMATS}
    assert {path.name for path in (tmp_path / "once").iterdir()} == names
    for name in names:
        content = (tmp_path / "once" / name).read_bytes()
        assert content == (tmp_path / "again" / name).read_bytes()
        if name.endswith("png"):
            pixels = imread(tmp_path / "once" / name)
            assert pixels.shape[1] == 3.4 * 300
            assert pixels.std() > 0.05  # not blank
        elif name.endswith("svg"):
            assert "torch" in texts(content)
            assert b"date>" not in content
        else:
            assert content.startswith(b"%PDF")


@pytest.fixture(scope="module")
def drawn():
    """Return the pictures of the small run as SVG."""
    return draw(rows())


@needs_matplotlib
def test_names_are_text(drawn):
    assert set(drawn) == {"winners.svg", "speed-forward.svg", "speed-backward.svg", "limits.svg"}
    for name in ("speed-forward.svg", "speed-backward.svg", "limits.svg"):
        assert {*OPS, "numpy", "torch", "jax", "scipy†"} <= set(texts(drawn[name]))
    assert {*OPS, "torch", "1,024", "1,048,576"} <= set(texts(drawn["winners.svg"]))


@needs_matplotlib
def test_axes_have_units(drawn):
    assert {"GB/s", "elements"} <= set(texts(drawn["speed-forward.svg"]))
    assert {"share of the bandwidth limit", "100 %"} <= set(texts(drawn["limits.svg"]))
    assert "elements" in texts(drawn["winners.svg"])


@needs_matplotlib
def test_what_failed_is_not_drawn(drawn):
    for svg in drawn.values():
        assert not any("numba" in text or "numexpr" in text for text in texts(svg))


@needs_matplotlib
def test_doubts_are_marked(drawn):
    assert texts(drawn["speed-forward.svg"]).count("~") == 3
    assert "~" not in texts(drawn["speed-backward.svg"])
    assert any("~: doubtful" in text for text in texts(drawn["limits.svg"]))
    assert sum(text.startswith("~") and "×" in text for text in texts(drawn["winners.svg"])) == 2


@needs_matplotlib
def test_backends_have_the_report_s_colours(drawn):
    for svg in (drawn["speed-forward.svg"], drawn["limits.svg"]):
        for look in styles(["numpy", "torch", "jax"]).values():
            assert look.colour.lower().encode() in svg.lower()


@needs_matplotlib
def test_pages_hold_a_limited_number_of_panels(monkeypatch):
    monkeypatch.setattr(pictures, "PANELS", 2)
    pages = draw([record("torch", op) for op in OPS])
    assert set(pages) == {"winners.svg", "speed-1.svg", "speed-2.svg", "limits.svg"}
    assert set(OPS) & set(texts(pages["speed-1.svg"])) == set(OPS[:2])
    assert set(OPS) & set(texts(pages["speed-2.svg"])) == set(OPS[2:])
    assert set(OPS) < set(texts(pages["winners.svg"]))


@needs_matplotlib
def test_without_the_baseline_winners_are_compared_with_the_runner_up():
    svg = draw([record("torch"), record("jax")])["winners.svg"]
    assert any("speed-up over the runner-up" in text for text in texts(svg))


@needs_matplotlib
def test_devices_have_a_picture_each_and_share_that_of_speed():
    made = [record(backend, device=device) for backend in ("jax", "torch") for device in ("cpu", "cuda")]
    pages = draw(made)
    assert {"winners-float32-on-cpu.svg", "winners-float32-on-cuda.svg", "speed.svg"} <= set(pages)
    assert any("dashed: cuda" in text for text in texts(pages["speed.svg"]))


@needs_matplotlib
def test_shapes_are_told_where_an_op_has_several_of_one_size():
    made = [record("numpy", "softmax", n=4096, shape=shape) for shape in ((64, 64), (16, 256))]
    assert {"64x64", "16x256", "shape"} <= set(texts(draw(made)["winners.svg"]))


@needs_matplotlib
def test_odd_records_can_be_drawn():
    odd = {
        "endless": {"ci95_low_s": -float("inf"), "ci95_high_s": float("inf")},
        "no bandwidth": {"fraction_of_bandwidth": None},
        "no bytes": {"gigabytes_per_s": None, "fraction_of_bandwidth": None},
        HOSTILE: {"device_name": "$x_1$ & <b>"},
    }
    pages = draw([record("numpy", op, **more) for op, more in odd.items()])
    assert {"endless", "no bandwidth", HOSTILE} <= set(texts(pages["speed.svg"]))
    assert {"endless", HOSTILE} <= set(texts(pages["limits.svg"]))
    assert "$x_1$ & <b>" in " ".join(texts(pages["winners.svg"]))


@needs_matplotlib
def test_without_bandwidth_there_is_no_picture_of_its_share():
    bare = {"op": "relu", "mode": "forward", "backend": "numpy", "device": "cpu", "status": "ok", "median_s": 1e-6}
    assert set(draw([bare])) == {"winners.svg"}


def texts_drawn(figure):
    """Yield the texts of a figure that are seen, without the marks of points."""
    for axes in figure.axes:
        yield from (axes.title, *(text for text in axes.texts if text.get_text() != "~"))
        for axis in (axes.xaxis, axes.yaxis):
            yield axis.label
            yield from (tick.label1 for tick in axis._update_ticks() if tick.label1.get_visible())
    for legend in figure.legends:
        yield from (legend.get_title(), *legend.get_texts())


@needs_matplotlib
@pytest.mark.parametrize("n_ops", [1, 6, 47])
def test_no_text_is_cut_off_or_lies_over_another(n_ops):
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    names = ["softmax_cross_entropy_with_integer_labels", *(f"operation_{i}" for i in range(n_ops - 1))]
    plotted = dict.fromkeys(names[12:], None)  # one page of speed against size is enough
    made = [
        record(backend, op, n=n, peer=backend == "keras-on-torch", warning=warning)
        | ({"gigabytes_per_s": None} if op in plotted else {})
        for op in names
        for n, warning in ((1, "slow"), (8_388_608, None))
        for backend in ("numpy", "numba", "numba-parallel", "jax", "torch", "keras-on-torch")
    ]
    records = to_frame(made)
    with matplotlib.style.context(["default", pictures._LOOK]):
        for name, figure in pictures._pictures(study(peers.marked(records)), looks_of(records)):
            renderer = FigureCanvasAgg(figure).get_renderer()
            seen = [text for text in texts_drawn(figure) if text.get_text()]
            boxes = [text.get_window_extent(renderer) for text in seen]
            for i, (text, box) in enumerate(zip(seen, boxes, strict=True)):
                what = (name, text.get_text())
                assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, what
                assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, what
                for other, beside in zip(seen[:i], boxes[:i], strict=True):
                    both_slant = text.get_rotation() % 90 and other.get_rotation() % 90
                    assert both_slant or not box.overlaps(beside), (*what, other.get_text())
