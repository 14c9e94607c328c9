"""`o2o <story>`: finds the story's file, turns its main into a command line, and shows errors as one line."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import sys
from types import ModuleType
from typing import NamedTuple

from o2o_robot.errors import O2OError


class Story(NamedTuple):
    module: str
    what: str


STORIES = {
    "demo": Story("o2o_robot.apps.demo", "the whole way on the twin: collect, ingest, pretrain, fine-tune, report"),
    "ingest": Story("o2o_robot.apps.ingest", "recordings and foreign datasets into an episode store"),
    "store": Story("o2o_robot.apps.store", "look after a store: list, delete, compact, merge, verify, migrate"),
    "label": Story("o2o_robot.apps.label", "say how episodes ended, from a file, a classifier or by hand"),
    "reward": Story("o2o_robot.apps.reward", "a success classifier: train, eval, suggest what to label"),
    "inspect": Story("o2o_robot.apps.inspect", "what a store holds and what looks wrong, as a table and a page"),
    "view": Story("o2o_robot.apps.view", "one episode in Rerun, or as MCAP for Foxglove"),
    "export": Story("o2o_robot.apps.export", "a store as LeRobot v3 or robomimic HDF5"),
    "pretrain": Story("o2o_robot.apps.pretrain", "a store into a policy, by Cal-QL"),
    "pretrain-encoder": Story("o2o_robot.apps.pretrain_encoder", "a store's video into an encoder"),
    "extract": Story("o2o_robot.apps.extract", "a run's replay into a fresh policy, kept where it is surely better"),
    "collect": Story(
        "o2o_robot.apps.collect", "record demonstrations: by a person at a device, or the scripted expert"
    ),
    "finetune": Story("o2o_robot.apps.finetune", "warm-up and fine-tuning on the arm; --resume RUN takes one up again"),
    "up": Story("o2o_robot.apps.up", "bring up a graph of nodes: collect, evaluate or finetune"),
    "doctor": Story("o2o_robot.apps.doctor", "before the arm moves: topics, images, clocks, limits, machine, measured"),
    "calibrate": Story("o2o_robot.apps.calibrate", "facts of one robot, measured: cameras, latencies, the joints"),
    "replay": Story("o2o_robot.apps.replay", "a recording's commands again on the twin, and the tracking error"),
    "truth": Story("o2o_robot.apps.truth", "Q against rollouts from stored states of the twin"),
    "report": Story("o2o_robot.apps.report", "the HTML report of a run"),
    "compare": Story("o2o_robot.apps.compare", "runs side by side: curves, ends, whether they differ, settings"),
    "black-box": Story("o2o_robot.apps.black_box", "what stopped the arm: each stop of a run, with its picture"),
}


def main(words: list[str] | None = None) -> int:
    """Exit codes: 0 all done, 1 done in part or failed, 2 the command line is wrong."""
    words = sys.argv[1:] if words is None else words
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0 if words else 2
    if words[0] not in STORIES:
        print(f"o2o: there is no '{words[0]}'\n{_usage()}", file=sys.stderr)
        return 2
    try:
        return _tell(words[0], words[1:])
    except O2OError as problem:
        print(f"o2o {words[0]}: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"o2o {words[0]}: interrupted", file=sys.stderr)
        return 130


def _tell(story: str, words: list[str]) -> int:
    import tyro

    module = importlib.import_module(STORIES[story].module)
    if story == "up":
        return _up(module, words)
    if story in ("store", "reward"):
        chosen = tyro.extras.subcommand_cli_from_dict(
            module.WORDS, args=words, description=module.__doc__, prog=f"o2o {story}"
        )
        return int(chosen or 0)
    return int(tyro.cli(module.main, args=words, prog=f"o2o {story}") or 0)


def _up(module: ModuleType, words: list[str]) -> int:
    from o2o_robot.graph import STORIES as GRAPHS

    parser = argparse.ArgumentParser(prog="o2o up", description=module.__doc__)
    graphs = parser.add_subparsers(dest="graph", required=True, metavar="{" + ",".join(GRAPHS) + "}")
    for name, (settings, _) in GRAPHS.items():
        graph = graphs.add_parser(name, help=settings.__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        for field in dataclasses.fields(settings):
            option, default, told = f"--{field.name.replace('_', '-')}", field.default, field.metadata["help"]
            if isinstance(default, bool):
                graph.add_argument(option, action=argparse.BooleanOptionalAction, default=default, help=told)
            else:
                graph.add_argument(option, type=type(default), default=default, help=told)
    chosen = vars(parser.parse_args(words))
    name = chosen.pop("graph")
    return int(module.run(name, GRAPHS[name][0](**chosen)))


def _usage() -> str:
    lines = [f"  {name:16s} {story.what}" for name, story in STORIES.items()]
    return "\n".join(["usage: o2o <story> [options]      (o2o <story> --help tells them)", *lines])


if __name__ == "__main__":
    sys.exit(main())
