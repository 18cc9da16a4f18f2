"""Intervals, tests and corrections: arrays in, numbers out. Every p of the house is made here.

Submodules are loaded when they are first used. None has the name of a public function, which it
would hide once imported.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["circular", "crossed", "effects", "groups"],
    submod_attrs={
        "circular": ["paired_shift", "preferred_orientation"],
        "effects": ["paired_effect", "tost_independent", "tost_paired"],
        "estimates": ["Estimate", "bootstrap", "bootstrap_mean"],
        "plans": ["bootstrap_clusters", "bootstrap_hierarchical", "bootstrap_stratified"],
        "proportions": ["accuracy", "base_rate"],
        "significance": [
            "adjust",
            "binomial_test",
            "mcnemar",
            "permutation_test",
            "sign_flip_test",
            "wilcoxon_test",
            "wilson",
        ],
    },
)
