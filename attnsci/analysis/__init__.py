"""Analyses of recordings and behaviour: labelled arrays in, labelled arrays and tables out.

Nothing here knows a model or imports torch; submodules are loaded when they are first used.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=[
        "baselines",
        "circular",
        "effects",
        "fits",
        "gain",
        "inference",
        "inhibition",
        "invariance",
        "momentum",
        "resampling",
        "returns",
        "saccade_space",
        "saccades",
        "scaling",
        "selection",
        "statistics",
        "tuning",
        "units",
    ],
    submod_attrs={
        "baselines": ["surrogate"],
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
        "inhibition": ["all_baselines", "inhibition_index"],
        "invariance": ["InvarianceBounds", "curve_similarity", "invariance_table"],
        "resampling": ["bootstrap_clusters", "bootstrap_hierarchical", "bootstrap_stratified"],
        "returns": ["return_fixations", "return_probability", "run_lengths"],
        "saccade_space": ["boxes", "saccade_map", "turn_histogram"],
        "scaling": ["compare_models", "deming_line", "ordinary_line"],
        "statistics": ["bootstrap", "bootstrap_mean"],
        "tuning": ["activity", "describe_curves", "split_half_ceiling", "tuning_curves"],
    },
)
