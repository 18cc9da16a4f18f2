"""Analyses of recordings and behaviour: labelled arrays in, labelled arrays and tables out.

Nothing here knows a model or imports torch; submodules are loaded when they are first used.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=[
        "circular",
        "effects",
        "fits",
        "gain",
        "inference",
        "invariance",
        "resampling",
        "scaling",
        "selection",
        "statistics",
        "tuning",
        "units",
    ],
    submod_attrs={
        "circular": ["paired_shift", "preferred_orientation"],
        "effects": ["paired_effect", "tost_independent", "tost_paired"],
        "fits": ["fit_curves"],
        "gain": ["MCADAMS_MAUNSELL_1999", "built_in_gain", "gain_summary", "unit_gain"],
        "inference": [
            "adjust",
            "binomial_test",
            "mcnemar",
            "permutation_test",
            "sign_flip_test",
            "wilcoxon_test",
            "wilson",
        ],
        "invariance": ["InvarianceBounds", "curve_similarity", "invariance_table"],
        "resampling": ["bootstrap_clusters", "bootstrap_hierarchical", "bootstrap_stratified"],
        "scaling": ["compare_models", "deming_line", "ordinary_line"],
        "statistics": ["bootstrap", "bootstrap_mean"],
        "tuning": ["activity", "describe_curves", "split_half_ceiling", "tuning_curves"],
    },
)
