"""What an MJCF from elsewhere may ask of MuJoCo: files of its own folder, no plugin, no more than a robot's size.

MuJoCo itself opens whatever a model names (an `include` of any file, meshes by absolute path), and takes the memory it
asks for. So the text is looked through before MuJoCo sees it.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

from o2o_robot.errors import ConfigError

MAX_MODEL_BYTES = 16 << 20  # of all MJCF files together; Menagerie's largest has 0.3 MB
MAX_ASSET_BYTES = 256 << 20
MAX_COUNT = 1 << 24  # of pixels, cells or copies that one element asks for
MAX_MEMORY_MB = 1024
_COUNTS = ("count", "nrow", "ncol", "width", "height", "nstack", "nuserdata", "nconmax", "njmax")
_UNITS_MB = {"": 1 / (1 << 20), "K": 1 / (1 << 10), "M": 1.0, "G": 1 << 10, "T": 1 << 20, "P": 1 << 30, "E": 1 << 40}
_NESTED = ("include", "model")  # elements whose file is a model too


def check_model(path: Path) -> None:
    """Raises ConfigError naming what a model must not ask for: a file outside its folder, a plugin, a huge size."""
    root = path.parent.resolve()
    waiting, seen, n_bytes = [path.resolve()], set(), 0
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        n_bytes += file.stat().st_size
        if n_bytes > MAX_MODEL_BYTES:
            raise ConfigError(f"{path}: more than {MAX_MODEL_BYTES >> 20} MB of XML; put shapes into mesh files")
        elements = list(_parsed(file).iter())
        folders = {
            "",
            *(e.get(name, "") for e in elements if e.tag == "compiler" for name in e.attrib if _is_dir(name)),
        }
        for element in elements:
            _check_size(element, where=file)
            named = _files(element, root, folders, where=file)
            waiting += [each for each in named if element.tag in _NESTED and each.is_file()]


def _parsed(file: Path) -> ElementTree.Element:
    text = file.read_bytes()
    if b"<!" in text.replace(b"<!--", b"").replace(b"<![CDATA[", b"") or b"\0" in text:
        raise ConfigError(f"{file} declares a document type, or is no UTF-8 text; MJCF needs neither: leave it out")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as problem:
        raise ConfigError(f"{file} is not XML ({' '.join(str(problem).split())})") from None


def _files(element: ElementTree.Element, root: Path, folders: set[str], *, where: Path) -> list[Path]:
    """Every file an element names, wherever MuJoCo would look for it."""
    if element.tag == "plugin" or element.get("plugin"):
        raise ConfigError(f"{where} asks for a plugin, which is a program; the twin loads none: take it out")
    if any(_is_dir(name) and not _is_inside(root / value, root) for name, value in element.items()):
        raise ConfigError(f"{where}: <{element.tag}> names a folder outside {root}; copy it beside the model")
    found = [
        root / folder / value
        for name, value in element.items()
        if name.startswith("file") and value
        for folder in folders
    ]
    for each in found:
        if not _is_inside(each, root):
            raise ConfigError(f"{where}: <{element.tag}> names {each}, outside {root}; copy it beside the model")
        if each.is_file() and each.stat().st_size > MAX_ASSET_BYTES:
            raise ConfigError(f"{where}: {each} has more than {MAX_ASSET_BYTES >> 20} MB; use a coarser one")
    return found


def _is_dir(name: str) -> bool:
    return name in ("assetdir", "meshdir", "texturedir")


def _is_inside(file: Path, root: Path) -> bool:
    return file.resolve().is_relative_to(root)


def _check_size(element: ElementTree.Element, *, where: Path) -> None:
    asked = [float(word) for name in _COUNTS for word in re.findall(r"\d+(?:e\d+)?", element.get(name, ""))]
    if math.prod(max(1.0, each) for each in asked) > MAX_COUNT:
        raise ConfigError(f"{where}: <{element.tag}> asks for {math.prod(asked):.0e} parts, at most {MAX_COUNT}; fewer")
    memory = re.fullmatch(r"\s*(\d+)\s*([KMGTPE]?)\s*", element.get("memory", "0").upper())
    if element.tag == "size" and (not memory or int(memory[1][:20]) * _UNITS_MB[memory[2]] > MAX_MEMORY_MB):
        raise ConfigError(f"{where}: <size> asks for memory '{element.get('memory')}', at most {MAX_MEMORY_MB}M; less")
