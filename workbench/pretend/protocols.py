"""Protocols: what is done on each modality, how long it takes, and its typical dose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from workbench.pretend.service import MODALITIES
from workbench.pretend.sourced import ASSUMED, NDRL, Sourced


@dataclass(frozen=True)
class Protocol:
    """Describe one protocol.

    Parameters
    ----------
    name, modality, body_part, text
        As they stand in the exam; `body_part` is DICOM's Body Part Examined.
    share
        Parts of the exams of the modality.
    minutes
        Median time in the room, min.
    images
        Median number of images.
    kvp
        Tube voltage for adults, kV; NaN without a tube.
    code
        SNOMED CT code of the body part (DICOM PS3.16, Annex L).
    rads
        Reporting and data system that its report should use, or "".
    """

    name: str
    modality: str
    body_part: str
    text: str
    share: float
    minutes: float
    images: float
    kvp: float
    code: str
    rads: str = ""


_NO = float("nan")
PROTOCOLS = Sourced(
    (
        Protocol("CT_HEAD", "CT", "HEAD", "CT head", 24, 8, 180, 120, "69536005"),
        Protocol("CT_SINUSES", "CT", "HEAD", "CT paranasal sinuses", 5, 7, 150, 100, "2095001"),
        Protocol("CT_CSPINE", "CT", "CSPINE", "CT cervical spine", 4, 8, 250, 120, "122494005"),
        Protocol("CT_CHEST", "CT", "CHEST", "CT chest", 34, 8, 350, 120, "51185008", "Lung-RADS"),
        Protocol("CT_HRCT", "CT", "CHEST", "CT chest, high resolution", 5, 9, 500, 120, "51185008"),
        Protocol("CT_CTPA", "CT", "CHEST", "CT pulmonary angiography", 4, 14, 600, 100, "51185008"),
        Protocol("CT_CAP", "CT", "CHESTABDPELVIS", "CT chest, abdomen and pelvis", 8, 18, 900, 120,
                 "416775004"),
        Protocol("CT_ABDPELVIS", "CT", "ABDOMENPELVIS", "CT abdomen and pelvis", 13, 16, 700, 120,
                 "818982008"),
        Protocol("CT_KUB", "CT", "KIDNEY", "CT kidneys, ureters, bladder", 3, 8, 400, 120,
                 "64033007"),
        Protocol("MR_BRAIN", "MR", "BRAIN", "MR brain", 42, 21, 300, _NO, "12738006"),
        Protocol("MR_LSPINE", "MR", "LSPINE", "MR lumbar spine", 28, 18, 120, _NO, "122496007"),
        Protocol("MR_KNEE", "MR", "KNEE", "MR knee", 16, 20, 150, _NO, "72696002"),
        Protocol("MR_ABDOMEN", "MR", "ABDOMEN", "MR abdomen", 9, 30, 500, _NO, "818981001"),
        Protocol("MR_PROSTATE", "MR", "PROSTATE", "MR prostate", 5, 28, 450, _NO, "41216001",
                 "PI-RADS"),
        Protocol("MG_SCREENING", "MG", "BREAST", "Mammography, screening", 70, 7, 4, 28,
                 "76752008", "BI-RADS"),
        Protocol("MG_DIAGNOSTIC", "MG", "BREAST", "Mammography, diagnostic", 30, 11, 6, 29,
                 "76752008", "BI-RADS"),
        Protocol("DX_CHEST", "DX", "CHEST", "Chest radiograph", 52, 4, 1, 120, "51185008"),
        Protocol("DX_LSPINE", "DX", "LSPINE", "Lumbar spine radiograph", 9, 7, 2, 80, "122496007"),
        Protocol("DX_PELVIS", "DX", "PELVIS", "Pelvis radiograph", 6, 5, 1, 75, "816092008"),
        Protocol("DX_KNEE", "DX", "KNEE", "Knee radiograph", 13, 5, 2, 62, "72696002"),
        Protocol("DX_HAND", "DX", "HAND", "Hand radiograph", 11, 4, 2, 55, "85562004"),
        Protocol("DX_ABDOMEN", "DX", "ABDOMEN", "Abdomen radiograph", 9, 5, 1, 80, "818981001"),
        Protocol("RF_SWALLOW", "RF", "ESOPHAGUS", "Barium swallow", 60, 16, 40, 95, "32849002"),
        Protocol("RF_COLON", "RF", "COLON", "Barium enema", 40, 28, 60, 95, "71854001"),
        Protocol("XA_CORONARY", "XA", "HEART", "Coronary angiography", 70, 38, 900, 80,
                 "80891009"),
        Protocol("XA_PCI", "XA", "HEART", "Percutaneous coronary intervention", 30, 62, 1600, 80,
                 "80891009"),
        Protocol("US_ABDOMEN", "US", "ABDOMEN", "Ultrasound abdomen", 50, 13, 20, _NO,
                 "818981001"),
        Protocol("US_THYROID", "US", "THYROID", "Ultrasound thyroid", 25, 9, 10, _NO, "69748006"),
        Protocol("US_BREAST", "US", "BREAST", "Ultrasound breast", 25, 12, 14, _NO, "76752008",
                 "BI-RADS"),
        Protocol("PX_JAW", "PX", "JAW", "Panoramic radiograph", 100, 5, 1, 70, "661005"),
        Protocol("NM_BONE", "NM", "WHOLEBODY", "Bone scintigraphy", 100, 32, 4, _NO, "38266002"),
        Protocol("PT_BODY", "PT", "WHOLEBODY", "PET/CT whole body", 100, 34, 900, _NO, "38266002"),
        Protocol("BMD_SPINE", "BMD", "LSPINE", "Bone densitometry", 100, 11, 2, _NO, "122496007"),
    ),
    "1, parts, min, images, kV",
    f"{ASSUMED}; body parts DICOM PS3.16 Annex L",
)  # fmt: skip
SPREAD = Sourced(0.30, "standard deviation of the logarithm of the minutes", ASSUMED)
CHANGEOVER = Sourced(
    {"CT": 3, "MR": 6, "MG": 3, "DX": 1.5, "CR": 1.5, "RF": 5, "XA": 12, "US": 2.5, "PX": 2,
     "NM": 5, "PT": 6, "BMD": 3},
    "min between two exams at least",
    ASSUMED,
)  # fmt: skip
CT_DOSE = Sourced(
    {"CT_HEAD": (47, 790), "CT_SINUSES": (12, 160), "CT_CSPINE": (16, 400), "CT_CHEST": (8.5, 290),
     "CT_HRCT": (8, 300), "CT_CTPA": (9.1, 310), "CT_CAP": (10, 660), "CT_ABDPELVIS": (10, 530),
     "CT_KUB": (6.3, 290)},
    "mGy, mGy·cm: reference level of CTDIvol and DLP",
    f"{NDRL}; CTDIvol of chest, abdomen and pelvis is assumed to be that of abdomen and pelvis",
)  # fmt: skip
DAP = Sourced(
    {"DX_CHEST": 0.1, "DX_LSPINE": 4.0, "DX_PELVIS": 2.2, "DX_KNEE": 0.06, "DX_HAND": 0.02,
     "DX_ABDOMEN": 2.5, "RF_SWALLOW": 7.5, "RF_COLON": 21, "XA_CORONARY": 31, "XA_PCI": 40,
     "PX_JAW": 0.09},
    "Gy·cm²: third quartile of the facilities",
    "assumed, of the order of HPA-CRCE-034, doses from radiographic and fluoroscopic imaging in "
    "the UK, 2010 review",
)  # fmt: skip
AGD = Sourced(
    {"MG_SCREENING": 2.8, "MG_DIAGNOSTIC": 3.4},
    "mGy: third quartile of the facilities, one breast, all views",
    ASSUMED,
)
FLUOROSCOPY = Sourced(
    {"RF_SWALLOW": 130, "RF_COLON": 160, "XA_CORONARY": 260, "XA_PCI": 680}, "s, median", ASSUMED
)
REFERENCE_POINT = Sourced(15.0, "mGy at the reference point for 1 Gy·cm²", ASSUMED)
MEGABYTES = Sourced(
    {"CT": 0.53, "MR": 0.3, "MG": 27, "DX": 12, "CR": 10, "RF": 2, "XA": 1, "US": 0.9, "PX": 7,
     "NM": 0.5, "PT": 0.3, "BMD": 0.6},
    "MB an image",
    "uncompressed matrix of an image: 512² × 2 bytes for CT; the others assumed",
)  # fmt: skip


@dataclass(frozen=True)
class ProtocolTable:
    """Hold the protocols as arrays, one entry a protocol."""

    protocols: tuple[Protocol, ...] = field(default=PROTOCOLS.value, repr=False)

    def numbers(self, values: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Return a figure by protocol; NaN where there is none."""
        return np.array([values.get(p.name, np.nan) for p in self.protocols], np.float32)

    @cached_property
    def number(self) -> dict[str, int]:
        """Return the position of each protocol by its name."""
        return {p.name: i for i, p in enumerate(self.protocols)}

    @cached_property
    def minutes(self) -> npt.NDArray[np.float32]:
        """Median time in the room, min."""
        return np.array([p.minutes for p in self.protocols], np.float32)

    @cached_property
    def images(self) -> npt.NDArray[np.float32]:
        """Median number of images."""
        return np.array([p.images for p in self.protocols], np.float32)

    @cached_property
    def megabytes(self) -> npt.NDArray[np.float32]:
        """Size of an image, MB."""
        return np.array([MEGABYTES.value[p.modality] for p in self.protocols], np.float32)

    @cached_property
    def choice(self) -> npt.NDArray[np.uint8]:
        """Return 4,096 protocols for each modality, as often as their shares say."""
        found = np.zeros((len(MODALITIES), 4096), np.uint8)
        for row, modality in enumerate(MODALITIES):
            wanted = "DX" if modality == "CR" else modality
            held = [i for i, p in enumerate(self.protocols) if p.modality == wanted]
            shares = np.array([self.protocols[i].share for i in held], float)
            ends = np.round(np.cumsum(shares) / shares.sum() * 4096).astype(int)
            found[row] = np.repeat(held, np.diff(ends, prepend=0))
        return found
