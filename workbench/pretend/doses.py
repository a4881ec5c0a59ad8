"""Doses: what an exam's dose is on its device, for its protocol, and for who is examined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.pretend.protocols import (
    AGD,
    CT_DOSE,
    DAP,
    FLUOROSCOPY,
    REFERENCE_POINT,
    ProtocolTable,
)
from workbench.pretend.sourced import ASSUMED, RP185, Sourced

SIZE = Sourced((75.0, 0.016), "kg of a typical adult; growth of the dose a kg", RP185)
HEAVIEST = Sourced(105.0, "kg above which the dose grows no more: the tube's limit", ASSUMED)
EXTREME = Sourced(2.5, "largest deviation, in standard deviations", ASSUMED)
HEAD_SIZE = Sourced(0.004, "growth of the dose of the head a kg", ASSUMED)
WITHIN = Sourced(
    {"ctdivol": 0.25, "length": 0.10, "agd": 0.22, "dap": 0.40, "fluoroscopy": 0.5},
    "standard deviation of the logarithm between exams of one protocol on one device",
    ASSUMED,
)
CHILD_LENGTH = Sourced((0.35, 18), "scan length at birth over that of an adult; age, years",
                       ASSUMED)  # fmt: skip
CHILD_KVP = Sourced((15, 0.8), "age, years, below which the tube voltage is this share", ASSUMED)
MISSING_DOSE = Sourced(0.015, "share of the exams without a dose", ASSUMED)
_HEADS = ("CT_HEAD", "CT_SINUSES")

Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Doses:
    """Hold the doses of exams; NaN is missing.

    Parameters
    ----------
    kvp_kv, phantom_cm, ctdivol_mgy, dlp_mgy_cm, agd_mgy, dap_gy_cm2, dose_rp_mgy, fluoro_time_s
        As their names say, (n,) float32.
    """

    kvp_kv: Numbers
    phantom_cm: Numbers
    ctdivol_mgy: Numbers
    dlp_mgy_cm: Numbers
    agd_mgy: Numbers
    dap_gy_cm2: Numbers
    dose_rp_mgy: Numbers
    fluoro_time_s: Numbers


class DoseTable:
    """Draw doses.

    Parameters
    ----------
    protocols
        The protocols.
    """

    def __init__(self, protocols: ProtocolTable) -> None:
        levels = CT_DOSE.value
        names = [p.name for p in protocols.protocols]
        self.kvp = np.array([p.kvp for p in protocols.protocols], np.float32)
        self.phantom = protocols.numbers({n: 16.0 if n in _HEADS else 32.0 for n in levels})
        self.ctdivol = np.log(protocols.numbers({n: v for n, (v, _) in levels.items()}))
        self.length = protocols.numbers({n: dlp / v for n, (v, dlp) in levels.items()})
        self.agd = np.log(protocols.numbers(AGD.value))
        self.dap = np.log(protocols.numbers(DAP.value))
        self.fluoroscopy = np.log(protocols.numbers(FLUOROSCOPY.value))
        self.slope = np.array([0 if n in AGD.value else HEAD_SIZE.value if n in _HEADS
                               else SIZE.value[1] for n in names], np.float32)  # fmt: skip
        short, grown = CHILD_LENGTH.value
        ages = np.arange(150)
        self.child = (short + (1 - short) * np.minimum(ages / grown, 1)).astype(np.float32)
        child, share = CHILD_KVP.value
        self.child_kvp = np.where(ages < child, share, 1).astype(np.float32)

    def draw(
        self,
        slices: dict[str, slice],
        protocol: npt.NDArray[np.intp],
        device: Numbers,
        weight: Numbers,
        age: Numbers,
        *,
        normal: npt.NDArray[np.float32],
        missing: npt.NDArray[np.bool_],
    ) -> Doses:
        """Return the doses of exams that lie together by modality.

        Parameters
        ----------
        slices
            Rows of each modality.
        protocol : (n,)
            Number of the protocol.
        device : (n,)
            Logarithm of the typical dose of the device over the reference level.
        weight, age : (n,)
            kg and years.
        normal : (2, n)
            Random numbers.
        missing : (n,)
            Where the device sent no dose.
        """
        found = np.full((7, len(protocol)), np.nan, np.float32)
        phantom, ctdivol, dlp, agd, dap, point, fluoroscopy = found
        years = age.astype(np.intp)
        kvp = self.kvp[protocol] * self.child_kvp[years]
        within = WITHIN.value
        for modality, rows in slices.items():
            if modality not in ("CT", "MG", "DX", "CR", "RF", "XA", "PX"):
                continue
            p = protocol[rows]
            first, second = np.clip(normal[:, rows], -EXTREME.value, EXTREME.value)
            heavier = np.minimum(weight[rows], HEAVIEST.value) - np.float32(SIZE.value[0])
            level = device[rows] + self.slope[p] * heavier
            if modality == "CT":
                phantom[rows] = self.phantom[p]
                level += self.ctdivol[p] + first * np.float32(within["ctdivol"])
                ctdivol[rows] = np.round(np.exp(level), 2)
                longer = 1 + second * np.float32(within["length"])
                product = ctdivol[rows] * self.length[p] * self.child[years[rows]] * longer
                dlp[rows] = np.round(product, 1)
            elif modality == "MG":
                level += self.agd[p] + first * np.float32(within["agd"])
                agd[rows] = np.round(np.exp(level), 2)
            else:
                level += self.dap[p] + first * np.float32(within["dap"])
                dap[rows] = np.round(np.exp(level), 4)
                if modality in ("RF", "XA"):
                    spread = second * np.float32(within["fluoroscopy"])
                    fluoroscopy[rows] = np.rint(np.exp(self.fluoroscopy[p] + spread))
                if modality == "XA":
                    point[rows] = np.rint(dap[rows] * np.float32(REFERENCE_POINT.value))
        found[1:, missing] = np.nan
        phantom[missing] = np.nan
        return Doses(kvp, phantom, ctdivol, dlp, agd, dap, point, fluoroscopy)
