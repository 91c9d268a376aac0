"""The tus protocol, version 1.0 (tus.io): uploads that go on after a lost connection. `uploads` describes them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from covos.core.errors import CovosError, UsageError
from covos.serve.desk import Desk
from covos.serve.guard import PROBLEM, problem, problem_of
from covos.serve.uploads import Upload, metadata_from, shown_name

VERSION: Final = "1.0.0"
EXTENSIONS = "creation,expiration,termination"
KIND = "application/offset+octet-stream"
Length = Annotated[int, Header(alias="Upload-Length", ge=0, le=1 << 53, description="Bytes of the whole file.")]
Offset = Annotated[int, Header(alias="Upload-Offset", ge=0, le=1 << 53, description="Bytes that came before.")]
Metadata = Annotated[str, Header(alias="Upload-Metadata", description="`filename`, a space, the name in base 64.")]
Spoken = Annotated[Literal["1.0.0"], Header(alias="Tus-Resumable", description="The version of the protocol.")]
_BODY = {"requestBody": {"required": True, "content": {KIND: {"schema": {"type": "string", "format": "binary"}}}}}


class _Route(APIRoute):
    """A route that speaks this version alone, and says so in every answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            if request.method != "OPTIONS" and request.headers.get("tus-resumable") != VERSION:
                response = problem(
                    412,
                    what="this server speaks another version of tus",
                    why=f"it speaks {VERSION}, as the header Tus-Resumable has to say",
                    fix=f"send Tus-Resumable: {VERSION}",
                )
                response.headers["tus-version"] = VERSION
            else:
                try:
                    response = await handle(request)
                except CovosError as error:
                    response = problem_of(error)
            response.headers["tus-resumable"] = VERSION
            return response

        return answer


def tus_router(desk: Desk) -> APIRouter:
    """Return the part of the API that takes files in parts."""
    told: dict[int | str, dict[str, Any]] = {
        412: {"description": "It speaks another version of tus.", "content": PROBLEM}
    }
    router = APIRouter(prefix="/api/uploads", route_class=_Route, default_response_class=Response, responses=told)

    @router.options("", status_code=204)
    def able() -> Response:
        """Tell what this server can take."""
        told = {"tus-version": VERSION, "tus-extension": EXTENSIONS, "tus-max-size": str(desk.rules.upload)}
        return Response(status_code=204, headers=told)

    @router.post("", status_code=201)
    def begin(length: Length, spoken: Spoken, metadata: Metadata = "") -> Response:
        """Begin an upload: its address is in the header Location."""
        said = metadata_from(metadata)
        name = shown_name(said.get("filename") or said.get("name") or "")
        with desk.quota.room(length):
            upload = desk.uploads.begin(name=name, length=length, metadata=metadata)
        return Response(status_code=201, headers={"location": f"/api/uploads/{upload.id}", **_times(upload)})

    @router.head("/{upload}")
    def look(upload: str, spoken: Spoken) -> Response:
        """Tell how much has come, in the header Upload-Offset."""
        found = desk.uploads.get(upload)
        told = {"upload-offset": str(found.offset), "upload-length": str(found.length), "cache-control": "no-store"}
        return Response(
            headers={**told, **({"upload-metadata": found.metadata} if found.metadata else {}), **_times(found)}
        )

    @router.patch("/{upload}", status_code=204, openapi_extra=_BODY)
    async def add(upload: str, request: Request, offset: Offset, spoken: Spoken) -> Response:
        """Add bytes where the last ended. The bytes stay, even if the connection breaks."""
        if request.headers.get("content-type") != KIND:
            return problem(415, what="this is no part of a file", why="the body is of another kind", fix=f"send {KIND}")
        found = await run_in_threadpool(desk.uploads.get, upload)
        try:
            there = await desk.uploads.write(found, offset=offset, parts=request.stream())
        except ClientDisconnect:
            return Response(status_code=204)  # nobody hears it
        times = await run_in_threadpool(_times, found)
        return Response(status_code=204, headers={"upload-offset": str(there), **times})

    @router.delete("/{upload}", status_code=204)
    def delete(upload: str, spoken: Spoken) -> Response:
        """Delete an upload."""
        desk.uploads.delete(desk.uploads.get(upload))
        return Response(status_code=204)

    @router.post("/{upload}", include_in_schema=False)
    async def other(upload: str, request: Request) -> Response:
        """Do what the header X-HTTP-Method-Override says, for clients that know no other methods."""
        method = request.headers.get("x-http-method-override", "").upper()
        if method == "PATCH":
            given = request.headers.get("upload-offset", "")
            if not given.isdecimal():
                raise UsageError("the offset is missing", why="Upload-Offset is no number", fix="send it")
            return await add(upload, request, int(given), VERSION)
        if method in {"HEAD", "DELETE"}:
            return await run_in_threadpool(look if method == "HEAD" else delete, upload, VERSION)
        refused = problem(
            405, what="Method Not Allowed", why="uploads take other methods", fix="use HEAD, PATCH or DELETE"
        )
        refused.headers["allow"] = "HEAD, PATCH, DELETE"
        return refused

    return router


def _times(upload: Upload) -> dict[str, str]:
    return {"upload-expires": formatdate(upload.expires, usegmt=True)}
