"""Expressions with FastAPI: uvicorn fastapi_app:app; curl -F image=@me.jpg localhost:8000/expressions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, File, HTTPException, Request

from fer_engine import Engine, FerError
from fer_engine.vision import FaceFinder, find_expressions, read_image


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    with Engine.load("fer_tiny") as engine:
        app.state.engine, app.state.detector = engine, FaceFinder()
        yield


app = FastAPI(title="Expressions", lifespan=lifespan)


# Not async: FastAPI runs it in its thread pool, and several threads may use the engine and the detector.
@app.post("/expressions")
def expressions(request: Request, image: Annotated[bytes, File()]) -> list[dict[str, Any]]:
    engine, detector = request.app.state.engine, request.app.state.detector
    try:
        faces = find_expressions(engine, read_image(image, name="the upload"), detector)
    except FerError as error:
        raise HTTPException(400, str(error)) from error
    return [face.as_json(engine.spec.labels) for face in faces]
