"""One open page: what it is sent, what it may ask, and that the arm is let go when the page is gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from o2o_robot.console.commands import ANYBODY, Answer, Refused
from o2o_robot.console.console import Console
from o2o_robot.console.frames import Picture
from o2o_robot.console.messages import Joy, Leave, Message, Ping, Press, Release, Seen, Take, parse
from o2o_robot.console.rate import Bucket

TELL_EVERY_S, TELL_AT_LEAST_S = 0.05, 0.4  # the page calls the connection lost after a second of silence
PICTURES_PER_S = 25.0
POLL_S = 0.015
ANSWER_WITHIN_S = 5.0
HAND_WITHIN_S = 0.25  # a hand on the arm speaks thirty times a second
FLOOD = 1008  # WebSocket's code for a peer that does not keep to the rules


class Link:
    """await Link(socket, console, client, encoder=pool).run()

    Facts are sent when they change, at most every TELL_EVERY_S, and always within TELL_AT_LEAST_S. Of each camera one
    picture at a time is on its way, and the next is the newest then: a slow page sees fewer pictures, never older ones.
    """

    def __init__(self, socket: WebSocket, console: Console, client: str, *, encoder: ThreadPoolExecutor) -> None:
        self._socket, self._console, self._client, self._encoder = socket, console, client, encoder
        self._presses = Bucket(4.0, 8, console.clock)
        self._joys = Bucket(60.0, 15, console.clock)
        self._words = Bucket(250.0, 120, console.clock)
        self._sending = asyncio.Lock()
        self._in_flight: set[int] = set()
        self._hand_s: float | None = None
        self._asked: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the page is gone, or says too much."""
        self._console.control.came(self._client)
        parts = [asyncio.create_task(_until_gone(part)) for part in self._parts()]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._let_go()
            self._console.control.went(self._client)
            tasks = [*parts, *self._asked]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _parts(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return (self._hear(), self._tell(), self._show(), self._watch_the_hand())

    # --- what the page says --------------------------------------------------------------------------------------
    async def _hear(self) -> None:
        while True:
            try:
                text = await self._socket.receive_text()
            except KeyError:  # bytes, where text is due
                return
            if not self._words.take():
                await self._socket.close(FLOOD, "too many messages")
                return
            try:
                await self._take(parse(text))
            except Refused as problem:
                await self._say({"kind": "problem", "text": str(problem)})

    async def _take(self, message: Message) -> None:
        match message:
            case Press():
                await self._press(message)
            case Joy():
                self._move(message)
            case Seen():
                self._in_flight.discard(message.camera)
            case Ping():
                await self._say({"kind": "pong", "t": message.t, "now": self._console.clock()})
            case Release():
                self._let_go()
            case Take():
                self._console.control.take(self._client, message.name, take_from=message.take_from)
            case Leave():
                self._let_go()
                self._console.control.leave(self._client)

    async def _press(self, press: Press) -> None:
        """E-stop is done before anything else is looked at, whoever presses it and however often."""
        if press.command == "estop":
            answer = self._console.estop(self._who())
            return await self._answer(press, answer)
        self._console.control.require(self._client, press.command)
        if press.command not in ANYBODY and not self._presses.take():
            raise Refused("that was pressed too often; wait a second")
        if press.command == "hold":
            self._let_go()
        task = asyncio.create_task(_until_gone(self._ask(press)))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _ask(self, press: Press) -> None:
        who = self._who()
        answer = await answered(self._console, press, who)
        self._console.note(press.command, who, answer)
        await self._answer(press, answer)

    def _move(self, joy: Joy) -> None:
        self._console.control.require(self._client, "joy")
        self._hand_s = self._console.clock()
        self._console.control.is_driven = True
        if self._joys.take():
            self._console.commands.joy(joy.axes, joy.buttons)

    def _let_go(self) -> None:
        """Said once: whoever drives from here does not any more."""
        if self._hand_s is not None:
            self._hand_s = None
            if self._console.control.has(self._client):
                self._console.control.is_driven = False
            self._console.commands.joy((), ())

    async def _watch_the_hand(self) -> None:
        while True:
            await asyncio.sleep(HAND_WITHIN_S / 5)
            if self._hand_s is not None and self._console.clock() - self._hand_s > HAND_WITHIN_S:
                self._let_go()

    def _who(self) -> str:
        control = self._console.control
        return control.name if control.has(self._client) else "somebody who watches"

    # --- what the page is told -----------------------------------------------------------------------------------
    async def _tell(self) -> None:
        board, told, told_s = self._console.board, None, -1.0
        while True:
            now_s, present = self._console.clock(), (board.version, self._control())
            if told_s < 0 or now_s - told_s > (TELL_EVERY_S if present != told else TELL_AT_LEAST_S):
                told, told_s = present, now_s
                await self._send_text(f'{{"kind":"state","now":{now_s},"control":{told[1]},"board":{board.text()}}}')
            await asyncio.sleep(POLL_S)

    def _control(self) -> str:
        control = self._console.control
        return json.dumps({"name": control.name, "mine": control.has(self._client), "driven": control.is_driven})

    async def _show(self) -> None:
        """Each camera's newest picture, once the page has shown the one before."""
        eyes, sent, due_s = self._console.eyes, dict[int, int](), dict[int, float]()
        while True:
            for i, camera in enumerate(eyes.cameras):
                now_s = self._console.clock()
                if i in self._in_flight or eyes.number(camera) == sent.get(i, 0) or now_s < due_s.get(i, 0.0):
                    continue
                loop = asyncio.get_running_loop()
                if picture := await loop.run_in_executor(self._encoder, eyes.picture, camera):
                    sent[i], due_s[i] = picture.number, now_s + 1.0 / PICTURES_PER_S
                    self._in_flight.add(i)
                    await self._send_picture(i, picture)
            await asyncio.sleep(POLL_S)

    async def _send_picture(self, camera: int, picture: Picture) -> None:
        """Four bytes that say how long the JSON before the JPEG is."""
        head = json.dumps({"camera": camera, "number": picture.number, "at": picture.at_s}).encode()
        async with self._sending:
            await self._socket.send_bytes(len(head).to_bytes(4, "big") + head + picture.jpeg)

    async def _answer(self, press: Press, answer: Answer) -> None:
        told = {"kind": "answer", "id": press.id, "command": press.command, "ok": answer.ok, "text": answer.text}
        await self._say(told)

    async def _say(self, message: dict[str, Any]) -> None:
        await self._send_text(json.dumps(message))

    async def _send_text(self, text: str) -> None:
        async with self._sending:
            await self._socket.send_text(text)


async def _until_gone(part: Coroutine[Any, Any, None]) -> None:
    """The page may go at any moment; RuntimeError is starlette's for a word after its goodbye."""
    try:
        await part
    except (WebSocketDisconnect, RuntimeError):
        return


async def answered(console: Console, press: Press, by: str) -> Answer:
    """What came of a command, or that nothing did in time."""
    try:
        future = console.commands.press(press.command, by=by, episode=press.episode)
        return await asyncio.wait_for(asyncio.wrap_future(future), ANSWER_WITHIN_S)
    except TimeoutError:
        return Answer(False, f"no answer within {ANSWER_WITHIN_S:g} s; look at the node's log")
    except Refused as problem:
        return Answer(False, str(problem))
