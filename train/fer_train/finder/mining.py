"""What a detector finds in composites and where no face is: examples for its next round and the verifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from fer_engine.vision.finder.verify import verifier_crop
from fer_engine.vision.resize import resize
from fer_engine.vision.suppress import suppress
from fer_train.finder.composites import FACE, IGNORED, Composites
from fer_train.finder.verifier_training import Crops
from fer_train.models.face_detector import STRIDES, FaceDetector, decode, grid
from fer_train.models.face_verifier import SIDE, FaceVerifier

CANDIDATE = 0.1  # lowest score of a find
OVERLAP = 0.35  # intersection over union from which on two finds are of one face
MOST = 60  # finds of a picture before suppression
SAME, NEAR = 0.45, 0.25  # intersection over union with a face: a find of it; too close to be of none
TOUCHING = 0.3  # share of a find that a face which may be found covers
BATCH = 24
LONGEST_SIDES = (224, 320, 448)  # pixels to which a picture is shrunk for the verifier's examples
WIDER = (256, 384, 512, 704)  # and for the detector's
AROUND = 160  # pixels of a picture around a false find
Boxes = NDArray[np.float32]
Gray = NDArray[np.uint8]


def find(detector: FaceDetector, pictures: Gray) -> list[tuple[Boxes, NDArray[np.float32]]]:
    """Return boxes, float32 [m, 4], and scores, float32 [m], best first, of each gray picture of [n, h, w].

    Sides must be multiples of 32.
    """
    anchors = grid(*pictures.shape[1:])
    inputs = ((torch.from_numpy(pictures).float()[:, None] - 128) / 64).contiguous(
        memory_format=torch.channels_last
    )
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        raw = detector.raw(inputs).float()
    centres, sizes = decode(raw, anchors)
    boxes = torch.cat([centres - sizes / 2, sizes], 2).numpy()
    scores = torch.sigmoid(raw[..., 0]).numpy()
    found = []
    for own, score in zip(boxes, scores, strict=True):
        best = np.flatnonzero(score > CANDIDATE)
        best = best[np.argsort(-score[best])[:MOST]]
        kept = best[suppress(own[best], score[best], OVERLAP)]
        found.append((own[kept], score[kept]))
    return found


def crops_of_composites(
    detector: FaceDetector, pools: Sequence[Composites], rng: np.random.Generator, most: int = 10
) -> Crops:
    """Return up to `most` finds of the detector in each composite, and half of the faces themselves."""
    images, faces = [], []
    for pool in pools:
        for start in range(0, len(pool.images), BATCH):
            pictures = pool.images[start : start + BATCH]
            rows = zip(pictures, pool.boxes[start : start + BATCH], find(detector, pictures), strict=True)
            for picture, boxes, (found, _) in rows:
                for box, is_face in _judged(found[:most], boxes):
                    images.append(verifier_crop(picture, box))
                    faces.append(is_face)
                for box in _moved(boxes[boxes[:, 4] == FACE], rng):
                    images.append(verifier_crop(picture, box))
                    faces.append(True)
    return Crops(np.array(images), np.array(faces))


def crops_without_faces(
    detector: FaceDetector,
    pictures: Sequence[Gray],
    views: int,
    rng: np.random.Generator,
    most: int = 30,
) -> Gray:
    """Return what the detector finds in `views` views of pictures without faces, uint8 [n, 40, 40]."""
    crops = []
    for view in _views(pictures, views, rng):
        side = int(rng.choice(LONGEST_SIDES))
        boxes, _ = _find_shrunk(detector, view, side)
        crops += [verifier_crop(view, box) for box in boxes[:most]]
    return np.array(crops).reshape(-1, SIDE, SIDE)


def false_finds(
    detector: FaceDetector,
    pictures: Sequence[Gray],
    views: int,
    rng: np.random.Generator,
    most: int = 4,
) -> Gray:
    """Return the surroundings of the detector's best finds in pictures without faces, uint8 [n, 160, 160]."""
    cuts = []
    for view in _views(pictures, views, rng):
        scale = min(1.0, int(rng.choice(WIDER)) / max(view.shape))
        shrunk = _padded(_scaled(view, scale), AROUND)
        boxes, _ = _find_shrunk(detector, shrunk, max(shrunk.shape))
        for left, top, width, height in boxes[:most]:
            moved = rng.integers(-AROUND // 4, AROUND // 4, 2)
            x, y = (
                int(left + width / 2) - AROUND // 2 + moved[0],
                int(top + height / 2) - AROUND // 2 + moved[1],
            )
            x, y = max(0, min(x, shrunk.shape[1] - AROUND)), max(0, min(y, shrunk.shape[0] - AROUND))
            cuts.append(shrunk[y : y + AROUND, x : x + AROUND])
    return np.array(cuts).reshape(-1, AROUND, AROUND)


def hardest(verifier: FaceVerifier, crops: Gray, least: float) -> Gray:
    """Return those of crops, uint8 [n, 40, 40], whose logit of a face is above that of another by `least`."""
    kept = []
    for start in range(0, len(crops), 512):
        part = crops[start : start + 512]
        with torch.no_grad():
            logits = verifier((torch.from_numpy(part).float()[:, None] - 128) / 64)
        kept.append(part[((logits[:, 1] - logits[:, 0]) > least).numpy()])
    return np.concatenate(kept) if kept else crops


def _judged(found: Boxes, boxes: Boxes) -> Iterator[tuple[Boxes, bool]]:
    """Yield each find with whether it is a face; finds that are neither clearly are left out."""
    real = boxes[boxes[:, 4] >= IGNORED]
    for box in found:
        if not len(real):
            yield box, False
            continue
        low = np.maximum(box[:2], real[:, :2])
        high = np.minimum(box[:2] + box[2:], real[:, 2:4])
        shared = np.prod((high - low).clip(0), axis=1)
        areas = np.prod(real[:, 2:4] - real[:, :2], axis=1)
        own = float(box[2] * box[3])
        overlap = shared / (own + areas - shared)
        best = int(overlap.argmax())
        if overlap[best] > SAME and real[best, 4] == FACE:
            yield box, True
        elif overlap[best] <= NEAR and (shared[real[:, 4] == IGNORED] / own).max(initial=0) <= TOUCHING:
            yield box, False


def _moved(faces: Boxes, rng: np.random.Generator) -> Iterator[Boxes]:
    """Yield half of the faces, left, top, width, height, a little beside their places, as finds are."""
    for left, top, right, bottom, _ in faces:
        if rng.random() < 0.5:
            width, height, scale = right - left, bottom - top, np.exp(rng.normal() * 0.12)
            x = (left + right) / 2 + rng.normal() * 0.06 * width
            y = (top + bottom) / 2 + rng.normal() * 0.06 * height
            sides = np.array([width, height]) * scale
            yield np.array([*(np.array([x, y]) - sides / 2), *sides], np.float32)


def _views(pictures: Sequence[Gray], count: int, rng: np.random.Generator) -> Iterator[Gray]:
    for _ in range(count):
        picture = pictures[int(rng.integers(len(pictures)))]
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
        if rng.random() < 0.25:
            picture = np.rot90(picture, rng.choice([1, 2, 3]))
        yield np.ascontiguousarray(picture)


def _find_shrunk(
    detector: FaceDetector, picture: Gray, longest_side: int
) -> tuple[Boxes, NDArray[np.float32]]:
    """Find faces in a picture of any size, shrunk to a longest side; the boxes are in its own pixels."""
    scale = min(1.0, longest_side / max(picture.shape))
    shrunk = _scaled(picture, scale)
    boxes, scores = find(detector, _padded(shrunk, STRIDES[-1])[None])[0]
    height, width = shrunk.shape
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    inside = (centres < [width, height]).all(1) & (centres > 0).all(1)
    return boxes[inside] / np.float32(scale), scores[inside]


def _scaled(picture: Gray, scale: float) -> Gray:
    height, width = (max(1, round(side * scale)) for side in picture.shape)
    return resize(picture, height, width)


def _padded(picture: Gray, least: int) -> Gray:
    """Return a picture whose sides are multiples of 32 and at least `least`, filled with its mean."""
    stride = STRIDES[-1]
    height, width = (max(least, -(-side // stride) * stride) for side in picture.shape)
    padded = np.full((height, width), round(float(picture.mean())), np.uint8)
    padded[: picture.shape[0], : picture.shape[1]] = picture
    return padded
