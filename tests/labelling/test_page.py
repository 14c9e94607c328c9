"""The labelling page's server: who may ask, what a press does, and that it can be taken back."""

from __future__ import annotations

import io
import threading
from dataclasses import replace

import numpy as np
import pytest
from label_examples import a_store, ended

from o2o_robot.data.labels import Correction, history, read_log
from o2o_robot.data.store import EpisodeStore
from o2o_robot.errors import DataError
from o2o_robot.labelling.film import MAX_FRAMES, MAX_SIDE_PX, film
from o2o_robot.labelling.opinions import read_opinions, write_opinions
from o2o_robot.labelling.session import Session

fastapi = pytest.importorskip("fastapi")
testclient = pytest.importorskip("fastapi.testclient")

from o2o_robot.labelling.server import MAX_BODY_BYTES, build_app  # noqa: E402

TOKEN = "right-token"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}
OPINIONS = {"000000": 0.02, "000002": 0.55, "000003": 0.8}


@pytest.fixture
def store(tmp_path):
    with a_store(tmp_path / "s.zarr", "sfSFS") as store:
        yield store


@pytest.fixture
def session(store):
    return Session(store, who="kim", clock=lambda: "now", probability=OPINIONS)


@pytest.fixture
def client(session):
    return testclient.TestClient(build_app(session, TOKEN), headers=WITH_TOKEN)


@pytest.fixture
def stranger(session):
    return testclient.TestClient(build_app(session, TOKEN))


def label(client, index, what, **kwargs):
    return client.post(f"/api/episodes/{index}/label", json={"what": what}, **kwargs)


PATHS = ("/", "/page.js", "/page.css", "/api/alive", "/api/overview", "/api/episodes/0/film", "/nothing", "/docs")


@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=right-tokenx", "?token=right"])
def test_without_the_token_nothing_is_told_not_even_what_exists(stranger, token):
    answers = [stranger.get(path + token) for path in PATHS]
    assert {answer.status_code for answer in answers} == {403}
    assert all("the token is missing or wrong" in answer.json()["problem"] for answer in answers)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer \xff"}])
def test_without_the_token_nothing_can_be_labelled(stranger, store, headers):
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    assert label(stranger, 2, "success", headers=raw).status_code == 403
    assert stranger.post("/api/undo", headers=raw).status_code == 403
    assert read_log(store.path) == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_press_from_another_site_is_refused_even_with_the_token(client, store, headers):
    assert label(client, 2, "success", headers=headers).status_code == 403
    assert read_log(store.path) == {}


def test_a_press_from_the_page_itself_is_taken(client, store):
    ours = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    assert label(client, 2, "success", headers=ours).status_code == 200
    assert read_log(store.path)["000002"] == Correction("success", by="hand", who="kim", at="now")


@pytest.mark.parametrize("name", ["..%2fserver.py", "server.py", "%2e%2e/server.py", "page.js%00", "....//server.py"])
def test_no_file_but_the_pages_own_is_ever_served(client, name):
    answer = client.get(f"/{name}")
    assert answer.status_code == 404
    assert "build_app" not in answer.text


def test_the_page_and_its_files_carry_the_token_and_forbid_what_they_do_not_need(stranger):
    page = stranger.get(f"/?token={TOKEN}")
    assert page.status_code == 200
    assert f"page.js?token={TOKEN}" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in page.headers
    assert stranger.get(f"/page.js?token={TOKEN}").headers["content-type"].startswith("text/javascript")


def test_a_body_too_large_is_refused_before_it_is_read(client, store):
    assert client.post("/api/undo", content=b"x" * (MAX_BODY_BYTES + 1)).status_code == 413
    chunked = client.post("/api/episodes/2/label", content=(b"x" for _ in range(3)))
    assert chunked.status_code == 413
    assert read_log(store.path) == {}


@pytest.mark.parametrize("body", [{"what": "perfect"}, {}, {"what": "success", "extra": 1}, [1], "success"])
def test_a_press_that_is_none_is_refused_and_nothing_is_logged(client, store, body):
    assert client.post("/api/episodes/2/label", json=body).status_code == 422
    assert read_log(store.path) == {}


@pytest.mark.parametrize("path", ["/api/episodes/9/film", "/api/episodes/-1/film", "/api/episodes/0/sheets/1.jpg"])
def test_an_episode_or_camera_that_is_not_there_is_named_in_one_line(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "\n" not in answer.json()["problem"]


@pytest.mark.parametrize(("what", "outcome"), [("success", "success"), ("failure", "failure"), ("unknown", "unknown")])
def test_a_press_is_in_the_store_when_it_is_answered(client, store, what, outcome):
    overview = label(client, 2, what).json()
    assert overview["episodes"][2]["outcome"] == outcome
    assert overview["n_done"] == 3
    assert EpisodeStore.open(store.path).meta(2)["label"]["by"] == "hand"


def test_what_is_in_doubt_comes_first_and_what_is_decided_last(client):
    assert client.get("/api/overview").json()["order"] == [0, 2, 3, 4, 1]  # 0: labelled s, the classifier says 0.02
    assert label(client, 1, "doubtful").json()["order"] == [1, 0, 2, 3, 4]
    assert label(client, 0, "success").json()["order"] == [1, 2, 3, 4, 0]


def test_doubtful_keeps_the_outcome_and_counts_as_open(client, store):
    overview = label(client, 0, "doubtful").json()
    assert (overview["episodes"][0]["outcome"], overview["n_done"]) == ("success", 1)
    assert np.array_equal(store.read(0).reward, store.read(0, corrected=False).reward)


def test_every_press_can_be_taken_back_to_where_it_began(session, store):
    store.correct(1, Correction("success", by="file", who="l.csv", at="then"))
    session = Session(store, who="kim", clock=lambda: "now", probability={})
    states = [session.overview()["episodes"]]
    presses = [(2, "success"), (1, "failure"), (2, "failure"), (0, "doubtful"), (1, "recorded")]
    for index, what in presses:
        session.press(index, what)
        states.append(session.overview()["episodes"])
    for (index, _), before in zip(reversed(presses), reversed(states[:-1]), strict=True):
        assert session.undo() == index
        assert session.overview()["episodes"] == before
    assert session.undo() is None
    assert read_log(store.path)["000001"].who == "l.csv"
    assert len(list(history(store.path))) == 1 + 2 * len(presses)


def test_the_sitting_is_summed_up_by_what_is_different_at_its_end(session):
    for index, what in ((2, "success"), (3, "failure"), (1, "success"), (0, "failure")):
        session.press(index, what)
    session.undo()
    assert session.summary() == "3 of 5 episodes: 2 success, 1 failure (2 were unknown, 1 was failure)"


def test_presses_of_two_people_at_once_are_all_kept(session, store):
    def many(index):
        for what in ("success", "failure", "unknown") * 5:
            session.press(index, what)

    threads = [threading.Thread(target=many, args=(index,)) for index in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(history(store.path))) == 30


def test_a_disk_that_is_full_is_told_and_the_label_is_not_shown(client, store, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("o2o_robot.data.archive.line_log.os.pwrite", refuse)
    answer = label(client, 2, "success")
    assert answer.status_code == 409
    assert "No space left on device" in answer.json()["problem"]
    assert client.get("/api/overview").json()["episodes"][2]["outcome"] == "unknown"
    assert client.get("/api/overview").json()["can_undo"] is False


def picture(data: bytes):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_the_film_shows_every_frame_in_its_cell_and_its_time(client, store):
    told = client.get("/api/episodes/0/film").json()
    sheet = picture(client.get("/api/episodes/0/sheets/0.jpg").content)
    assert (told["cameras"], told["times_s"]) == (["wrist"], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    side, n_columns = told["side_px"], told["n_columns"]
    for t, frame in enumerate(store.read(0).images["wrist"]):
        top, left = t // n_columns * side, t % n_columns * side
        assert abs(sheet[top : top + side, left : left + side] - frame).mean() < 12
    assert picture(client.get("/api/episodes/0/strip.jpg").content).shape[1] == 10 * (side + 2) - 2
    assert told["strip_frames"] == [0, 1, 2, 3, 4, 5]


def test_a_long_episode_of_large_uneven_frames_is_shown_small_from_first_to_last():
    episode = ended(0, "success", n_steps=600)
    frames = np.zeros((601, 60, 400, 3), np.uint8)
    frames[-1] = 255
    shown = film(replace(episode, images={"wide": frames}))
    assert shown is not None
    assert (len(shown.times_s), shown.times_s[-1], shown.side_px) == (MAX_FRAMES, 60.0, MAX_SIDE_PX)
    assert shown.strip_frames[-1] == MAX_FRAMES - 1
    last = picture(shown.sheets["wide"])[-MAX_SIDE_PX:, -MAX_SIDE_PX:]
    assert last[MAX_SIDE_PX // 2].min() > 240
    assert last[0].max() < 10


def test_an_episode_without_a_camera_can_still_be_labelled(client, store):
    index = store.append(replace(ended(9, "failure"), images={}))
    client = testclient.TestClient(
        build_app(Session(store, who="", clock=str, probability={}), TOKEN), headers=WITH_TOKEN
    )
    assert client.get(f"/api/episodes/{index}/film").json() == {"cameras": []}
    assert client.get(f"/api/episodes/{index}/strip.jpg").status_code == 404
    assert label(client, index, "success").status_code == 200


def test_opinions_come_back_as_they_were_written_and_a_foreign_file_is_refused(tmp_path):
    assert read_opinions(tmp_path) == {}
    write_opinions(tmp_path, {"000003": 0.25}, who="c", at="now")
    assert read_opinions(tmp_path) == {"000003": 0.25}
    for text in ("[]", "{}", '{"probability": {"000003": 7}}', '{"probability": {"000003": "many"}}', "{"):
        (tmp_path / "opinions.json").write_text(text)
        with pytest.raises(DataError, match=r"opinions\.json"):
            read_opinions(tmp_path)
