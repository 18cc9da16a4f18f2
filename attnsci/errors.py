"""The one family of errors: every message says what is wrong, with which value, and what to do."""


class AttnsciError(Exception):
    """Base of every error that attnsci raises on purpose."""


class InvalidInput(AttnsciError, ValueError):
    """An argument, an array or a setting that cannot be used."""


class UnknownName(AttnsciError, KeyError):
    """A name that is in no registry; the message lists the nearest ones."""

    def __str__(self) -> str:  # KeyError would print the message's repr
        return str(self.args[0]) if self.args else ""


class RecordingError(AttnsciError, RuntimeError):
    """A model that cannot be recorded as asked, or a recording that cannot be read."""


class CheckpointError(AttnsciError, RuntimeError):
    """Weights or a training state that are missing, damaged or of another model."""


class StorageError(AttnsciError, OSError):
    """A file that could not be written; what stood there before is untouched."""


class InUse(StorageError):
    """A folder or store that another run is writing; the message names it."""


class MissingDependency(AttnsciError, ImportError):
    """An optional package that is not installed; the message gives the line that installs it."""


class DatasetError(AttnsciError):
    """Base of everything that can go wrong with a data set."""


class DatasetNotFound(DatasetError, FileNotFoundError):
    """The files are in none of the places looked at; the message lists them."""


class DownloadFailed(DatasetError, OSError):
    """The server could not be reached, or stopped sending."""


class ChecksumMismatch(DatasetError, ValueError):
    """A file is not the one that the registry describes."""


class DatasetCorrupt(DatasetError, ValueError):
    """A file is there and cannot be what its name says."""


class LicenceNotAccepted(DatasetError):
    """A download that needs the reader's consent to its size and licence."""


class OfflineError(DatasetError):
    """A download is needed and connections are forbidden."""
