"""Stimuli and reference data: ``load_*`` never touches the network, ``fetch_*`` may."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "digits": ["Digits", "load_mnist", "official_indices_of_bundled"],
        "places": ["data_home"],
    },
)
