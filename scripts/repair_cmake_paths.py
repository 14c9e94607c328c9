"""Point the ROS 2 wheels' exported CMake targets at this venv's Python and NumPy headers.

The wheels carry the include folders of the machine that built them (under /opt/python/cpXY-cpXY/), and CMake refuses
an imported target whose include folder does not exist. Running it again changes nothing.

    python scripts/repair_cmake_paths.py [PREFIX]      # PREFIX: default, the running Python's own venv
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

BUILD_MACHINE = r"/opt/python/cp3\d+t?-cp3\d+t?"
NUMPY_INCLUDE = re.compile(BUILD_MACHINE + r"/lib/python3\.\d+t?/site-packages/numpy/_?core/include")
PYTHON_INCLUDE = re.compile(BUILD_MACHINE + r"/include/python3\.\d+t?")


def repaired(text: str, *, python_include: str, numpy_include: str) -> str:
    """`text` of a CMake file with the build machine's include folders replaced; all else untouched."""
    text = NUMPY_INCLUDE.sub(lambda _: numpy_include, text)
    return PYTHON_INCLUDE.sub(lambda _: python_include, text)


def repair(prefix: Path, *, python_include: str, numpy_include: str) -> list[Path]:
    """Rewrite `prefix`/share/*/cmake/*.cmake in place; gives the files that changed."""
    changed = []
    for path in sorted(prefix.glob("share/*/cmake/*.cmake")):
        before = path.read_text(encoding="utf-8")
        after = repaired(before, python_include=python_include, numpy_include=numpy_include)
        if after != before:
            write_apart(path, after)
            changed.append(path)
    return changed


def write_apart(path: Path, text: str) -> None:
    """Write aside and rename: pip may have hard-linked the file from its cache, and a crash must not truncate it."""
    aside = path.with_name(path.name + ".new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def main() -> None:
    import numpy

    prefix = Path(sys.argv[1] if len(sys.argv) > 1 else sys.prefix)
    include = sysconfig.get_path("include", vars={"base": sys.base_prefix, "installed_base": sys.base_prefix})
    changed = repair(prefix, python_include=include, numpy_include=numpy.get_include())
    print(f"repaired {len(changed)} CMake files under {prefix}/share")


if __name__ == "__main__":
    main()
