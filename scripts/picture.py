"""The README's picture from a demo's run folder: the twin's two cameras, and success over environment steps.

python scripts/picture.py runs/demo docs/picture.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.image import imread

from o2o_sim.config import PegConfig, TwinConfig
from o2o_sim.twin import Twin


def main(run: Path, out: Path) -> None:
    with Twin(TwinConfig(image_size=320, peg=PegConfig(clearance_m=0.010))) as twin:  # the demo's
        twin.reset(seed=3)
        images = twin.images()
    figure, axes = plt.subplots(1, 3, figsize=(12.5, 3.1), width_ratios=[1, 1, 2.35], layout="constrained")
    for axis, name in zip(axes, ("front", "wrist"), strict=False):
        axis.imshow(images[name])
        axis.set_title(f"{name} camera", fontsize=9)
    axes[2].imshow(imread(run / "figures" / "success.png"))
    for axis in axes:
        axis.axis("off")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python scripts/picture.py RUN OUT.png")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
