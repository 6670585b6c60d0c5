"""Answers that a test gives to the page in place of the server's."""

from __future__ import annotations

import json

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def face(box, label="happy", score=None):
    """Give a face at `box`: left, top, width, height."""
    shares = {name: 0.7 if name == label else 0.05 for name in LABELS}
    known = {"box": list(box), "label": label, "probabilities": shares}
    return known if score is None else {**known, "score": score}


def answer(size, faces):
    """Give the server's answer to an image of `size`, width and height."""
    return {
        "width": size[0],
        "height": size[1],
        "labels": list(LABELS),
        "faces": faces,
        "milliseconds": {"decode": 1.0, "detect": 2.0, "classify": 3.0, "total": 6.0},
        "model": {"name": "m", "precision": "fp32", "backend": "null", "device": "cpu"},
    }


def give(tab, *answers):
    """Answer the requests of a tab with these, one after another; the last one stays."""
    left = list(answers)

    def fulfill(route):
        now = left.pop(0) if len(left) > 1 else left[0]
        route.fulfill(content_type="application/json", body=json.dumps(now))

    tab.route("**/predict", fulfill)


def refuse(tab, status, body, content_type="application/json"):
    """Answer the requests of a tab with an error."""
    tab.route("**/predict", lambda route: route.fulfill(status=status, body=body, content_type=content_type))
