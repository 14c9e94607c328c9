"""One self-contained page beside every result file: the numbers before and after, the figure, the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jinja2

import o2o_robot.report.html as house
from o2o_robot.report.html import data_uri, write_whole


class Row(NamedTuple):
    """A number before and after, as text."""

    name: str
    before: str
    after: str


def write(result: Path, rows: list[Row], png: bytes, caption: str) -> Path:
    """Write <result>.html and <result>.png beside a result file; gives the page."""
    folders = [str(Path(__file__).parent), str(Path(house.__file__).parent)]  # the page is ours, its look the house's
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["data_uri"] = data_uri
    page = environment.get_template(f"{Path(__file__).stem}.html").render(
        title=result.stem,
        subtitle=result.parent.name,
        rows=rows,
        png=png,
        caption=caption,
        text=result.read_text(),
    )
    write_whole(result.with_suffix(".png"), png)
    write_whole(result.with_suffix(".html"), page.encode())
    return result.with_suffix(".html")
