import base64
import copy
import html
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from fer_bench import cli
from fer_bench.contenders import inputs
from fer_bench.record.record_file import parse_record
from fer_bench.report import figures, page
from fer_bench.report.page import flips
from fer_bench.report.render import head_and_tables
from fer_engine.artifact.schema import to_json
from fer_engine.artifact.spec import ModelSpec
from fer_engine.errors import FerError

pytestmark = pytest.mark.slow  # every figure is drawn again and again

EVIL = "'\"><script>alert(1)</script><img src=http://x.invalid/y onerror=alert(1)>{{ 7 * 7 }}"


def render_page(record, faces=None):
    return page.render_page(parse_record(record), faces)


class Reader(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.handlers, self.texts = set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href")]
        self.handlers += [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def full_page(made_full_record):
    return render_page(made_full_record)


def test_the_page_opens_with_the_fastest_accepted_engine(full_page):
    header = full_page[: full_page.index("<main>")]
    for line in ("Batch 64", "engine/onnxruntime/int8", "9,876", "66.12% right, PyTorch 67.01%"):
        assert line in header
    assert "1.62x [1.50, 1.75] plain onnxruntime" in header
    assert "1.00x [1.00, 1.00] PyTorch" in header


def test_where_the_baseline_is_the_reference_it_is_compared_with_once(full_record):
    full_record["reference"] = "onnxruntime"
    text = render_page(full_record)
    header = text[: text.index("<main>")]
    assert "66.12% right, ONNX Runtime in float32 67.01%" in header
    assert "plain onnxruntime" in header
    assert "] ONNX Runtime" not in header
    assert "answered otherwise than by ONNX Runtime in float32" in text


def test_the_page_holds_every_table_and_fact(full_page, made_full_record):
    head, tables = head_and_tables(parse_record(made_full_record))
    text = html.unescape(full_page).replace("<wbr>", "")
    for table in tables:
        assert f">{table.title}</h3>" in text
        for row in table.rows:
            assert all(f">{cell}</t" in text for cell in row)
    assert all(fact in text for fact in head)


def test_every_figure_is_there_twice_for_wide_and_narrow(full_page):
    assert full_page.count("<svg") == 2 * len(figures.PLOTS)
    for plot in figures.PLOTS:
        assert f'<section id="{plot.name}">' in full_page


def test_the_title_names_network_and_cpu(full_page):
    assert "<h1>Benchmark of tiny on Imaginary 9000, 2 cores</h1>" in full_page


def test_speeds_are_sorted_and_the_fastest_row_is_marked(full_record):
    for entry in full_record["speed"]:
        if entry["contender"] == "pytorch":
            entry["ratio"] = {"rounds": [3.0] * 3, "median": 3.0, "low": 3.0, "high": 3.0}
    table = re.findall(r'<table class="ranked">.*?</table>', render_page(full_record), re.DOTALL)[-1]
    assert re.findall(r'<th scope="row">(.*?)</th>', table.replace("<wbr>", ""))[0] == "pytorch"
    assert table.index("contender") < table.index("ratio") < table.index("images/s")


def test_what_was_not_measured_says_how(unlabelled_record):
    reason = "the converter knows no such operator, and nobody has asked for it yet"
    unlabelled_record["skipped"][0]["reason"] = reason
    text = render_page(unlabelled_record)
    assert f'<td class="prose">{reason}</td>' in text
    assert "not measured: run with --scenario" in text
    assert "not measured: name at least two batch sizes" in text
    assert '<section id="sweep">' not in text
    assert '<a href="#sweep">' not in text
    assert text.count("not measured: faces with labels are needed") == 1
    assert "95.34% the same answers as PyTorch" in text


def test_the_page_needs_nothing_beside_it(full_page):
    found = Reader(full_page)
    assert all(link.startswith("#") for link in found.links)
    assert not {"script", "link", "iframe", "object", "img"} & found.tags
    assert "url(h" not in full_page
    assert "@import" not in full_page


def test_without_faces_the_page_holds_no_picture(full_page):
    assert "data:" not in full_page.replace("img-src data:", "")
    assert "base64" not in full_page


def test_flips_are_grouped_by_what_became_what(full_page):
    cells = r'<th scope="row">angry</th><td>happy</td><td.*?>(.*?)</td><td.*?>(.*?)</td>'
    assert re.findall(cells, full_page) == [("2", "3, 8")] * 3
    assert "167 of 3,589 faces answered otherwise than by PyTorch, the first 3 listed" in full_page


def test_faces_that_are_given_show_the_flips(full_record):
    faces = np.random.default_rng(0).integers(0, 256, (9, 48, 48), np.uint8)
    before = copy.deepcopy(full_record)
    found = Reader(render_page(full_record, faces))
    assert full_record == before
    pictures = [link for link in found.links if link.startswith("data:image/png;base64,")]
    assert len(pictures) == 9  # three contenders with three flips each
    for picture, index in zip(pictures, (3, 5, 8), strict=False):
        content = np.frombuffer(base64.b64decode(picture.partition(",")[2]), np.uint8)
        assert (cv2.imdecode(content, cv2.IMREAD_UNCHANGED) == faces[index]).all()


def test_a_hostile_record_stays_text(full_record):
    text = json.dumps(full_record).replace("engine/onnxruntime/int8", json.dumps(EVIL)[1:-1])
    hostile = json.loads(text)
    hostile["artifact"] |= {"labels": [EVIL] * 3, "model": EVIL, "refused": {EVIL: EVIL}}
    hostile["environment"] |= {"cpu": EVIL, "packages": {EVIL: EVIL}}
    hostile |= {"command": EVIL, "skipped": [{"name": EVIL, "reason": EVIL}]}
    rendered = render_page(hostile)
    found = Reader(rendered)
    assert not {"script", "img"} & found.tags
    assert not found.handlers
    assert all(link.startswith("#") for link in found.links)
    assert EVIL in "".join(found.texts)


def test_a_card_has_both_accuracies(record, voted_record):
    assert "66.12% right, PyTorch 67.01%" in render_page(record)
    assert "FER+" not in render_page(record)
    assert "81.23% right by the FER+ majority, PyTorch 82.01%" in render_page(voted_record)


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.update(speed=None),
        lambda record: record["speed"][0].update(samples_ns=[[]]),
        lambda record: record["speed"][0].update(images_per_second=["<b>", "1", "2"]),
        lambda record: record["contenders"][2].pop("kind"),
        lambda record: record.update(speed=[row for row in record["speed"] if row["contender"] != "null"]),
        lambda record: record["parity"]["pytorch"].update(flips=[[1, 2, 99]]),
        lambda record: record["parity"]["pytorch"]["labelled"].update(confusion=[[1, 2], 3]),
        lambda record: record.update(limits={"machine": {}}),
    ],
)
def test_a_damaged_record_is_refused(damage, record):
    damage(record)
    with pytest.raises(FerError, match="damaged"):
        render_page(record)


@pytest.fixture
def saved(unlabelled_record, tmp_path, monkeypatch):
    """The file of a record of ten synthetic faces, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inputs, "SYNTHETIC_FACES", 10)
    unlabelled_record["inputs"] = to_json(inputs.synthetic_inputs(ModelSpec("tiny")).described())
    (tmp_path / "record.json").write_text(json.dumps(unlabelled_record))
    return "record.json"


def test_the_command_writes_page_and_figures(saved, tmp_path, capsys):
    assert cli.main(["--render", saved, "--html", "new/page.html", "--png", "figures"]) == 0
    text = (tmp_path / "new" / "page.html").read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert text.count('<img src="data:image/png;base64,') == 9  # synthetic faces are made again
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "latency.png",
        "ratio.png",
        "startup.png",
        "tradeoff.png",
    ]
    assert "page: new/page.html" in capsys.readouterr().out


def test_synthetic_faces_of_another_release_are_not_shown(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "SYNTHETIC_SEED", 1)
    assert cli.main(["--render", saved, "--html", "page.html"]) == 0
    assert "<img" not in (tmp_path / "page.html").read_text("utf-8")


@pytest.fixture
def data(tmp_path):
    """A dataset of ten faces."""
    path = tmp_path / "fer2013.npz"
    faces = np.random.default_rng(1).integers(0, 256, (10, 48, 48), np.uint8)
    np.savez(
        path, images=faces, labels=np.arange(10, dtype=np.uint8) % 7, usage=np.array(["PublicTest"] * 10)
    )
    return path


def test_faces_of_the_user_are_shown_only_where_asked_for(saved, data, tmp_path):
    record = json.loads((tmp_path / saved).read_text())
    spec = ModelSpec("tiny", labels=tuple(record["artifact"]["labels"]))  # not those of the data
    record["inputs"] = to_json(inputs.dataset_inputs(data, "PublicTest", spec).described())
    (tmp_path / saved).write_text(json.dumps(record))
    render = ["--render", saved, "--html", "page.html", "--data", str(data)]
    for arguments, pictures in ((render, 0), ([*render, "--show-faces"], 9)):
        assert cli.main(arguments) == 0
        assert (tmp_path / "page.html").read_text("utf-8").count("<img") == pictures


def test_faces_are_shown_as_the_network_took_them(saved, data, tmp_path):
    record = json.loads((tmp_path / saved).read_text())
    labels = tuple(record["artifact"]["labels"])
    spec = ModelSpec("colours", labels, height=24, channels=3, mean=(0.0,) * 3, scale=(1.0,) * 3)
    record["artifact"]["spec"] = spec.to_json()
    record["inputs"] = to_json(inputs.dataset_inputs(data, "PublicTest", spec).described())
    (tmp_path / saved).write_text(json.dumps(record))
    assert cli.main(["--render", saved, "--html", "page.html", "--data", str(data), "--show-faces"]) == 0
    assert (tmp_path / "page.html").read_text("utf-8").count("<img") == 9


def test_a_face_keeps_its_colours(record):
    red = np.zeros((10, 4, 4, 3), np.uint8)
    red[..., 0] = 255
    image = flips.groups(parse_record(record), red)[0].faces[0].image
    png = np.frombuffer(base64.b64decode(image.partition(",")[2]), np.uint8)
    assert cv2.imdecode(png, cv2.IMREAD_COLOR_RGB)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--html", "page.html", "--show-faces"], "--show-faces needs --data"),
        (["--show-faces", "--data", "fer2013.npz"], "--show-faces needs --html"),
        (["--html", "page.html", "--show-faces", "--data", "fer2013.npz"], "are not the faces of the record"),
        (["--html", "."], "cannot write ."),
        (["--png", "record.json"], "cannot write record.json"),
    ],
)
@pytest.mark.usefixtures("data")
def test_a_page_that_cannot_be_made_is_refused(saved, tmp_path, capsys, arguments, message):
    before = (tmp_path / saved).read_bytes()
    assert cli.main(["--render", saved, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "page.html").exists()
    assert (tmp_path / saved).read_bytes() == before
