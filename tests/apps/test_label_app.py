"""`o2o label` as it is called: what it says, what it leaves in the store, its exit codes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

sys.path.extend(str(Path(__file__).resolve().parents[1] / room) for room in ("data", "labelling"))

from label_examples import a_store

from o2o_robot.apps.label import Labelling, main
from o2o_robot.data.labels import Correction, read_log
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import ConfigError, StoreError
from o2o_robot.labelling.opinions import read_opinions


@pytest.fixture
def path(tmp_path):
    a_store(tmp_path / "s.zarr", "sfSFS").close()
    return tmp_path / "s.zarr"


def table(path: Path, *rows: str) -> Path:
    (path.parent / "l.csv").write_text("\n".join(("episode,outcome", *rows)) + "\n")
    return path.parent / "l.csv"


def outcomes(path: Path) -> list[str]:
    with EpisodeStore.open(path) as store:
        return [store.meta(i)["outcome"] for i in range(len(store))]


def test_a_file_is_followed_and_one_line_says_what_changed(path, capsys):
    rows = ("ep-0,failure", "ep-1,failure", "ep-2,success", "ep-3,failure", "4,success")
    assert main(path, Labelling(from_file=table(path, *rows))) == 0
    said = "5 of 5 episodes: 3 failure, 2 success (3 were unknown, 1 was success)"
    assert capsys.readouterr().out.strip() == said
    assert outcomes(path) == ["failure", "failure", "success", "failure", "success"]


def test_the_same_file_again_adds_nothing_to_the_log(path, capsys):
    labelling = Labelling(from_file=table(path, "ep-2,success"))
    main(path, labelling)
    before = (path / "labels.jsonl").read_bytes()
    assert main(path, labelling) == 0
    assert (path / "labels.jsonl").read_bytes() == before
    assert "1 of 5 episodes: 1 success (no outcome changed)" in capsys.readouterr().out


@pytest.mark.parametrize("is_partial", [False, True])
def test_one_wrong_row_stops_the_file_unless_partial_and_is_exit_code_1_either_way(path, capsys, is_partial):
    file = table(path, "ep-2,success", "ep-7,success", "ep-3,lost")
    assert main(path, Labelling(from_file=file, partial=is_partial)) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said[:2]] == ["line 3", "line 4"]
    assert outcomes(path)[2] == ("success" if is_partial else "incomplete")
    assert said[2].startswith("1 of 5 episodes" if is_partial else "0 of 5 episodes")


def test_a_dry_run_says_the_same_and_writes_nothing(path, capsys):
    with EpisodeStore.open(path, "a"):  # nor does it need to be the writer
        assert main(path, Labelling(from_file=table(path, "ep-2,success"), dry_run=True)) == 0
    assert capsys.readouterr().out == "would be: 1 of 5 episodes: 1 success (1 was unknown)\n"
    assert not (path / "labels.jsonl").exists()


def test_the_classifier_tells_its_precision_labels_what_is_sure_and_keeps_its_opinions(tmp_path, capsys):
    a_store(tmp_path / "s.zarr", "sf" * 12 + "SF").close()
    path = tmp_path / "s.zarr"
    assert main(path, Labelling(classify=True, dry_run=True)) == 0
    dry = capsys.readouterr().out
    assert read_opinions(path) == {}
    assert read_log(path) == {}
    assert main(path, Labelling(classify=True)) == 0
    said = capsys.readouterr().out
    assert dry.replace("would be: ", "") == said
    assert "logistic regression on 32x32 colour thumbnails, learnt from 24 episodes" in said
    assert re.search(r"success: precision 1\.00 \((\d+) of \1\), recall \d\.\d\d \(\1 of 12\); labelled where", said)
    assert "2 of 26 episodes: 1 failure, 1 success (2 were unknown)" in said
    assert outcomes(path)[24:] == ["success", "failure"]
    assert len(read_opinions(path)) == 26


def test_without_a_source_it_says_what_is_known_and_what_to_do(path, capsys):
    main(path, Labelling(from_file=table(path, "ep-2,success")))
    capsys.readouterr()
    assert main(path) == 0
    said = capsys.readouterr().out
    assert "5 episodes: 2 success, 1 failure, 2 unknown (1 by file, the rest as recorded)" in said
    assert "2 to decide; label them with --page" in said


def test_the_log_lists_every_label_oldest_first(path, capsys):
    with EpisodeStore.open(path, "a") as store:
        store.correct(2, Correction("success", by="hand", who="kim", at="day 1", note="clear"))
        store.correct(2, Correction.recorded(by="hand", who="kim", at="day 2"))
    assert main(path, Labelling(log=True)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "day 1  000002  ep-2  success  by hand  kim  clear",
        "day 2  000002  ep-2  as recorded  by hand  kim",
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"classify": True, "precision": 1.5}, "precision must be 0.5 to 1, got 1.5"),
        ({"page": True, "encoder": Path("x")}, "--encoder means nothing without --classify"),
        ({"classify": True, "partial": True}, "--partial means nothing without --from-file"),
        ({"dry_run": True}, "--dry-run means nothing without"),
        ({"classify": True, "page": True, "dry_run": True}, "leave out one of them"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        Labelling(**settings)


def test_a_store_that_is_being_written_is_not_labelled(path):
    with EpisodeStore.open(path, "a"), pytest.raises(StoreError, match="is being written"):
        main(path, Labelling(from_file=table(path, "ep-2,success")))


def test_the_page_is_served_on_this_machine_alone_until_it_is_interrupted_and_then_sums_up(path):
    pytest.importorskip("uvicorn")
    words = [sys.executable, "-m", "o2o_robot.apps.label", str(path), "--page", "--port", "0", "--who", "kim"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        token = re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=([\w-]{32})", url)
        assert token is not None, url
        request = urllib.request.Request(url.partition("?")[0] + "api/episodes/2/label", b'{"what": "success"}')
        request.add_header("Authorization", f"Bearer {token[1]}")
        request.add_header("Content-Type", "application/json")
        assert urllib.request.urlopen(request, timeout=30).status == 200
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(timeout=30) == 0
    assert rest.splitlines()[-1] == "1 of 5 episodes: 1 success (1 was unknown)"
    assert "Traceback" not in rest
    assert read_log(path)["000002"].who == "kim"
