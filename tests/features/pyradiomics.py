"""Names that PyRadiomics gives to features of the IBSI.

Its first-order kurtosis is not in excess; its maximum 2D diameters, total energy and maximal
correlation coefficient are not the IBSI's.
"""

FIRST_ORDER = {
    "InterquartileRange": "stat_iqr", "Skewness": "stat_skew", "Uniformity": "ih_uniformity",
    "Median": "stat_median", "RobustMeanAbsoluteDeviation": "stat_rmad",
    "MeanAbsoluteDeviation": "stat_mad", "Maximum": "stat_max", "90Percentile": "stat_p90",
    "Minimum": "stat_min", "Entropy": "ih_entropy", "Range": "stat_range",
    "Variance": "stat_var", "10Percentile": "stat_p10", "Mean": "stat_mean",
    "Kurtosis": "stat_kurt", "Energy": "stat_energy", "RootMeanSquared": "stat_rms",
}  # fmt: skip
GLCM = {
    "JointAverage": "joint_avg", "SumAverage": "sum_avg", "JointEntropy": "joint_entr",
    "ClusterShade": "clust_shade", "MaximumProbability": "joint_max",
    "Idmn": "inv_diff_mom_norm", "JointEnergy": "energy", "Contrast": "contrast",
    "DifferenceEntropy": "diff_entr", "InverseVariance": "inv_var",
    "DifferenceVariance": "diff_var", "Idn": "inv_diff_norm", "Idm": "inv_diff_mom",
    "Correlation": "corr", "Autocorrelation": "auto_corr", "SumEntropy": "sum_entr",
    "SumSquares": "joint_var", "ClusterProminence": "clust_prom", "Imc1": "info_corr1",
    "Imc2": "info_corr2", "DifferenceAverage": "diff_avg", "Id": "inv_diff",
    "ClusterTendency": "clust_tend",
}  # fmt: skip
GLDM = {
    "GrayLevelVariance": "gl_var", "HighGrayLevelEmphasis": "hgce",
    "DependenceEntropy": "dc_entr", "DependenceNonUniformity": "dcnu",
    "GrayLevelNonUniformity": "glnu", "SmallDependenceEmphasis": "lde",
    "SmallDependenceHighGrayLevelEmphasis": "ldhge",
    "DependenceNonUniformityNormalized": "dcnu_norm", "LargeDependenceEmphasis": "hde",
    "LargeDependenceLowGrayLevelEmphasis": "hdlge", "DependenceVariance": "dc_var",
    "LargeDependenceHighGrayLevelEmphasis": "hdhge",
    "SmallDependenceLowGrayLevelEmphasis": "ldlge", "LowGrayLevelEmphasis": "lgce",
}  # fmt: skip
GLRLM = {
    "ShortRunLowGrayLevelEmphasis": "srlge", "GrayLevelVariance": "gl_var",
    "LowGrayLevelRunEmphasis": "lgre", "GrayLevelNonUniformityNormalized": "glnu_norm",
    "RunVariance": "rl_var", "GrayLevelNonUniformity": "glnu", "LongRunEmphasis": "lre",
    "ShortRunHighGrayLevelEmphasis": "srhge", "RunLengthNonUniformity": "rlnu",
    "ShortRunEmphasis": "sre", "LongRunHighGrayLevelEmphasis": "lrhge",
    "RunPercentage": "r_perc", "LongRunLowGrayLevelEmphasis": "lrlge", "RunEntropy": "rl_entr",
    "HighGrayLevelRunEmphasis": "hgre", "RunLengthNonUniformityNormalized": "rlnu_norm",
}  # fmt: skip
GLSZM = {
    "GrayLevelVariance": "gl_var", "ZoneVariance": "zs_var",
    "GrayLevelNonUniformityNormalized": "glnu_norm",
    "SizeZoneNonUniformityNormalized": "zsnu_norm", "SizeZoneNonUniformity": "zsnu",
    "GrayLevelNonUniformity": "glnu", "LargeAreaEmphasis": "lze",
    "SmallAreaHighGrayLevelEmphasis": "szhge", "ZonePercentage": "z_perc",
    "LargeAreaLowGrayLevelEmphasis": "lzlge", "LargeAreaHighGrayLevelEmphasis": "lzhge",
    "HighGrayLevelZoneEmphasis": "hgze", "SmallAreaEmphasis": "sze",
    "LowGrayLevelZoneEmphasis": "lgze", "ZoneEntropy": "zs_entr",
    "SmallAreaLowGrayLevelEmphasis": "szlge",
}  # fmt: skip
NGTDM = {name.capitalize(): name for name in
         ("coarseness", "complexity", "strength", "contrast", "busyness")}  # fmt: skip
EXACT = {f"firstorder_{theirs}": ours for theirs, ours in FIRST_ORDER.items()}
for family, prefix, names, suffix in (
    ("glcm", "cm", GLCM, "_3D_avg"),
    ("gldm", "ngl", GLDM, "_3D"),
    ("glrlm", "rlm", GLRLM, "_3D_avg"),
    ("glszm", "szm", GLSZM, "_3D"),
    ("ngtdm", "ngt", NGTDM, "_3D"),
):
    EXACT |= {f"{family}_{theirs}": f"{prefix}_{ours}{suffix}" for theirs, ours in names.items()}
EXACT |= {
    "shape_Maximum3DDiameter": "morph_diam", "shape_Elongation": "morph_pca_elongation",
    "shape_Flatness": "morph_pca_flatness", "shape_VoxelVolume": "morph_vol_approx",
}  # fmt: skip
SHAPE = {
    "axes": {
        "shape_MajorAxisLength": "morph_pca_maj_axis",
        "shape_MinorAxisLength": "morph_pca_min_axis",
        "shape_LeastAxisLength": "morph_pca_least_axis",
    },
    "mesh": {
        "shape_MeshVolume": "morph_volume",
        "shape_SurfaceArea": "morph_area_mesh",
        "shape_SurfaceVolumeRatio": "morph_av",
        "shape_Sphericity": "morph_sphericity",
    },
}
