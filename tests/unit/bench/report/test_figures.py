import re
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest

from bench_record import add_votes
from fer_bench.record.record_file import parse_record
from fer_bench.report import figures
from fer_bench.report.figures import latency_figure, ratio_figure, theme, tradeoff_figure
from fer_bench.report.figures import plot as plots
from fer_bench.report.figures.plot import NARROW, WIDE
from fer_engine.errors import FerError

pytestmark = pytest.mark.slow  # every figure is drawn

EVERY_PLOT = pytest.mark.parametrize("plot", figures.PLOTS, ids=lambda plot: plot.name)
EVIL = "</text><script>alert('$\\frac{1$')</script>\x00\n&amp;"


def svg(plot, record, width):
    return plots.svg(plot, parse_record(record), width)


def write_png(plot, record, folder):
    return plots.write_png(plot, parse_record(record), folder)


def without_labels(record):
    record["inputs"]["labelled"] = False
    for found in record["parity"].values():
        found["labelled"] = None


# What a figure cannot be drawn without.
NEEDED = {
    "sweep": lambda record: record["options"].update(batches=[64]),
    "roofline": lambda record: record.pop("limits"),
    "scenarios": lambda record: record.pop("scenarios"),
    "confusion": without_labels,
    "recall": without_labels,
    "tradeoff": lambda record: [found.update(changed=0) for found in record["parity"].values()],
}


def words(drawing):
    return [element.text for element in parsed(drawing).iter() if element.text]


def parsed(drawing):
    """Return the root of an SVG, which must be well-formed."""
    return ET.fromstring(drawing)  # noqa: S314 - ours


def rename(record, old, new):
    """Call a contender otherwise, wherever it stands."""
    for contender in record["contenders"]:
        contender["name"] = contender["name"].replace(old, new)
    for entry in [*record["speed"], *record["scenarios"]]:
        entry["contender"] = entry["contender"].replace(old, new)
    for part in ("parity", "startup"):
        record[part] = {name.replace(old, new): found for name, found in record[part].items()}


@EVERY_PLOT
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_figure_is_an_svg_of_its_width_in_the_colours_of_the_page(plot, width, full_record):
    drawing = svg(plot, full_record, width)
    root = parsed(drawing)
    assert root.get("viewBox").split()[2] == str(width)
    assert root.get("aria-label") == plot.title
    assert root[0].text == plot.caption
    assert "engine/onnxruntime/int8" in words(drawing)
    assert "var(--ink)" in drawing or "var(--muted)" in drawing
    assert not re.findall(r"#[0-9a-f]{6}\b(?!\")", drawing.replace("url(#", "").replace('href="#', ""))
    for tag in ("<image", "<style", "<script", "<metadata"):
        assert tag not in drawing


@EVERY_PLOT
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_hostile_name_stays_text(plot, width, full_record):
    rename(full_record, "engine/onnxruntime/int8", EVIL)
    full_record["artifact"]["labels"][0] = EVIL
    drawing = svg(plot, full_record, width)
    assert "<script" not in drawing
    assert any("</text><script>" in word for word in words(drawing))


def test_one_record_gives_one_drawing(full_record):
    first, second = (svg(latency_figure.PLOT, full_record, WIDE) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("confusion", {"411", "500", "angry", "sad"}),
        ("recall", {"-12.5"}),
        ("ratio", {"batch 64", "1.62", "times plain onnxruntime"}),
        ("startup", {"172"}),
        ("roofline", {"fp32 peak", "int8 peak", "G multiply-adds a second, batch 64"}),
        ("scenarios", {"0.375", "0.375, INVALID", "4,321", "server, queries/s"}),
        ("sweep", {"1", "64", "10,000"}),
        ("tradeoff", {"changed answers, batch 64", "no answer other than PyTorch's"}),
    ],
)
def test_a_figure_shows_the_figures_of_the_record(name, shown, full_record):
    plot = next(plot for plot in figures.PLOTS if plot.name == name)
    assert shown <= set(words(svg(plot, full_record, WIDE)))


@pytest.mark.parametrize("name", NEEDED)
def test_without_its_data_there_is_no_figure(name, full_record, tmp_path):
    plot = next(plot for plot in figures.PLOTS if plot.name == name)
    NEEDED[name](full_record)
    assert svg(plot, full_record, WIDE) is None
    assert write_png(plot, full_record, tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_confusion_has_a_matrix_for_the_labels_and_one_for_the_votes(full_record):
    plot = next(plot for plot in figures.PLOTS if plot.name == "confusion")
    plain = words(svg(plot, full_record, WIDE))
    add_votes(full_record)
    shown = words(svg(plot, full_record, WIDE))
    assert {"411", "601", "280", "answer (rows: truth)", "answer (rows: FER+ majority)"} <= set(shown)
    assert not {"601", "answer (rows: FER+ majority)"} & set(plain)
    assert shown.count("pytorch") == 2 * plain.count("pytorch")


def test_ratios_are_sorted_and_the_fastest_is_bold(full_record):
    fastest = next(
        entry
        for entry in full_record["speed"]
        if (entry["contender"], entry["batch"]) == ("engine/onnxruntime/int8", 64)
    )
    fastest["ratio"] = {"rounds": [2.5, 2.5, 2.5], "median": 2.5, "low": 2.25, "high": 2.75}
    _, panel = ratio_figure.draw(parse_record(full_record), WIDE).axes
    names = [(label.get_text(), label.get_fontweight()) for label in panel.get_yticklabels()]
    assert names[0] == ("engine/onnxruntime/int8", "bold")
    assert [weight for _, weight in names[1:]] == ["normal"] * 2
    assert [bar.get_width() for bar in panel.patches] == [2.5, 1.625, 1.625]
    assert list(panel.lines[0].get_xdata()) == [2.25, 2.75]


def test_whoever_changes_no_answer_is_no_point_of_the_tradeoff(full_record):
    full_record["parity"]["onnxruntime"] = full_record["parity"]["pytorch"] | {"changed": 0}
    panel = tradeoff_figure.draw(parse_record(full_record), WIDE).axes[0]
    shown = [(line.get_marker(), line.get_ydata()[0]) for line in panel.lines if line.get_marker() in "|^"]
    assert ("|", 0) in shown
    assert ("^", 167 / 3589) in shown


def test_peaks_without_room_for_two_labels_share_one(full_record):
    products = full_record["limits"]["machine"]["products"]
    products["onnxruntime/int8"] = {count: 1.1 * rate for count, rate in products["torch/fp32"].items()}
    plot = next(plot for plot in figures.PLOTS if plot.name == "roofline")
    peaks = [word for word in words(svg(plot, full_record, WIDE)) if word.endswith(" peak")]
    assert peaks == ["fp32, int8 peak"]


def test_a_recall_within_noise_is_not_shown(full_record):
    plot = next(plot for plot in figures.PLOTS if plot.name == "recall")
    assert "+3.1" not in words(svg(plot, full_record, WIDE))  # of 24 faces
    labelled = full_record["parity"]["pytorch"]["labelled"]  # the names share one entry
    labelled["recall_difference"] = [-0.03, None, 0.031]  # 13 of 130 flips
    assert svg(plot, full_record, WIDE) is None


def test_the_latency_figure_reaches_from_the_fastest_to_the_slowest_call(full_record):
    panel = latency_figure.draw(parse_record(full_record), WIDE).axes[0]
    ends = [list(line.get_xdata()) for line in panel.lines if len(line.get_xdata()) == 2]
    assert ends == [[3.0, 90.0]] * 3
    medians = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "o"]
    assert medians == [3.02] * 3


def test_pngs_are_images_of_every_figure(full_record, tmp_path):
    paths = figures.write_pngs(parse_record(full_record), tmp_path / "new")
    assert [path.name for path in paths] == [f"{plot.name}.png" for plot in figures.PLOTS]
    for path in paths:
        image = cv2.imread(str(path))
        assert image.shape[1] == 2 * WIDE
        assert np.ptp(image) > 100


def test_pngs_of_a_damaged_record_are_refused(full_record, tmp_path):
    del full_record["speed"][0]["samples_ns"]
    with pytest.raises(FerError, match=r"damaged: speed\[0\] must be an object .*'samples_ns'"):
        figures.write_pngs(parse_record(full_record), tmp_path)


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_colours_contrast_with_the_paper(colours):
    """3:1 for drawings and 4.5:1 for text, as the Web Content Accessibility Guidelines 2.2 ask for."""
    for name, colour in colours.items():
        least = {"paper": 1.0, "grid": 1.0, "ink": 4.5, "muted": 4.5}.get(name, 3.0)
        assert contrast(colour, colours["paper"]) >= least, name
    for name in ("blue", "red"):
        cell = blend(colours[name], colours["paper"], theme.DEEPEST)
        assert contrast(cell, colours["ink"]) >= 4.5, name


def contrast(first, second):
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    """Return the relative luminance of an sRGB colour, as WCAG defines it."""
    parts = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def blend(colour, paper, opacity):
    """Return what `colour` becomes where it covers the paper with this opacity."""
    over, under = (np.frombuffer(bytes.fromhex(one[1:]), np.uint8) for one in (colour, paper))
    return "#" + np.rint(opacity * over + (1 - opacity) * under).astype(np.uint8).tobytes().hex()
