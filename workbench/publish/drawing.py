"""Drawing: charts as SVG, without a browser and without a network."""

from __future__ import annotations

import re
import threading
from functools import partial

import altair as alt

_SPOKEN = re.compile(r'<(path|line) aria-label="([^"]*)"([^>]*)/>')
_ROLE = re.compile(r' (?:aria-[a-z]+|role)="[^"]*"')


def draw(chart: alt.TopLevelMixin) -> str:
    """Return a chart as SVG, made without a browser and without a network.

    Parameters
    ----------
    chart
        What a `plot_` function returned.

    Returns
    -------
    str
        One `svg` element, hidden from screen readers: the caller says what it shows.
    """
    import vl_convert

    # The tests hold the charts to the schema; checking each again would take a third of the time.
    spec = chart.to_dict(validate=False)
    svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    svg = _SPOKEN.sub(r"<\1\3><title>\2</title></\1>", svg)
    head, rest = _ROLE.sub("", svg).split(">", 1)
    return f'{head} aria-hidden="true" focusable="false">{rest}'


def warm() -> None:
    """Start the engine that draws, which takes half a second, beside other work."""
    import vl_convert

    chart = alt.Chart(alt.InlineData(values=[{}])).mark_point()
    start = partial(vl_convert.vegalite_to_svg, chart.to_dict(validate=False))
    threading.Thread(target=start, kwargs={"allowed_base_urls": []}, daemon=True).start()
