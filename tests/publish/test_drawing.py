"""Drawing: a chart becomes a picture that is silent, and says of each mark what it is told to."""

import xml.etree.ElementTree as ET

import altair as alt

from workbench.publish.drawing import draw, warm


def test_only_what_a_mark_is_told_to_say_is_said():
    data = alt.InlineData(values=[{"a": 1, "said": 'A "<b>": 1'}, {"a": 2, "said": "B"}])
    chart = alt.Chart(data).mark_bar(aria=True).encode(x="a:Q", description="said:N")
    svg = draw(chart.configure(aria=False))
    said = [t.text for t in ET.fromstring(svg).iter() if t.tag.endswith("title")]
    assert said == ['A "<b>": 1', "B"]
    assert svg.count("aria-") == 1
    assert 'aria-hidden="true"' in svg
    assert "role=" not in svg


def test_warming_up_waits_for_nothing():
    assert warm() is None
