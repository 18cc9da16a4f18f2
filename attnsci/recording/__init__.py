"""Any torch module, recorded: labelled arrays of what its layers do, in memory or on disk."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "responses": ["classifier", "collect"],
        "datasets": ["open_dataset", "save_dataset"],
        "hooks": ["tap"],
        "recorder": ["Recorder", "record"],
        "recording": ["Recording", "open_recording"],
        "sites": ["Site"],
    },
)
