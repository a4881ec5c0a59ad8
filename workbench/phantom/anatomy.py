"""Anatomy: how large a pretend patient is at an age, and what the tissues measure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workbench.errors import UsageError
from workbench.pretend.sourced import ASSUMED, Sourced

HEIGHTS = Sourced(
    {"M": ((0, 51), (1, 76), (5, 109), (10, 138), (15, 167), (18, 176)),
     "F": ((0, 51), (1, 76), (5, 109), (10, 138), (15, 161), (18, 163))},
    "cm at an age in years",
    "ICRP Publication 89 (2002), reference values; adult at 18 assumed",
)  # fmt: skip
MASSES = Sourced(
    {"M": ((0, 3.5), (1, 10), (5, 19), (10, 32), (15, 56), (18, 73)),
     "F": ((0, 3.5), (1, 10), (5, 19), (10, 32), (15, 53), (18, 60))},
    "kg at an age in years",
    "ICRP Publication 89 (2002), reference values; adult at 18 assumed",
)  # fmt: skip
MASS_SPREAD = Sourced((0.08, 0.16), "spread of the logarithm: child, adult", ASSUMED)
HEIGHT_SPREAD = Sourced(0.035, "spread of the logarithm", ASSUMED)
CHEST = Sourced(
    428.0,
    "mm of effective diameter for 1 kg per cm, under the root",
    f"{ASSUMED}: a cylinder of the body's mass; 11 cm at birth and 28 cm in men",
)
ASPECT = Sourced(
    ((0, 0.86), (2, 0.80), (8, 0.74), (18, 0.69)),
    "depth over width of the chest at an age in years",
    f"{ASSUMED}: the chest of an infant is round",
)
LUNG_LENGTH = Sourced(
    ((0, 0.128), (5, 0.134), (18, 0.136)), "base to apex over height at an age in years", ASSUMED
)
FAT = Sourced((3.0, 11.0), "mm of fat below the skin: at birth, adult of 70 kg", ASSUMED)
WALL = Sourced(
    (0.062, 0.070), "muscle and ribs over the half of width and of depth, less fat", ASSUMED
)
LUNG_HU = Sourced(
    ((0, -640), (2, -700), (6, -760), (12, -810), (18, -850), (80, -870)),
    "HU of the lung at an age in years, in inspiration",
    f"{ASSUMED}: lungs of small children are denser, those of old people less dense",
)
GRAVITY = Sourced(45.0, "HU from the front of the lung to its back", ASSUMED)
TISSUES = Sourced(
    {"air": -1000, "fat": -100, "muscle": 55, "skin": 10, "blood": 42, "liver": 58, "spleen": 50,
     "kidney": 32, "stomach": 20, "marrow": 190, "cortex": 650, "disc": 85, "cartilage": 110,
     "cord": 28, "gland": 25, "airway_wall": 10, "shell": -120, "foam": -930, "mattress": -900},
    "HU",
    f"{ASSUMED}, of the order that textbooks of computed tomography give at 120 kV",
)  # fmt: skip
CHILD_BONE = Sourced(0.6, "HU of bone at birth over that of an adult", ASSUMED)
ENHANCED = Sourced(
    {"blood": 170.0, "liver": 45.0, "spleen": 60.0, "kidney": 140.0, "muscle": 8.0},
    "HU added by contrast medium, some 30 s after it is given",
    ASSUMED,
)


@dataclass(frozen=True)
class Subject:
    """Describe a pretend patient: all lengths of the phantom follow from these.

    Parameters
    ----------
    age_years : float
        Age, 0 to 100.
    sex : str
        "F" or "M".
    height_cm, mass_kg : float
        Of the body.
    width_mm, depth_mm : float
        Of the chest, skin to skin.
    lung_mm : float
        From the lowest point of the lungs to the apex.
    fat_mm : float
        Below the skin.
    lung_hu : float
        Mean of the lung in inspiration.
    shape : int
        Decides the vessels, and the small differences between two people of one size.
    """

    age_years: float
    sex: str
    height_cm: float
    mass_kg: float
    width_mm: float
    depth_mm: float
    lung_mm: float
    fat_mm: float
    lung_hu: float
    shape: int = 0

    @property
    def scale(self) -> float:
        """Size over that of a reference man; what vessels and bones are scaled by."""
        return self.width_mm / 332.0

    @property
    def growth(self) -> float:
        """Part of growing up that is done, 0 at birth and 1 in adults."""
        return float(np.clip(self.age_years / 18, 0, 1))

    def grown(self, years: float) -> Subject:
        """Return the same person after some years; only the age changes."""
        return replace(self, age_years=self.age_years + years)


def make_subject(
    age_years: float, sex: str, stream: np.random.Generator | None = None, *, shape: int = 0
) -> Subject:
    """Return a person of an age: of reference size, or with the spread of a population.

    Parameters
    ----------
    age_years
        0 to 100.
    sex
        "F" or "M".
    stream
        Random numbers; None for the reference person.
    shape
        Decides what differs between two people of one size.

    Raises
    ------
    UsageError
        If there is no such age or sex.

    Examples
    --------
    >>> man, newborn = make_subject(40, "M"), make_subject(0, "F")
    >>> round(man.width_mm), round(man.depth_mm), round(man.lung_mm)
    (332, 229, 239)
    >>> round(newborn.width_mm), round(newborn.lung_mm)
    (121, 65)
    """
    if sex not in HEIGHTS.value or not 0 <= age_years <= 100:
        raise UsageError(
            "No such person can be made", where="age and sex", todo='Name 0 to 100 and "F" or "M"'
        )
    deviations = np.zeros(3) if stream is None else stream.standard_normal(3).clip(-2.5, 2.5)
    child = age_years < 18
    height = at_age(HEIGHTS.value[sex], age_years) * np.exp(HEIGHT_SPREAD.value * deviations[0])
    spread = MASS_SPREAD.value[0 if child else 1]
    mass = at_age(MASSES.value[sex], age_years) * np.exp(spread * deviations[1])
    mass *= np.exp(2 * HEIGHT_SPREAD.value * deviations[0])
    diameter = CHEST.value * np.sqrt(mass / height)
    aspect = at_age(ASPECT.value, age_years) * (1 + 0.03 * deviations[2])
    fat = np.interp(mass, (3.5, 70.0), FAT.value) * (1.25 if sex == "F" and not child else 1.0)
    return Subject(
        age_years=float(age_years),
        sex=sex,
        height_cm=float(height),
        mass_kg=float(mass),
        width_mm=float(diameter / np.sqrt(aspect)),
        depth_mm=float(diameter * np.sqrt(aspect)),
        lung_mm=float(10 * height * at_age(LUNG_LENGTH.value, age_years)),
        fat_mm=float(fat),
        lung_hu=at_age(LUNG_HU.value, age_years),
        shape=shape,
    )


def at_age(points: tuple[tuple[float, float], ...], age_years: float) -> float:
    """Return what lies between two ages, straight, and the last value beyond the last age.

    Examples
    --------
    >>> at_age(((0, 10.0), (10, 20.0)), 5), at_age(((0, 10.0), (10, 20.0)), 60)
    (15.0, 20.0)
    """
    ages, values = zip(*points, strict=True)
    return float(np.interp(age_years, ages, values))
