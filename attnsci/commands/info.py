"""``attnsci info``: what a bug report should say."""

import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Info:
    """Print versions, data folders and devices, for bug reports."""

    def run(self) -> None:
        """Print one fact a line."""
        import platform

        import torch

        from attnsci.data.places import data_folders, data_home
        from attnsci.devices import available_devices
        from attnsci.provenance import git_commit, versions

        facts = {
            **versions(),
            "commit": git_commit() or "none",
            "system": platform.platform(),
            "devices": ", ".join(available_devices()),
            "threads": str(torch.get_num_threads()),
            "ATTNSCI_DATA": os.pathsep.join(map(str, data_folders())) or "not set",
            "cache": str(data_home()),
        }
        width = max(map(len, facts))
        print("\n".join(f"{name:{width}}  {value}" for name, value in facts.items()))
