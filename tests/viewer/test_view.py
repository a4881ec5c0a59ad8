"""The viewer: what it sends, what it refuses, and the real page in JupyterLab and in Voila."""

from __future__ import annotations

import contextlib
import io
import json
import re
import time
from base64 import b64encode
from importlib.util import find_spec
from pathlib import Path

import nbformat
import numpy as np
import pytest
import xarray as xr
from PIL import Image
from playwright.sync_api import TimeoutError as Late

from tests.conftest import missing
from tests.test_lab import Lab
from workbench.errors import ImageError, UsageError
from workbench.viewer.view import RESOURCES, view, words
from workbench.viewer.windows import CT, PET

SHAPE = (20, 30, 40)
AFFINE = np.array([[2.0, 0, 0, -40], [0, 2, 0, -30], [0, 0, 5, 100], [0, 0, 0, 1]])
"""80 mm to the left, 60 mm to the back, 100 mm to the head."""


def phantom(**attrs) -> xr.DataArray:
    """Return air with a box of 100 HU to the left, in front, near the head: 20 x 24 x 25 mm."""
    values = np.full(SHAPE, -1000, np.int16)
    values[13:18, 4:16, 26:36] = 100
    attrs = {"affine": AFFINE.tolist(), "units": "HU", "modality": "CT"} | attrs
    return xr.DataArray(values, dims=("z", "y", "x"), attrs=attrs)


def segmentation() -> xr.DataArray:
    labels = (phantom() == 100).astype(np.uint8) * 3
    return labels.assign_attrs(affine=AFFINE.tolist(), labels={3: "box"})


@pytest.fixture
def told(monkeypatch):
    """Return what viewers send to their pages."""
    from workbench.viewer.slices import SliceViewer

    sent = []
    monkeypatch.setattr(SliceViewer, "send", lambda _, *message: sent.append(message))
    return sent


def ask(box, **asked) -> None:
    box.slices._handle_custom_msg(asked, [])


# ---- What is sent


def test_the_page_is_sent_the_very_values(told):
    box = view(phantom(), segmentation())
    ask(box, ask="frame", frame=0, labels=True)
    content, (voxels, labels) = told.pop()
    assert (content["type"], content["slope"], content["intercept"]) == ("int16", 1, 0)
    assert np.array_equal(np.frombuffer(voxels, "<i2").reshape(SHAPE), phantom().values)
    assert content["labels"] == "uint8"
    assert np.array_equal(np.frombuffer(labels, "u1").reshape(SHAPE), segmentation().values)
    ask(box, ask="frame", frame=0, labels=False)
    assert len(told.pop()[1]) == 1


def test_the_page_is_told_where_the_voxels_lie():
    flipped = phantom().isel(x=slice(None, None, -1)).transpose("x", "z", "y")
    affine = AFFINE.copy()
    affine[:, 3] += affine[:, 0] * (SHAPE[2] - 1)
    affine[:, 0] *= -1
    head = view(flipped.assign_attrs(affine=affine.tolist())).slices.head
    assert head["shape"] == [40, 30, 20]
    assert np.array(head["affine"]) == pytest.approx(AFFINE)
    assert head["ends"] == [["R", "L"], ["A", "P"], ["F", "H"]]
    assert head["source"][0] == {"name": "x", "last": 39, "backwards": True, "step": 1}
    assert head["units"] == "HU"


def test_further_dimensions_are_frames_with_their_places(told):
    times = xr.concat([phantom() + 10 * i for i in range(3)], "time")
    series = xr.concat([times, times * 2], "b_value").assign_attrs(phantom().attrs)
    series = series.assign_coords(time=("time", [0, 1.5, 3], {"units": "s"}))
    box = view(series.transpose("z", "b_value", "y", "time", "x"))
    assert box.slices.head["frames"] == [
        {"name": "b_value", "places": ["", ""]},
        {"name": "time", "places": ["0 s", "1.5 s", "3 s"]},
    ]
    ask(box, ask="frame", frame=5)
    content, (voxels,) = told.pop()
    assert content["frame"] == 5
    assert np.array_equal(np.frombuffer(voxels, "<i2").reshape(SHAPE), (phantom().values + 20) * 2)
    ask(box, ask="frame", frame=6)
    assert told.pop()[0] == {"told": "failed", "text": "IndexError"}


def test_a_frame_that_cannot_be_read_is_told_by_the_reason_alone(told):
    import dask.array as da

    def read(block_info=None):
        place = block_info[None]["array-location"][0][0]
        if place:
            raise ImageError("Pixels end too early", where="a path that is nobody's business")
        return np.zeros((1, *SHAPE), np.int16)

    lazy = da.map_blocks(read, chunks=((1, 1), *((n,) for n in SHAPE)), dtype=np.int16)
    box = view(xr.DataArray(lazy, dims=("time", "z", "y", "x"), attrs=phantom().attrs))
    ask(box, ask="frame", frame=1)
    assert told.pop() == ({"told": "failed", "text": "Pixels end too early"},)
    ask(box, ask="frame", frame=0)
    assert told.pop()[0]["told"] == "frame"


def test_the_state_that_a_notebook_may_keep_holds_no_voxel_and_no_patient():
    facts = {"patient_name": "Doe^Jane", "series_uid": "1.2.3", "exam_time": "2020-01-01"}
    state = view(phantom(**facts), segmentation()).slices.get_state()
    text = json.dumps(state)  # holds no bytes either
    assert not re.search(r"Doe|1\.2\.3|2020", text)
    assert len(text) < 60_000
    assert json.dumps(state["head"]).count("-1000") == 0


def test_presets_units_and_black_on_white():
    assert view(phantom()).slices.head["window"] == "soft_tissue"
    head = view(phantom(), preset="lung").slices.head
    assert head["windows"][head["window"]] == [-600, 1500]
    assert {*head["windows"]} == {*CT, "automatic"}
    pet = view(phantom(units="SUV")).slices.head
    assert [*pet["windows"]] == [*PET, "automatic"]
    assert pet["windows"][pet["window"]] == [2.5, 5]
    assert [view(phantom(modality=m)).slices.head["invert"] for m in ("PT", "NM")] == [True, False]
    assert view(phantom(units="arb")).slices.head["units"] == ""
    assert view(phantom(photometric="MONOCHROME1")).slices.head["invert"]
    padded = view(phantom(padding=[-1000, -1000])).slices.head
    assert padded["windows"]["automatic"] == [100, 1]


def test_segments_that_overlap_are_shown_as_one_map_and_that_is_said():
    both = xr.concat([segmentation(), segmentation()], "segment").assign_coords(segment=[1, 2])
    assert view(phantom(), both.assign_attrs(segmentation().attrs)).slices.head["overlap"]
    assert not view(phantom(), segmentation()).slices.head["overlap"]


@pytest.mark.parametrize(
    ("wanted", "where"),
    [({"preset": "lungs"}, "lungs"), ({"language": "eng"}, "eng")],
)
def test_what_is_not_known_gets_the_nearest(wanted, where):
    with pytest.raises(UsageError) as error:
        view(phantom(), **wanted)
    assert where in error.value.where
    assert "Did you mean" in error.value.todo


def test_a_volume_that_cannot_be_shown_is_refused():
    with pytest.raises(ImageError, match="no volume"):
        view(phantom().values)
    with pytest.raises(ImageError, match="where it lies"):
        view(phantom(affine=None))
    with pytest.raises(ImageError, match="volume's grid"):
        view(phantom(), segmentation()[1:])


def test_every_word_is_there_in_every_language():
    tables = json.loads((RESOURCES / "words.json").read_text())
    asked = set(re.findall(r'say\("(\w+)"', (RESOURCES / "slices.js").read_text()))
    for language, table in tables.items():
        assert table.keys() == tables["en"].keys(), language
        assert asked | CT.keys() | PET.keys() | {"axial", "coronal", "sagittal"} <= table.keys()
        for key, text in table.items():
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", tables["en"][key]))
    from workbench.publish.language import LANGUAGES, say

    assert tables.keys() == LANGUAGES.keys()
    for language in LANGUAGES:
        assert words(language)["not_clinical"] == say("not_clinical", language)


def test_nothing_of_the_page_is_loaded_from_elsewhere():
    for name in ("slices.js", "slices.css", "voxels.js"):
        text = (RESOURCES / name).read_text()
        assert not re.search(
            r"https?:(?!//www\.w3\.org/2000/svg)|@import|url\(|fetch\(|import\(", text
        )


# ---- The page in a browser

SOURCE = f"""
import numpy as np
import xarray as xr
from workbench.viewer.view import view

values = np.full({SHAPE}, -1000, np.int16)
values[13:18, 4:16, 26:36] = 100
attrs = {{"affine": {AFFINE.tolist()}, "units": "HU", "modality": "CT"}}
volume = xr.DataArray(values, dims=("z", "y", "x"), attrs=attrs)
times = xr.concat([volume, volume + 50], "time").assign_attrs(attrs)
labels = (volume == 100).astype(np.uint8) * 3
labels.attrs = {{"affine": attrs["affine"], "labels": {{3: "box"}}}}
"""
SHOWN = {"plain": "view(times)", "labelled": "view(volume, labels)"}

GREYS = """(canvas) => {
    const {width, height} = canvas;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    const [columns, rows] = [new Uint32Array(width), new Uint32Array(height)];
    // Above the scale bar; single pixels of letters may have any grey.
    for (let i = 0; i < pixels.length * 0.85; i += 4) {
        const [r, g, b] = pixels.slice(i, i + 3);
        if (r < LOW || r > HIGH || r !== g || g !== b) continue;
        columns[(i / 4) % width]++;
        rows[Math.floor(i / 4 / width)]++;
    }
    const ends = (counts) => {
        const full = [...counts.keys()].filter((i) => counts[i] > 15);
        return [full.at(0) ?? 0, (full.at(-1) ?? -1) + 1];
    };
    const [[left, right], [top, bottom]] = [ends(columns), ends(rows)];
    return {left, right, top, bottom, width, height, area: (right - left) * (bottom - top)};
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view")
    server = Lab(folder)
    server.folder = folder
    for name, line in SHOWN.items():
        notebook = nbformat.v4.new_notebook()
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        notebook.cells = [nbformat.v4.new_code_cell(SOURCE), nbformat.v4.new_code_cell(line)]
        nbformat.write(notebook, folder / "checkout" / f"{name}.ipynb")
    yield server
    server.stop()


@pytest.fixture
def shown(browser, lab):
    """Open a notebook in JupyterLab or Voila, with all other machines out of reach."""
    opened = []

    def open_(place, name, script="", width=1280):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(90_000)
        page.errors, page.elsewhere = [], []
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)

        def stay(route):
            if not route.request.url.startswith((lab.base, "data:", "blob:")):
                page.elsewhere.append(route.request.url)
                route.abort()
                return
            route.continue_()

        page.route("**/*", stay)
        if script:
            page.add_init_script(script)
        opened.append(page)
        if place == "voila":
            page.goto(f"{lab.base}voila/render/{name}.ipynb{lab.token}")
        else:
            page.goto(f"{lab.base}lab/workspaces/{name}/tree/{name}.ipynb{lab.token}")
            page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']")
            run_all(page)
        page.wait_for_selector(FIRST)
        page.locator(".wbv").scroll_into_view_if_needed()
        settle(page)
        return page

    yield open_
    for page in opened:
        page.close()
    assert [page.errors for page in opened if page.errors] == []
    assert [page.elsewhere for page in opened if page.elsewhere] == []


FIRST = ".wbv[data-frame='0']"


def run_all(page) -> None:
    """Run all cells; a kernel that is only just connected may drop them, so ask again."""
    until = time.monotonic() + 90
    while time.monotonic() < until:
        page.click("text=Run >> nth=0")
        page.click("text=Run All Cells")
        with contextlib.suppress(Late):
            page.wait_for_selector(FIRST, timeout=20_000)
            return


def greys(page, plane, low, high=None):
    """Return where a canvas has such greys: the ends of the rows and columns that hold many."""
    high = low + 1 if high is None else high
    source = GREYS.replace("LOW", str(low - (low == high - 1))).replace("HIGH", str(high))
    return page.locator(f".wbv-canvas >> nth={plane}").evaluate(source)


def settle(page) -> None:
    """Wait until what was asked for is drawn: the page draws before each frame of the screen."""
    frame = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    page.evaluate(frame)


def move_to_box(page) -> None:
    """Move by keys until the box is cut by all planes: its middle is voxel z 15, y 9, x 30."""
    for plane, steps in ((0, 5), (1, -6), (2, 10)):
        page.locator(f".wbv-pane > input >> nth={plane}").focus()
        for _ in range(abs(steps)):
            page.keyboard.press("ArrowUp" if steps > 0 else "ArrowDown")
    settle(page)


@pytest.mark.browser
@pytest.mark.parametrize("place", ["lab", "voila"])
def test_slices_are_drawn_in_grey_and_in_proportion_and_move(shown, place):
    page = shown(place, "plain")
    assert greys(page, 0, 159)["area"] == 0  # the slices through the middle miss the box
    move_to_box(page)
    assert page.inner_text(".wbv-pane >> nth=0 >> .wbv-told") == "slice 16 of 20"
    readout = page.inner_text(".wbv-readout")
    assert re.search(r"100 HU\s+L 20\.0\s+A 12\.0\s+H 175\.0 mm\s+voxel z 15\s+y 9\s+x 30", readout)
    extents = {0: (20, 24), 1: (20, 25), 2: (24, 25)}  # mm across and down
    for plane, (across, down) in extents.items():
        grey = CT["soft_tissue"].grey(100)
        assert greys(page, plane, grey)["area"] > 500
        box = greys(page, plane, grey // 2, 255)  # smoothed: half of the grey is the edge
        ratio = (box["right"] - box["left"]) / (box["bottom"] - box["top"])
        assert ratio == pytest.approx(across / down, rel=0.04), plane
        # The patient's left is on the right, the front and the head are at the top.
        assert ((box["left"] + box["right"]) / 2 > box["width"] / 2) == (plane != 2)
        assert (box["top"] + box["bottom"]) / 2 < box["height"] / 2

    page.hover(".wbv-canvas >> nth=0")
    page.mouse.wheel(0, -100)
    settle(page)
    assert page.inner_text(".wbv-pane >> nth=0 >> .wbv-told") == "slice 17 of 20"
    page.select_option(".wbv select", "lung")
    settle(page)
    assert greys(page, 0, CT["lung"].grey(100))["area"] > 500
    page.mouse.down()
    page.mouse.move(900, 300, steps=4)
    page.mouse.up()
    assert page.input_value(".wbv select") == "own"
    assert page.locator(".wbv input[type=number] >> nth=1").input_value() != "1500"
    page.fill(".wbv input[type=number] >> nth=0", "50")
    page.fill(".wbv input[type=number] >> nth=1", "400")
    page.keyboard.press("Tab")
    page.locator(".wbv-frame input").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".wbv[data-frame='1']")
    settle(page)
    assert greys(page, 0, CT["soft_tissue"].grey(150))["area"] > 500  # the second time
    assert "150 HU" in page.inner_text(".wbv-readout")
    if place == "lab":
        assert page.locator(".jp-Notebook .jp-mod-selected").count() == 1  # keys moved no cell


@pytest.mark.browser
def test_labels_cover_the_image_and_can_be_found_and_hidden(shown):
    page = shown("voila", "labelled")
    page.click("[aria-label='Go to box']")
    settle(page)
    assert "box" in page.inner_text(".wbv-readout")
    assert "100 HU" in page.inner_text(".wbv-readout")
    assert greys(page, 0, 159)["area"] == 0  # coloured, not grey
    page.click(".wbv-labels li input")
    settle(page)
    assert greys(page, 0, 159)["area"] > 500
    page.click("[aria-label='Enlarge: Coronal']")
    settle(page)
    assert page.locator(".wbv-canvas >> visible=true").count() == 1
    box = greys(page, 1, 80, 255)
    assert box["width"] > 1000
    ratio = (box["right"] - box["left"]) / (box["bottom"] - box["top"])
    assert ratio == pytest.approx(20 / 25, rel=0.03)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_no_rule_of_accessibility_is_broken_and_nothing_is_wider_than_the_page(shown, width):
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        missing("The accessibility rules (axe-playwright-python) are not installed")
    (rules,) = Path(found.origin).parent.glob("axe*.js")
    page = shown("voila", "labelled", width=width)
    page.add_script_tag(path=str(rules))
    broken = page.evaluate("axe.run('.wbv').then((r) => r.violations)")
    assert {v["id"]: v["nodes"][0]["html"][:200] for v in broken} == {}
    assert page.evaluate("document.querySelector('.wbv').scrollWidth") <= width
    assert "Not for clinical use" in page.inner_text(".wbv")


@pytest.mark.browser
def test_the_3_d_view_opens_and_closes_without_asking_anybody(shown):
    page = shown("lab", "labelled")
    page.click(".wbv button:has-text('3-D')")
    page.wait_for_selector(".wbv button[aria-pressed=true]:has-text('3-D')")
    wait_until_drawn(page)
    page.click(".wbv button:has-text('3-D')")
    page.wait_for_selector(SOLID, state="detached")


SOLID = ".jp-OutputArea canvas:not(.wbv-canvas)"


def wait_until_drawn(page) -> None:
    """Wait until the 3-D view shows the label's orange."""
    canvas = page.wait_for_selector(SOLID)
    until = time.monotonic() + 60
    while True:
        pixels = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB"), int)
        orange = (pixels[..., 0] > 100) & (pixels[..., 2] * 3 < pixels[..., 0])
        if orange.sum() > 200:
            return
        assert time.monotonic() < until, "nothing was drawn"
        page.wait_for_timeout(500)


@pytest.mark.browser
def test_a_notebook_saved_with_the_state_of_its_widgets_holds_no_voxel(shown, lab):
    page = shown("lab", "labelled")
    page.click(".wbv button:has-text('3-D')")
    wait_until_drawn(page)
    page.click("text=Settings >> nth=0")
    page.click("text=Save Widget State Automatically")
    page.click("text=File >> nth=0")
    page.click("text=/^Save Notebook$/")
    saved = lab.folder / "checkout" / "labelled.ipynb"
    until, kept = time.monotonic() + 60, {}
    while not kept:
        assert time.monotonic() < until, "no state was saved"
        page.wait_for_timeout(500)
        with contextlib.suppress(ValueError):  # half written
            kept = json.loads(saved.read_text())["metadata"].get("widgets", {})
    (states,) = kept.values()
    parts = [s for s in states["state"].values() if s["state"].get("name") == "volume.nii"]
    assert any(part["state"].get("hdr") for part in parts)  # the page has drawn it
    assert [part["state"].get("data") for part in parts] == [None] * len(parts)
    held = [b["data"] for s in states["state"].values() for b in s.get("buffers", [])]
    assert sum(map(len, held)) < 2000, [len(data) for data in held]
    assert b64encode(np.int16([-1000] * 9).tobytes()).decode() not in saved.read_text()


NO_WEBGL = """
const context = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    return kind.startsWith("webgl") ? null : context.call(this, kind, ...rest);
};
"""


@pytest.mark.browser
def test_without_webgl_the_slices_remain_and_say_why(shown):
    page = shown("voila", "labelled", NO_WEBGL)
    page.click(".wbv button:has-text('3-D')")
    assert "WebGL 2" in page.inner_text(".wbv-notes")
    assert page.locator(".wbv button:has-text('3-D')").is_disabled()
    assert greys(page, 0, 0)["width"] > 300
    assert page.locator(".wbv-canvas").count() == 3
