"""The console's server: who may look, who may press, and that the arm is let go whatever becomes of the page."""

from __future__ import annotations

import json
import time

import pytest
from console_examples import TOKEN, a_console, a_picture, a_run

pytest.importorskip("fastapi", reason="needs fastapi")
testclient = pytest.importorskip("fastapi.testclient", reason="needs httpx")

from starlette.websockets import WebSocketDisconnect  # noqa: E402

from o2o_robot.console.commands import COMMANDS  # noqa: E402
from o2o_robot.console.messages import MAX_BYTES  # noqa: E402
from o2o_robot.console.server import MAX_BODY_BYTES, MAX_PAGES, build_app  # noqa: E402

KIM, LEE = "k" * 32, "l" * 32
PATHS = ("/", "/page.js", "/wire.js", "/page.css", "/api/state", "/nothing", "/docs", "/openapi.json")
TEN_S = 10.0


@pytest.fixture
def console():
    console = a_console()
    a_run(console)
    return console


@pytest.fixture
def client(console):
    return testclient.TestClient(build_app(console, TOKEN))


def open_page(client, who=KIM, token=TOKEN, **headers):
    return client.websocket_connect(f"/ws?token={token}&client={who}", headers=headers)


def hear(page, kind, condition=lambda message: True):
    """The next message of a kind; pictures are passed over, shown as a page would."""
    deadline_s = time.monotonic() + TEN_S
    while time.monotonic() < deadline_s:
        got = page.receive()
        if got.get("type") == "websocket.close":
            raise WebSocketDisconnect(got["code"])
        if (text := got.get("text")) and (message := json.loads(text))["kind"] == kind and condition(message):
            return message
    raise AssertionError(f"no {kind} within {TEN_S} s")


def take_control(page, name, take_from=""):
    page.send_json({"kind": "take", "name": name, "take_from": take_from})
    return hear(page, "state", lambda told: told["control"]["mine"])


def press(page, command, **more):
    page.send_json({"kind": "press", "id": 1, "command": command, **more})


@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=right-tokenx", "?token=right"])
def test_without_the_token_nothing_is_told_not_even_what_exists(client, token):
    assert {client.get(path + token).status_code for path in PATHS} == {403}
    assert client.post("/api/estop" + token).status_code == 403


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1]])
def test_no_socket_opens_without_the_token(client, token):
    with pytest.raises(WebSocketDisconnect), open_page(client, token=token):
        pass


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://testserver.evil.example"])
def test_no_socket_and_no_stop_from_another_site_even_with_the_token(client, console, origin):
    with pytest.raises(WebSocketDisconnect), open_page(client, origin=origin):
        pass
    assert client.post(f"/api/estop?token={TOKEN}", headers={"Origin": origin}).status_code == 403
    assert console.commands.stops == 0


def test_the_page_itself_is_let_in(client):
    with open_page(client, origin="http://testserver") as page:
        assert hear(page, "state")["board"]["guard"]["state"] == "RUN"


@pytest.mark.parametrize("who", ["", "short", "x" * 65, "k" * 20 + "/.."])
def test_a_page_without_an_id_of_its_own_is_refused(client, who):
    with pytest.raises(WebSocketDisconnect), open_page(client, who):
        pass


def test_the_page_forbids_itself_what_it_does_not_need_and_no_file_but_its_own_is_served(client):
    page = client.get(f"/?token={TOKEN}")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "access-control-allow-origin" not in page.headers
    for name in ("server.py", "..%2fserver.py", "%2e%2e/board.py"):
        assert client.get(f"/{name}?token={TOKEN}").status_code == 404


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 10 * MAX_BODY_BYTES])
def test_a_body_too_large_is_refused(client, size):
    assert client.post(f"/api/hold?token={TOKEN}", content=b"x" * size).status_code == 413


@pytest.mark.parametrize("command", [one for one in COMMANDS if one not in ("estop", "hold")])
def test_who_has_no_control_moves_nothing_and_is_told_why(client, console, command):
    with open_page(client) as page:
        press(page, command)
        assert "take control first" in hear(page, "problem")["text"]
    assert console.commands.pressed == []


def test_estop_and_hold_are_anybodys_over_the_socket_and_over_http(client, console):
    with open_page(client) as kim, open_page(client, LEE) as lee:
        take_control(kim, "kim")
        press(lee, "estop")
        assert hear(lee, "answer")["ok"]
        press(lee, "hold")
        assert hear(lee, "answer")["ok"]
    assert client.post(f"/api/estop?token={TOKEN}").json() == {"ok": True, "text": "e-stop sent"}
    assert client.post(f"/api/hold?token={TOKEN}").status_code == 200
    assert console.commands.stops == 2
    assert [one[0] for one in console.commands.pressed] == ["hold", "hold"]


def test_an_estop_waits_for_no_answer_of_another_command(client, console):
    console.commands.silent = True
    with open_page(client) as page:
        take_control(page, "kim")
        press(page, "arm")  # answered never
        press(page, "estop")
        assert hear(page, "answer")["command"] == "estop"
    assert console.commands.stops == 1


def test_an_estop_is_never_pressed_too_often(client, console):
    with open_page(client) as page:
        take_control(page, "kim")
        for _ in range(30):
            press(page, "estop")
        press(page, "pause")
        hear(page, "answer", lambda told: told["command"] == "pause")
    assert console.commands.stops == 30


def test_other_buttons_are_refused_when_pressed_too_often(client, console):
    with open_page(client) as page:
        take_control(page, "kim")
        for _ in range(20):
            press(page, "pause")
        assert "too often" in hear(page, "problem")["text"]
    assert len(console.commands.pressed) < 15


def test_a_label_carries_who_gave_it_and_the_episode_that_was_shown(client, console):
    with open_page(client) as page:
        take_control(page, "kim")
        press(page, "success", episode="online-000070")
        assert hear(page, "answer")["text"] == "success done"
        told = hear(page, "state", lambda told: "presses" in told["board"])["board"]["presses"]["latest"][0]
    assert console.commands.pressed == [("success", "kim", "online-000070")]
    assert (told["by"], told["command"], told["ok"]) == ("kim", "success", True)


def test_what_the_robot_refuses_is_told_in_its_words(client, console):
    console.commands.refuses["arm"] = "guard is LATCHED; reset first"
    with open_page(client) as page:
        take_control(page, "kim")
        press(page, "arm")
        answer = hear(page, "answer")
    assert (answer["ok"], answer["text"]) == (False, "guard is LATCHED; reset first")


WRONG = [
    "",
    "[]",
    "nonsense",
    '{"kind":"fly"}',
    '{"kind":"press","id":1,"command":"explode"}',
    '{"kind":"press","id":1,"command":"arm","extra":1}',
    '{"kind":"press","id":"1","command":"arm"}',
    '{"kind":"press","id":1,"command":"success","episode":"../../etc"}',
    '{"kind":"joy","axes":[2,0,0,0,0,0]}',
    '{"kind":"joy","axes":[NaN,0,0,0,0,0]}',
    '{"kind":"joy","axes":[0,0,0]}',
    '{"kind":"joy","axes":[1e999,0,0,0,0,0]}',
    '{"kind":"take","name":"<b>kim</b>"}',
    '{"kind":"take","name":""}',
    '{"kind":"press","id":1,"command":"' + "a" * MAX_BYTES + '"}',
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_message_is_refused_in_one_line_and_does_nothing(client, console, text):
    with open_page(client) as page:
        take_control(page, "kim")
        page.send_text(text)
        line = hear(page, "problem")["text"]
        press(page, "pause")  # the page lives on
        assert hear(page, "answer")["ok"]
    assert "\n" not in line
    assert len(line) < 250
    assert (console.commands.joys, [one[0] for one in console.commands.pressed]) == ([], ["pause"])


def test_who_floods_is_thrown_out(client):
    with open_page(client) as page:
        for _ in range(1000):
            page.send_text("{}")
        with pytest.raises(WebSocketDisconnect) as closed:
            hear(page, "an end")
    assert closed.value.code == 1008


def test_more_pages_than_there_is_room_for_are_refused(client):
    pages = [open_page(client, f"{i:032d}") for i in range(MAX_PAGES)]
    try:
        for page in pages:
            page.__enter__()
        with pytest.raises(WebSocketDisconnect), open_page(client):
            pass
    finally:
        for page in pages:
            page.__exit__(None, None, None)


# --- control ---------------------------------------------------------------------------------------------------------
def test_one_has_control_the_other_sees_who_and_takes_it_only_openly(client):
    with open_page(client) as kim, open_page(client, LEE) as lee:
        take_control(kim, "kim")
        assert hear(lee, "state", lambda told: told["control"]["name"])["control"] == {
            "name": "kim",
            "mine": False,
            "driven": False,
        }
        lee.send_json({"kind": "take", "name": "lee"})
        assert "kim has control" in hear(lee, "problem")["text"]
        take_control(lee, "lee", take_from="kim")
        assert not hear(kim, "state", lambda told: told["control"]["name"] == "lee")["control"]["mine"]


def test_control_is_not_taken_from_a_hand_that_moves_the_arm(client):
    with open_page(client) as kim, open_page(client, LEE) as lee:
        take_control(kim, "kim")
        kim.send_json({"kind": "joy", "axes": [1, 0, 0, 0, 0, 0]})
        hear(lee, "state", lambda told: told["control"]["driven"])
        lee.send_json({"kind": "take", "name": "lee", "take_from": "kim"})
        assert "kim is moving the arm" in hear(lee, "problem")["text"]


def test_a_page_that_reloads_finds_its_control_again(client):
    with open_page(client) as page:
        take_control(page, "kim")
    with open_page(client) as page:
        assert hear(page, "state")["control"] == {"name": "kim", "mine": True, "driven": False}


# --- the hand on the arm ---------------------------------------------------------------------------------------------
def let_go(console):
    """How often the hand was let go, once it was; the server does it in its own time."""
    deadline_s = time.monotonic() + TEN_S
    while not any(axes == () for axes, _ in console.commands.joys):
        assert time.monotonic() < deadline_s, "the arm was never let go"
    return sum(axes == () for axes, _ in console.commands.joys)


def drive(page):
    page.send_json({"kind": "joy", "axes": [0.5, 0, 0, 0, 0, -1], "buttons": [1]})
    hear(page, "state", lambda told: told["control"]["driven"])


def test_a_hand_that_falls_silent_lets_go_by_itself_exactly_once(client, console):
    with open_page(client) as page:
        take_control(page, "kim")
        drive(page)
        hear(page, "state", lambda told: not told["control"]["driven"])
        assert console.commands.joys[0] == ((0.5, 0, 0, 0, 0, -1), (1,))
        assert let_go(console) == 1


def test_a_page_that_goes_away_lets_go(client, console):
    with open_page(client) as page:
        take_control(page, "kim")
        drive(page)
    assert let_go(console) == 1


@pytest.mark.parametrize(
    "last", [{"kind": "release"}, {"kind": "leave"}, {"kind": "press", "id": 2, "command": "hold"}]
)
def test_release_leave_and_hold_let_go_at_once(client, console, last):
    with open_page(client) as page:
        take_control(page, "kim")
        drive(page)
        page.send_json(last)
        hear(page, "state", lambda told: not told["control"]["driven"])
        assert let_go(console) == 1


def test_hold_lets_go_before_it_is_asked_for(client, console):
    with open_page(client) as page:
        take_control(page, "kim")
        drive(page)
        press(page, "hold")
        hear(page, "answer")
    assert console.commands.order[-2:] == ["let go", "press hold"]


def test_nobody_drives_without_control(client, console):
    with open_page(client) as page:
        page.send_json({"kind": "joy", "axes": [1, 0, 0, 0, 0, 0]})
        assert "take control first" in hear(page, "problem")["text"]
    assert console.commands.joys == []


# --- pictures and ages -----------------------------------------------------------------------------------------------
def next_picture(page):
    while (got := page.receive()).get("bytes") is None:
        pass
    n = int.from_bytes(got["bytes"][:4], "big")
    return json.loads(got["bytes"][4 : 4 + n]), got["bytes"][4 + n :]


def test_of_many_pictures_a_slow_page_gets_the_newest_and_never_an_older_one(client, console):
    eyes = console.eyes
    eyes.see("wrist", a_picture(), 1.0)
    with open_page(client) as page:
        head, jpeg = next_picture(page)
        assert (head["number"], head["at"], jpeg[:2]) == (1, 1.0, b"\xff\xd8")
        for i in range(2, 60):
            eyes.see("wrist", a_picture(), float(i))
        for _ in range(3):  # more than one told state later there is still none: the first was not shown yet
            assert json.loads(page.receive_text())["kind"] == "state"
        page.send_json({"kind": "seen", "camera": 0})
        assert next_picture(page)[0]["number"] == 59


def test_the_page_hears_something_at_least_twice_a_second_though_nothing_changes(client):
    with open_page(client) as page:
        began_s = time.monotonic()
        told = [hear(page, "state")["now"] for _ in range(4)]
        assert told == sorted(told)
        assert time.monotonic() - began_s < TEN_S


def test_every_group_says_when_it_was_heard(client, console):
    groups = client.get(f"/api/state?token={TOKEN}").json()["board"]
    assert all(0 < facts["at"] <= console.clock() for facts in groups.values())
