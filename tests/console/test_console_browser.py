"""The page in a real browser, with a robot that is none: what a hand, a finger, a key and a lost connection do."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("fastapi", reason="needs fastapi")

from console_browser import WAIT_MS, Pages, chromium, shows, take_control, told_times
from console_examples import TOKEN, a_console, a_picture, a_run

from o2o_robot.console.serve import Serving
from o2o_robot.console.server import build_app
from o2o_robot.safety.reason import Reason
from o2o_robot.web.listening import address, listen

TOUCH_PX = 48


class Stage:
    """A console that is served and fed ten times a second; `with` again after `stop`: it comes back at its place."""

    def __init__(self) -> None:
        self.console = a_console()
        self.state, self.reasons = "RUN", Reason(0)
        self._port = 0
        self._over = threading.Event()

    def __enter__(self) -> Stage:
        self.feeds = True
        threading.Thread(target=self._feed, daemon=True).start()
        self.serve()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.stop()

    def serve(self) -> None:
        at = listen("127.0.0.1", self._port, or_any=True)
        self._port, self.address = at.getsockname()[1], address(at, TOKEN)
        self._serving = Serving(build_app(self.console, TOKEN), at)
        self._serving.__enter__()

    def stop(self) -> None:
        self._serving.__exit__()

    def _feed(self) -> None:
        while not self._over.wait(0.1):
            if self.feeds:
                a_run(self.console, state=self.state, reasons=self.reasons)
                for camera in self.console.eyes.cameras:
                    self.console.eyes.see(camera, a_picture(), time.monotonic())


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def stage():
    with Stage() as found:
        yield found


@pytest.fixture
def pages(browser, stage):
    found = Pages(browser, lambda: stage.address)
    yield found
    found.close()
    assert found.problems == []


def until(condition, what):
    deadline_s = time.monotonic() + WAIT_MS / 1e3
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.02)  # another thread's doing, which nothing tells of


SIZES = "[...document.querySelectorAll('button, input')].filter((e) => e.checkVisibility()).map((e) => [e.textContent, "
SIZES += "e.getBoundingClientRect().width, e.getBoundingClientRect().height])"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1024, 768), (768, 1024)])
def test_everything_is_large_enough_for_a_finger_and_nothing_runs_out_of_the_screen(pages, width, height):
    page = pages.open(width=width, height=height)
    take_control(page, "kim")
    small = [one for one in page.evaluate(SIZES) if min(one[1:]) < TOUCH_PX - 0.5]
    assert small == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for command in ("estop", "hold", "success", "end"):
        box = page.locator(f"button[data-command={command}]").bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height


def test_every_command_is_reached_by_tab_alone_and_has_a_name(pages):
    page = pages.open()
    take_control(page, "kim")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.command || document.activeElement.id"))
    enabled = page.evaluate(
        "[...document.querySelectorAll('button[data-command]:enabled')].map((b) => b.dataset.command)"
    )
    assert set(enabled) <= reached
    assert "over" in reached


@pytest.mark.parametrize("focus", ["#name", "button[data-command=hold]", "#ask", "body"])
def test_space_stops_the_arm_wherever_the_focus_is_and_presses_nothing_else(pages, stage, focus):
    page = pages.open()
    page.evaluate(f"document.querySelector('{focus}').focus()")
    page.keyboard.press("Space")
    robot = stage.console.commands
    until(lambda: robot.stops == 2, "by socket and by http")
    assert robot.pressed == []


def test_a_latched_guard_is_told_across_the_page_and_an_estop_that_nobody_heeds_too(pages, stage):
    page = pages.open()
    page.locator("#estop").click()
    shows(page, "#said", "Press the red button at the robot")  # the guard stays in RUN
    stage.state, stage.reasons = "LATCHED", Reason.ESTOP | Reason.LATCHED
    page.wait_for_selector("#latched:not([hidden])")
    shows(page, "#latched", "press Reset guard, then Arm")


def test_keys_press_what_they_say_and_nothing_in_a_text_field(pages, stage):
    page = pages.open()
    page.focus("#name")
    page.keyboard.type("shsfdp")
    assert stage.console.commands.pressed == []
    take_control(page, "kim")
    for key in ("s", "f", "d", "p", "r", "e", "h", "Shift+A", "Shift+R", "n"):
        page.keyboard.press(key)
    wanted = ["success", "failure", "discard", "pause", "resume", "end", "hold", "arm", "reset"]
    until(lambda: len(stage.console.commands.pressed) == len(wanted), stage.console.commands.pressed)
    assert sorted(one[0] for one in stage.console.commands.pressed) == sorted(wanted)  # reset done: no node for it
    assert {one[2] for one in stage.console.commands.pressed[:3]} == {"online-000070"}


def test_a_command_without_a_service_is_off_and_says_why(pages):
    page = pages.open()
    take_control(page, "kim")
    button = page.locator("button[data-command=reset_done]")
    assert button.is_disabled()
    assert "reset_node does not run" in button.get_attribute("title")


def held(stage):
    return [axes for axes, _ in stage.console.commands.joys if axes]


@pytest.mark.parametrize("away", ["keyup", "blur", "hidden", "estop"])
def test_the_arm_is_driven_while_t_is_held_and_let_go_by_whatever_takes_the_page_away(pages, stage, away):
    page = pages.open()
    take_control(page, "kim")
    page.keyboard.down("t")
    page.keyboard.down("w")
    page.keyboard.down("d")
    until(lambda: held(stage) and held(stage)[-1][:2] == (1, -1), "driven forward and to the right")
    assert page.locator("#hand").is_visible()
    hide = "Object.defineProperty(document, 'hidden', { value: true });"
    hide += "document.dispatchEvent(new Event('visibilitychange'))"
    if away == "keyup":
        page.keyboard.up("t")
    elif away == "estop":
        page.keyboard.press("Space")
    else:
        page.evaluate("window.dispatchEvent(new Event('blur'))" if away == "blur" else hide)
    until(lambda: stage.console.commands.joys[-1][0] == (), "let go")
    n = len(stage.console.commands.joys)
    page.wait_for_timeout(400)
    assert len(stage.console.commands.joys) == n


def test_a_finger_on_the_pad_drives_and_its_lifting_lets_go(pages, stage):
    page = pages.open(width=1024, height=768)
    take_control(page, "kim")
    page.click("#over")
    box = page.locator("#plane").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - box["height"] * 0.4)
    until(lambda: held(stage) and held(stage)[-1][0] > 0.7, "forward")
    page.mouse.up()
    until(lambda: stage.console.commands.joys[-1][0] == (), "let go")


def test_a_gamepad_drives_while_a_shoulder_button_is_held(pages, stage):
    page = pages.open()
    take_control(page, "kim")
    press = "navigator.getGamepads = () => [{ connected: true, mapping: 'standard', axes: [0.5, -1, 0, 0.25], buttons: "
    press += "Array.from({ length: 16 }, (_, i) => ({ pressed: i === %d })) }]"
    page.evaluate(press % 9)
    page.wait_for_timeout(200)
    assert held(stage) == []
    page.evaluate(press % 5)
    until(lambda: held(stage), "driven")
    assert held(stage)[-1] == (1, -0.5, -0.25, 0, 0, 0)
    page.evaluate(press % 9)
    until(lambda: stage.console.commands.joys[-1][0] == (), "let go")


def test_a_lost_server_is_told_within_a_second_and_the_page_comes_back_by_itself(pages, stage):
    page = pages.open()
    take_control(page, "kim")
    stage.stop()
    began_s = time.monotonic()
    page.wait_for_selector("#lost", state="visible")
    print(f"\nlost connection shown after {time.monotonic() - began_s:.2f} s (the server's own end counts in)")
    assert page.locator("button[data-command]:enabled").count() == 0
    assert "red button" in page.inner_text("#estop")
    assert page.inner_text("#phase") == "Not connected"
    shows(page, "#guard-state", "not known")
    stage.serve()
    page.wait_for_selector("#lost", state="hidden")
    assert page.locator("#estop").is_enabled()


def test_a_socket_that_is_open_and_silent_counts_as_lost(pages):
    page = pages.open(
        first="WebSocket = class extends WebSocket { constructor(...a) { super(...a); window.last = this; } };"
    )
    page.evaluate("last.onmessage = null")
    page.wait_for_selector("#lost", state="visible")
    assert page.evaluate("last.readyState") == 1


def test_what_is_not_told_again_goes_old_by_itself_and_is_never_still_running(pages, stage):
    page = pages.open()
    shows(page, "#phase", "online-000070")
    stage.feeds = False
    shows(page, "#phase", "No word from the session")
    page.wait_for_selector("#guard.stale")
    page.wait_for_selector("figure.stale")
    assert "last word" in page.inner_text("#guard h2")
    shows(page, "#guard-state", "not known")
    stage.feeds = True
    shows(page, "#phase", "online-000070")
    page.wait_for_selector("#guard:not(.stale)")


def test_of_two_people_one_has_control_the_other_sees_it_and_may_stop(pages, stage):
    kim, lee = pages.open(), pages.open()
    take_control(kim, "kim")
    shows(lee, "#holder", "kim has control")
    assert lee.locator("button[data-command=arm]").is_disabled()
    assert lee.locator("button[data-command=hold]").is_enabled()
    lee.locator("#estop").click()
    until(lambda: stage.console.commands.stops, "anybody stops")
    take_control(lee, "lee")
    shows(kim, "#holder", "lee has control")
    assert kim.locator("button[data-command=arm]").is_disabled()


def test_a_reload_keeps_control_and_shows_the_run_again(pages):
    page = pages.open()
    take_control(page, "kim")
    page.reload()
    page.wait_for_selector(".who.has")
    shows(page, "#phase", "online-000070")


def test_pictures_and_answers_are_quick_on_one_machine(pages):
    page = pages.open()
    take_control(page, "kim")
    for _ in range(8):
        page.keyboard.press("h")
        page.wait_for_timeout(150)
    page.wait_for_function("consoleTimes.picture_ms.length > 20 && consoleTimes.button_ms.length >= 5")
    print(f"\nby the page's own clock, medians: {told_times(page)}")
