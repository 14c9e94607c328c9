"""Self-contained HTML: a template filled in, every figure inside it, no network and no script."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import jinja2


def render(template: str, content: dict[str, Any]) -> str:
    """A template of this folder as text; everything in `content` is escaped, and a name it lacks is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    return environment.get_template(template).render(content)


def data_uri(picture: bytes) -> str:
    """A PNG or JPEG as the address of itself."""
    kind = "jpeg" if picture.startswith(b"\xff\xd8") else "png"
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode()


def write_whole(path: Path, data: bytes) -> None:
    """Written aside and renamed: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(data)
    aside.replace(path)
