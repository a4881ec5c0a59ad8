"""Document: an HTML file that is read without a server, how it is packed and how it is written.

One choice of language and site stands in the file as plain HTML, so that it reads without a script.
The others are packed beside it, what they have in common once, and opened by the file's own script;
the file refuses to run any other script, and to fetch anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import UsageError
from workbench.publish import markup
from workbench.publish.language import LANGUAGES, say
from workbench.publish.pages import write_whole

if TYPE_CHECKING:
    from jinja2 import Environment

FIRST = "en"
"""Language that is read without a script."""
MARK = '<meta name="generator" content="workbench">'
"""What every document of ours has in its head."""
COMMON = ("top", "end")
"""Parts that all choices of a language have in common: what stands above and below the answers."""


def document(
    parts: Mapping[str, str],
    titles: Mapping[str, str],
    sites: Sequence[str] = ("",),
    *,
    shown: int = 0,
    addresses: Sequence[str] = (),
) -> str:
    """Return an HTML document that shows one choice of language and site at a time.

    Parameters
    ----------
    parts
        HTML by name: `<language>-<number of the site>`, and what stands above and below it,
        `<language>-top` and `<language>-end`, where there is such a thing.
    titles
        Title of the document by language.
    sites
        Names that are chosen from; the first, "", is all together.
    shown
        Number of the site that is shown first.
    addresses
        Where each site is read, by number, if not all are read here.

    Returns
    -------
    str
        HTML.
    """
    from markupsafe import Markup

    scripts = [_resource("page.js"), markup.script().removeprefix("<script>")]
    scripts = [text.removesuffix("</script>") for text in scripts]
    choice = "choices" if len(sites) > 1 else "language"
    said = {
        code: {
            "language": say("language", code),
            "site": say("show_site", code),
            "choice": say(choice, code),
            "all": say("all_sites", code),
            "script": say("needs_script", code),
        }
        for code in titles
    }
    plain = [f"{FIRST}-top", f"{FIRST}-{shown}", f"{FIRST}-end"]
    return templates().get_template("page.html.j2").render(
        mark=Markup(MARK),  # noqa: S704 - our own
        language=FIRST,
        title=titles[FIRST],
        names=LANGUAGES,
        words=said,
        words_json=Markup(_embedded(said)),  # noqa: S704 - escaped by _embedded
        sites=list(sites),
        shown=shown,
        addresses=list(addresses) or [""] * len(sites),
        style=Markup(markup.style()),  # noqa: S704 - our own
        scripts=[Markup(text) for text in scripts],  # noqa: S704 - our own
        hashes=[_base64(hashlib.sha256(text.encode()).digest()) for text in scripts],
        first=[Markup(parts.get(name, "")) for name in plain],  # noqa: S704 - escaped where made
        packed={name: pack(html) for name, html in parts.items() if name not in plain},
    )  # fmt: skip


def pack(text: str) -> str:
    """Return text deflated and in base64, as the page's script opens it.

    Examples
    --------
    >>> unpack(pack("做了哪些检查")) == "做了哪些检查"
    True
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return _base64(packer.compress(text.encode()) + packer.flush())


def unpack(packed: str) -> str:
    """Return the text that `pack` packed."""
    return zlib.decompress(base64.b64decode(packed), -zlib.MAX_WBITS).decode()


def templates() -> Environment:
    """Return the templates of the documents; what they are given is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = str(files("workbench").joinpath("resources/publish"))
    return Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def place(out: Path, name: str) -> Path:
    """Return the file that is meant: itself, or one of that name in a folder."""
    return out if out.suffix in {".html", ".htm"} else out / name


def write(path: Path, text: str) -> Path:
    """Write a document whole or not at all, in place of none but an earlier one.

    Raises
    ------
    UsageError
        If it cannot be written, or a file that is no document of ours is in its place.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and not is_ours(path):
            raise UsageError(
                "There is a file of another origin, which is not replaced",
                where=str(path),
                todo="Name another file, or remove this one",
            )
        return write_whole(path, text, 0o644)
    except OSError as error:
        raise UsageError(
            f"The page cannot be written: {error.strerror}",
            where=str(path),
            todo="Name a file or folder that you may write",
        ) from error


def is_ours(path: Path) -> bool:
    """Tell whether a file is one of our documents."""
    with path.open("rb") as file:
        return MARK.encode() in file.read(1000)


def _embedded(value: object) -> str:
    """Return JSON that no text in it can end the element it stands in."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c")


def _resource(name: str) -> str:
    return files("workbench").joinpath(f"resources/publish/{name}").read_text(encoding="utf-8")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
