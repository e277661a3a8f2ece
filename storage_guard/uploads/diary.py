"""What is written down about an open upload, so that it can be gone on with or swept if we die.

Nothing here fails a write: what cannot be written down becomes a note.
"""

from __future__ import annotations


class Diary:
    """Of one write. Writes nothing itself, which is enough where an upload dies with its process."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    @property
    def resumable(self) -> bool:
        """Whether another `create` would find the upload."""
        return False

    @property
    def knows_id(self) -> bool:
        """Whether another `create` would take our write id."""
        return False

    def begun(self, upload_id: str) -> None:
        """An upload was opened."""

    def committing(self) -> None:
        """A finish is about to be sent."""

    def closed(self) -> None:
        """The upload is no more."""

    def left(self) -> None:
        """The upload is left open, and so is what is known of it."""

    def abandoned(self) -> None:
        """The upload is left open because it could not be aborted: nobody is to go on with it."""
        self.left()
