"""How the face finder is trained: every number of pictures and steps, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from fer_engine.errors import ConfigError

FEWEST = 8  # pictures, views or steps of a trial


@dataclass(frozen=True, slots=True)
class Amounts:
    """Pictures and steps of each stage; sizes are in pixels."""

    small_pictures: int = 30_000  # of 160x160 in each round: most of the faces are small in them
    large_pictures: int = 6_000  # of 288x288, for faces that fill a picture
    small_faces: tuple[float, float] = (9.0, 168.0)
    large_faces: tuple[float, float] = (24.0, 300.0)
    large_share: float = 0.25  # of the batches
    first_steps: int = 5_000  # of the detector
    second_steps: int = 6_000
    false_views: int = 3_000  # views of backgrounds, searched for what the first detector takes for faces
    false_share: float = 0.15  # of the batches of the second round
    verifier_pictures: float = 0.7  # share of the second round's pictures that give the verifier crops
    verifier_faces: int = 20_000  # faces of FER2013 that it is shown as they are
    verifier_views: int = 9_000  # views of backgrounds
    verifier_steps: int = 4_000
    hard_steps: int = 5_000  # of a second round, with what the first took for faces
    hard_views: int = 9_000
    seed: int = 0

    def scaled(self, scale: float) -> Amounts:
        """Return so many times the pictures, views and steps, for a trial.

        Raises:
            ConfigError: `scale` is not above 0.
        """
        if not scale > 0:
            raise ConfigError(f"scale must be above 0, got {scale}; 1 is the whole run, 0.01 a trial")
        counts = {
            entry.name: max(FEWEST, round(getattr(self, entry.name) * scale))
            for entry in fields(self)
            if entry.type == "int" and entry.name != "seed"
        }
        return replace(self, **counts)
