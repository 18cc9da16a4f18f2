"""Questions to any model that answers in the common words: stimuli in, a table of estimates out.

Submodules are loaded when they are first used. None has the name of a public function, which it
would hide once imported.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "answers": ["by_moment", "error", "imposed_inhibition", "swapped_gaze"],
        "benchmark": ["contrast_benchmark"],
        "gaze": ["returns", "similarity"],
        "looking": ["people"],
        "offsets": ["OffsetDigits", "answers_by_offset", "visual_field"],
        "outcome": ["Outcome"],
        "recurrent_core": ["core"],
        "rings": ["by_eccentricity"],
        "same_scenes": ["advantage", "recognition"],
    },
)
