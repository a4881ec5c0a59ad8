"""Models: the devices that a register of the pretend city may name."""

from __future__ import annotations

from workbench.pretend.sourced import ASSUMED, Sourced

MODELS = Sourced(
    {
        "CT": (("TOSHIBA", "Aquilion 64", 5), ("Canon Medical Systems", "Aquilion Prime SP", 3),
               ("SIEMENS", "SOMATOM Definition AS", 3), ("SIEMENS", "SOMATOM go.Top", 2),
               ("GE MEDICAL SYSTEMS", "Optima CT660", 3), ("Philips", "Ingenuity CT", 2)),
        "MR": (("SIEMENS", "MAGNETOM Aera", 3), ("GE MEDICAL SYSTEMS", "Optima MR450w", 3),
               ("Philips", "Ingenia", 2), ("TOSHIBA", "Vantage Titan", 2)),
        "MG": (("HOLOGIC, Inc.", "Selenia Dimensions", 4), ("SIEMENS", "MAMMOMAT Inspiration", 2),
               ("GE MEDICAL SYSTEMS", "Senographe Pristina", 2),
               ("FUJIFILM Corporation", "AMULET Innovality", 2)),
        "DX": (("Philips", "DigitalDiagnost", 3), ("SIEMENS", "Ysio Max", 2),
               ("GE MEDICAL SYSTEMS", "Discovery XR656", 2), ("Samsung Electronics", "GC85A", 1)),
        "CR": (("FUJIFILM Corporation", "FCR Capsula", 2), ("Carestream Health", "DirectView", 1),
               ("AGFA", "DX-M", 1)),
        "RF": (("SIEMENS", "Luminos dRF Max", 1), ("Philips", "CombiDiagnost R90", 1)),
        "XA": (("Philips", "Azurion 7", 2), ("SIEMENS", "Artis zee", 1),
               ("GE MEDICAL SYSTEMS", "Innova IGS 5", 1)),
        "US": (("GE MEDICAL SYSTEMS", "LOGIQ E9", 2), ("Samsung Medison", "HS60", 1),
               ("MINDRAY", "Resona 7", 1)),
        "PX": (("Planmeca", "ProMax", 1), ("Sirona", "Orthophos SL", 1)),
        "NM": (("SIEMENS", "Symbia T6", 1), ("GE MEDICAL SYSTEMS", "Discovery NM 630", 1)),
        "PT": (("SIEMENS", "Biograph mCT", 1), ("GE MEDICAL SYSTEMS", "Discovery MI", 1)),
        "BMD": (("HOLOGIC, Inc.", "Horizon W", 1), ("GE MEDICAL SYSTEMS", "Lunar iDXA", 1)),
        "RG": (("MTL", "Film unit", 1), ("ELECTRON", "Film unit", 1)),
    },
    "manufacturer, model, parts of the devices of the modality",
    f"{ASSUMED}; the names are those of real devices",
)  # fmt: skip
