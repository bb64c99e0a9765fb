"""Figures: panels, labels, and the two files each is saved to."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from derandomization.laboratory import figures
from derandomization.laboratory.trace import NormTrace

SUFFIXES = (".png", *figures.VECTOR_SUFFIXES)


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_a_figure_is_as_wide_as_a_page_and_needs_no_display(count: int, rows: int) -> None:
    figure, panels = figures.new_figure(count, height=1.5)
    width = figures.TEXT_WIDTH if count == 1 else figures.PAGE_WIDTH
    assert tuple(figure.get_size_inches()) == (width, 1.5 * rows)
    assert figure.axes == panels
    assert len(panels) == count
    assert isinstance(figure.canvas, FigureCanvasAgg)


def test_no_text_is_small_and_none_leaves_the_figure() -> None:
    series = {f"a series with a long name, number {i}": np.ones((9, 3)) for i in range(5)}
    panel = figures.Panel(
        series, [f"name {i} that is long" for i in range(9)], "x", "y", "title " * 15
    )
    other = figures.Panel({"one": np.ones((2, 3))}, [1.0, 10.0], "x", "y", "title", log_x=True)
    for panels in ([panel], [panel, panel, panel], [panel, other]):
        figure = figures.study_figure(*panels)
        figures.lay_out(figure)
        texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
        assert len(texts) > 20
        assert min(text.get_fontsize() for text in texts) >= 8
        drawn, size = figure.get_tightbbox(), figure.get_size_inches()
        assert min(drawn.min) > -0.01
        assert (drawn.max < size + 0.01).all()


def test_a_figure_that_is_laid_out_is_drawn_once_per_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure, (axes,) = figures.new_figure()
    figures.label(axes, x="a", y="b", title="c")
    drawn, draw = [], axes.draw
    monkeypatch.setattr(axes, "draw", lambda renderer: (drawn.append(renderer), draw(renderer)))
    figures.lay_out(figure)
    place = axes.get_position().bounds
    assert not drawn
    for i, suffix in enumerate(SUFFIXES):
        figures.save(figure, tmp_path / f"figure{suffix}")
        assert len(drawn) == i + 1
    assert axes.get_position().bounds == place


def test_a_noisy_trace_is_drawn_as_a_median_between_extremes() -> None:
    noise = np.random.default_rng(0).standard_normal(5_000)
    _, (axes,) = figures.new_figure()
    figures.draw_trace(axes, noise, label="noise")
    figures.draw_trace(axes, np.sin(np.arange(5_000) / 20), label="smooth")
    median, smooth = (np.array(line.get_xydata()) for line in axes.lines)
    assert median.shape == (figures.TRACE_BINS, 2)
    assert np.abs(median[:, 1]).max() < 1
    assert smooth.shape == (5_000, 2)
    low, high = axes.dataLim.intervaly
    assert (low, high) == (noise.min(), noise.max())
    names = axes.get_legend_handles_labels()[1]
    assert names == ["noise: extremes of 34 steps", "noise: median of 34 steps", "smooth"]


def test_exponents_are_raised() -> None:
    assert figures.typeset("∝ ρ^−1.5") == "∝ ρ$^{−1.5}$"
    assert figures.typeset("bound ρ/Δ") == "bound ρ/Δ"


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


def test_saving_writes_png_pdf_and_svg_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    written = []
    for name in ("first", "second"):
        figure, (axes,) = figures.new_figure()
        axes.plot([0, 1], [0, 1])
        paths = [tmp_path / f"{name}{suffix}" for suffix in SUFFIXES]
        for path in paths:
            figures.save(figure, path)
        written.append([path.read_bytes() for path in paths])
    with Image.open(tmp_path / "first.png") as image:
        assert image.width == 300 * figures.TEXT_WIDTH
    png, pdf, svg = written[0]
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert pdf.startswith(b"%PDF-")
    assert b"<svg" in svg
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


def test_a_frame_of_an_animation_is_the_whole_figure_though_what_is_still_is_drawn_once(
    tmp_path: Path,
) -> None:
    class Still(Line2D):
        draws = 0

        def draw(self, renderer: RendererBase) -> None:
            Still.draws += 1
            super().draw(renderer)

    figure, (axes,) = figures.new_figure(height=2)
    axes.add_line(Still([0, 1], [0, 1], color=figures.GREEN))
    (dot,) = axes.plot([0], [0], "o", color=figures.RED, markersize=9)
    figures.lay_out(figure)
    dot.set_animated(True)

    def move(frame: int) -> None:
        dot.set_data([frame / 4], [0.5])

    Still.draws = 0
    figures.save_animation(figures.Animation(figure, move, range(5)), tmp_path / "dot.gif")
    assert Still.draws == 1
    dot.set_animated(False)
    figure.set_dpi(70)
    canvas = FigureCanvasAgg(figure)
    with Image.open(tmp_path / "dot.gif") as gif:
        assert gif.n_frames == 5
        for frame in range(5):
            gif.seek(frame)
            move(frame)
            canvas.draw()
            whole = np.asarray(canvas.buffer_rgba())[:, :, :3].astype(int)
            assert np.abs(np.asarray(gif.convert("RGB")) - whole).max() < 32


def test_a_description_writes_exponents_as_plain_text() -> None:
    figure, (axes,) = figures.new_figure()
    axes.plot([1, 2], [1, 4], label=figures.typeset("∝ ρ^−1.5"))
    figures.label(axes, x="ρ", y="steps")
    assert figures.description(figure) == "steps against ρ; shown: ∝ ρ^−1.5"
