"""Files that lie behind the subject in a download: those of the media folder, and uploads, which a clip keeps."""

from __future__ import annotations

from pathlib import Path

from covos.formats.backdrops import Backdrop
from covos.serve.clip import Clip
from covos.serve.errors import NotThereError
from covos.serve.places import file_below, link
from covos.serve.uploads import Uploads, suffix_of

UPLOAD = "upload:"
"""Begins the name of a background that was uploaded; the id of the upload follows."""


class Backdrops:
    """Finds the files of backgrounds.

    Args:
        media: Folder whose files may be named by path; None allows none.
        uploads: The files that came in parts.
    """

    def __init__(self, media: Path | None, uploads: Uploads) -> None:
        self._media, self._uploads = media, uploads

    def file(self, clip: Clip, background: str | None) -> Path | None:
        """Return the file of a background as a client names it; None if it is a colour, a blur, or not asked for.

        An upload becomes the clip's own, under the same name: it can be asked for again as long as the clip is there.

        Raises:
            NotThereError: There is no such upload, or no such file below the media folder.
            NotYetError: Some of the upload is still to come.
        """
        if background is None:
            return None
        if background.startswith(UPLOAD):
            return self._sent(clip, background.removeprefix(UPLOAD))
        if Backdrop.parse(background).file is None:
            return None
        try:
            return file_below(self._media, background)
        except NotThereError as error:
            raise NotThereError(
                f"the background {background!r} is no colour, and as a file it is not there",
                why=error.why,
                fix="give a colour such as white or #2040c0, or blur; or upload the file, and give upload:ID",
            ) from None

    def _sent(self, clip: Clip, identity: str) -> Path:
        if identity.isascii() and identity.isalnum():
            known = next(clip.backdrops.glob(f"{identity}.*"), None)
            if known is not None:
                return known
        upload = self._uploads.complete(identity)
        clip.backdrops.mkdir(exist_ok=True)
        file = clip.backdrops / f"{identity}{suffix_of(upload.name) or '.sent'}"
        link(upload.file, file)
        self._uploads.delete(upload)
        return file
