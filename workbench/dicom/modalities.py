"""Modalities: the codes that DICOM knows, so that a count by modality can hold nothing else."""

from __future__ import annotations

import polars as pl

MODALITIES = (
    *("ANN", "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CFM", "CR", "CT", "CTPROTOCOL", "DG", "DMS"),
    *("DOC", "DX", "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO", "IOL"),
    *("IVOCT", "IVUS", "KER", "KO", "LEN", "LS", "M3D", "MG", "MR", "NM", "OAM", "OCT", "OP"),
    *("OPM", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN", "POS", "PR", "PT", "PX"),
    *("REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD", "RTRECORD"),
    *("RTSEGANN", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "STAIN", "TEXTUREMAP", "TG"),
    *("US", "VA", "XA", "XAPROTOCOL", "XC"),
    *("AS", "CD", "CF", "CP", "CS", "DD", "DF", "DM", "DS", "EC", "FA", "FS", "LP", "MA", "MS"),
    *("OPR", "ST", "VF"),
)
"""All modalities, of images and of other objects, those that are retired last (DICOM PS3.3,
C.7.3.1.1.1)."""
NOT_STATED, OTHER = "", "other"
"""What is counted where no modality is stated, and where it is none of `MODALITIES`."""


def count_modalities(modality: pl.Series) -> dict[str, int]:
    """Return how often each modality occurs, the most frequent first.

    A text that is no code of DICOM counts as `OTHER`: it can be anything, a name too.

    Parameters
    ----------
    modality
        Values as they are stored.

    Examples
    --------
    >>> count_modalities(pl.Series(["CT", "MR", "CT", "Ivanova", None], dtype=pl.String))
    {'CT': 2, 'MR': 1, 'other': 1, '': 1}
    """
    known = pl.Series([*MODALITIES, NOT_STATED])
    stated = modality.fill_null(NOT_STATED)
    counted = stated.set(~stated.is_in(known.implode()), OTHER).value_counts(sort=True).rows()
    place = {name: number for number, name in enumerate((*MODALITIES, OTHER, NOT_STATED))}
    return dict(sorted(counted, key=lambda row: (-row[1], place[row[0]])))
