"""Expressions in the loop of a camera, or of a video file: python camera_loop.py [CAMERA or VIDEO]."""

import contextlib
import sys
from pathlib import Path

from fer_engine import Engine
from fer_engine.shipped import shipped_artifact
from fer_engine.vision.video.pipeline import Pipeline
from fer_engine.vision.video.source import frames


def main(source: str = "0") -> None:
    is_camera = source.isdecimal()
    with Engine.load(shipped_artifact()) as engine:
        # Detection is the dear part: two frames in three follow the faces that the third one found. With
        # live=True frames are left out, rather than shown late, where the camera is quicker than this.
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
    main(*sys.argv[1:])
