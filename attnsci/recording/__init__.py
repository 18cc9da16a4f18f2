"""Any torch module, recorded: labelled arrays of what its layers do, in memory or on disk."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "hooks": ["tap"],
        "recorder": ["Recorder", "record"],
        "recording": ["Recording", "open_recording"],
        "sites": ["Site"],
    },
)
