"""Figures: panels, labels, and the two files each is saved to."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from derandomization.laboratory import figures
from derandomization.laboratory.trace import NormTrace


def test_a_figure_has_its_panels_side_by_side_and_needs_no_display() -> None:
    figure, panels = figures.new_figure(3, width=2.0, height=1.5)
    assert tuple(figure.get_size_inches()) == (6.0, 1.5)
    assert [axes.get_subplotspec().colspan.start for axes in panels] == [0, 1, 2]
    assert isinstance(figure.canvas, FigureCanvasAgg)


def test_labels_name_the_axes_and_the_legend_shows_only_labelled_lines() -> None:
    _, (left, right) = figures.new_figure(2)
    left.plot([0, 1], [0, 1], label="f")
    left.plot([0, 1], [1, 0])
    right.plot([0, 1], [0, 1])
    for axes in (left, right):
        figures.label(axes, x="step", y="value", title="Fact")
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "value")
        assert axes.get_title(loc="left") == "Fact"
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["f"]
    assert right.get_legend() is None


def test_saving_writes_png_and_pdf_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    written = []
    for name in ("first", "second"):
        figure, (axes,) = figures.new_figure()
        axes.plot([0, 1], [0, 1])
        paths = [tmp_path / f"{name}.{kind}" for kind in ("png", "pdf")]
        for path in paths:
            figures.save(figure, path)
        written.append([path.read_bytes() for path in paths])
    with Image.open(tmp_path / "first.png") as image:
        assert image.width >= 1_600
    png, pdf = written[0]
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert pdf.startswith(b"%PDF-")
    assert written[0] == written[1]


def drawn_norm(lemma_bound: float | None) -> dict[str, list[list[float]]]:
    trace = NormTrace(
        weight_norm=np.array([1.0, 1e-5, 1e-20]),
        perturbation_steps=np.array([1, 2]),
        bound_steps=np.array([0, 2]),
        sharp_bound=np.array([np.nan, 1e-18]),
        lemma_bound=lemma_bound,
    )
    _, (axes,) = figures.new_figure()
    figures.draw_norm(axes, trace, "norm")
    assert axes.get_yscale() == "log"
    return {str(line.get_label()): np.array(line.get_xydata()).tolist() for line in axes.lines}


def test_norms_below_rounding_are_drawn_at_its_level_and_silent_bounds_not_at_all() -> None:
    drawn = drawn_norm(0.25)
    assert drawn["norm"] == [[0, 1.0], [1, 1e-5], [2, figures.SMALLEST_NORM]]
    sharp = drawn["sharp bound (Stein's identity)"]
    assert np.isnan(sharp[0][1])
    assert sharp[1] == [2, figures.SMALLEST_NORM]
    assert drawn["Lemma 3.1's bound at the end"] == [[2, 0.25]]


def test_every_perturbation_is_a_line_and_only_the_first_is_in_the_legend() -> None:
    drawn = drawn_norm(0.25)
    assert [x for x, _ in drawn["perturbation, undone if f does not fall"]] == [1, 1]
    assert [x for name, line in drawn.items() if name.startswith("_") for x, _ in line] == [2, 2]


def test_no_bound_is_drawn_where_the_lemma_is_silent() -> None:
    assert not any("Lemma" in name for name in drawn_norm(None))
