"""Print the expressions in front of a camera, or in a video file: python camera_loop.py [CAMERA or VIDEO]."""

import contextlib
import sys
from pathlib import Path

from fer_engine import Engine, FerError
from fer_engine.vision import Pipeline, frames


def main(source: str = "0") -> None:
    is_camera = source.isdecimal()
    with Engine.load("fer_tiny") as engine:
        # Detection takes the most time, so two frames in three follow the faces of the third one. With
        # live=True frames are dropped instead of delayed where the camera is faster than the pipeline.
        pipeline = Pipeline(engine, every=3, smoothing=0.6, live=is_camera)
        analyses = pipeline.run(frames(int(source) if is_camera else Path(source)))
        with contextlib.closing(analyses), contextlib.suppress(KeyboardInterrupt):
            for analysis in analyses:
                for face in analysis.faces:
                    share = face.probabilities.max()
                    print(
                        f"{analysis.frame.time_ms / 1000:7.2f} s  face {face.track}: {face.label} {share:.0%}"
                    )


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except FerError as error:  # such as a camera that is not there
        sys.exit(f"error: {error}")
