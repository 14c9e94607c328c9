"""What a page may say over its socket. Anything else is refused: unknown words, other types, numbers out of range."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from o2o_robot.console.commands import Command, Refused

MAX_BYTES = 2048

Name = Annotated[str, Field(min_length=1, max_length=24, pattern=r"^[\w.-]+$")]
Axis = Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]
Button = Annotated[int, Field(ge=0, le=1)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Press(_Message):
    """A button. id: the page's own, comes back in the answer. episode: the one shown, which a label is for."""

    kind: Literal["press"]
    id: Annotated[int, Field(ge=0, le=2**53)]
    command: Command
    episode: Annotated[str, Field(max_length=128, pattern=r"^[\w.-]*$")] = ""


class Take(_Message):
    """Control, wanted. take_from: who is known to have it."""

    kind: Literal["take"]
    name: Name
    take_from: Annotated[str, Field(max_length=24)] = ""


class Leave(_Message):
    kind: Literal["leave"]


class Joy(_Message):
    """A hand on the arm: x forward, y left, z up, then the rotations about them. Button 0: the gripper."""

    kind: Literal["joy"]
    axes: Annotated[list[Axis], Field(min_length=6, max_length=6)]
    buttons: Annotated[list[Button], Field(max_length=8)] = []


class Release(_Message):
    kind: Literal["release"]


class Seen(_Message):
    """This picture is on the screen: the next may come."""

    kind: Literal["seen"]
    camera: Annotated[int, Field(ge=0, le=63)]


class Ping(_Message):
    """t: the page's clock, which comes back beside ours."""

    kind: Literal["ping"]
    t: Annotated[float, Field(allow_inf_nan=False)]


Message = Press | Take | Leave | Joy | Release | Seen | Ping
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def parse(text: str) -> Message:
    """Raises Refused, in one line, for what is no message of ours."""
    if len(text) > MAX_BYTES:
        raise Refused(f"a message of {len(text)} characters; at most {MAX_BYTES} are read")
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][:4]) or "message"
        raise Refused(f"{where[:60]}: {first['msg'][:120]}; reload the page") from None
