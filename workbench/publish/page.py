"""Page: a study's dashboard as one file, which is read without a server and printed.

All sites together, in English, stand in the file as plain HTML, so that it reads without a script.
Every other choice of site and language is packed beside it and opened by the file's own script; the
file refuses to run any other script, and to fetch anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import UsageError
from workbench.publish import markup
from workbench.publish.language import LANGUAGES, say
from workbench.publish.pages import Pages, open_pages
from workbench.study import Study, read_study

if TYPE_CHECKING:
    from jinja2 import Environment

Progress = Callable[[int, int], None]
FIRST = "en"
"""Language that is read without a script."""


def write_page(
    study: Study | Path | str,
    out: Path | str,
    *,
    whole: bool = True,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
) -> Path:
    """Write a study's dashboard as one self-contained HTML file.

    Parameters
    ----------
    study
        The definition, or the folder that holds it.
    out
        The file, or a folder that gets `<study>.html`.
    whole
        False to leave out the sites' own pages, which is soon done.
    progress
        Told how many parts are drawn, and of how many.

    Returns
    -------
    Path
        The file. The same releases make the same bytes.

    Raises
    ------
    DefinitionError
        If the study cannot be read.
    UsageError
        If the file cannot be written.
    """
    definition = study if isinstance(study, Study) else read_study(study)
    target = place(Path(out), f"{definition.id}.html")
    return write(target, page_html(open_pages(definition), whole=whole, progress=progress))


def page_html(
    pages: Pages,
    *,
    whole: bool = True,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
) -> str:
    """Return a study's dashboard as one HTML document.

    Parameters
    ----------
    pages
        The parts of the page.
    whole
        False to leave out the sites' own pages.
    progress
        Told how many parts are drawn, and of how many.

    Returns
    -------
    str
        HTML that names no other file and no other machine.
    """
    study = pages.study
    languages = [code for code in LANGUAGES if code in study.languages]
    sites = ["", *(pages.sites if whole else ())]
    variants = [(code, number, site) for code in languages for number, site in enumerate(sites)]
    bodies = {}
    for done, (code, number, site) in enumerate(variants):
        progress(done, len(variants))
        bodies[f"{code}-{number}"] = body(pages, site, code)
    titles = {code: study.titles.get(code, study.title) for code in languages}
    return document(bodies, titles, sites)


def body(pages: Pages, site: str, language: str) -> str:
    """Return all that one reader sees: the head, each question answered for a site, and the end."""
    sections = (
        pages.section(number, site, language) for number in range(len(pages.study.sections))
    )
    return "".join((pages.head(language), *sections, pages.closing(language)))


def document(bodies: Mapping[str, str], titles: Mapping[str, str], sites: Iterable[str]) -> str:
    """Return an HTML document that shows one of several bodies.

    Parameters
    ----------
    bodies
        HTML by `<language>-<number of the site>`; `en-0` is shown first.
    titles
        Title of the document by language.
    sites
        Names that are chosen from; the first is all together.
    """
    from markupsafe import Markup

    first = f"{FIRST}-0"
    scripts = [_resource("page.js"), markup.script().removeprefix("<script>")]
    scripts = [text.removesuffix("</script>") for text in scripts]
    said = {
        code: {
            "title": title,
            "language": say("language", code),
            "site": say("show_site", code),
            "all": say("all_sites", code),
            "script": say("needs_script", code),
        }
        for code, title in titles.items()
    }
    return templates().get_template("page.html.j2").render(
        language=FIRST,
        title=titles[FIRST],
        names=LANGUAGES,
        words=said,
        words_json=Markup(_embedded(said)),  # noqa: S704 - escaped by _embedded
        sites=list(sites),
        style=Markup(markup.style()),  # noqa: S704 - our own
        scripts=[Markup(text) for text in scripts],  # noqa: S704 - our own
        hashes=[_base64(hashlib.sha256(text.encode()).digest()) for text in scripts],
        first=Markup(bodies[first]),  # noqa: S704 - escaped where it was made
        variants={name: pack(html) for name, html in bodies.items() if name != first},
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
    """Write a file whole or not at all.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(part).chmod(0o644)
        return Path(part).replace(path)
    except OSError as error:
        raise UsageError(
            f"The page cannot be written: {error.strerror}",
            where=str(path),
            todo="Name a file or folder that you may write",
        ) from error


def _embedded(value: object) -> str:
    """Return JSON that no text in it can end the element it stands in."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c")


def _resource(name: str) -> str:
    return files("workbench").joinpath(f"resources/publish/{name}").read_text(encoding="utf-8")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


if __name__ == "__main__":
    # The server's own: first what all sites say together, which is soon there, then every site.
    for everything in (False, True):
        write_page(sys.argv[1], sys.argv[2], whole=everything)
