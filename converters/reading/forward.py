"""A binary stream that is read forward; it can seek to the start only."""

import io
from abc import abstractmethod


class ForwardReader(io.RawIOBase):
    """Base of the streams for source files. `given` counts the bytes since the start; a subclass adds `readinto` and `restart`."""

    given = 0

    @abstractmethod
    def restart(self) -> None:
        """Go back to the first byte."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if (offset, whence) != (0, 0):
            raise io.UnsupportedOperation("only to the start")
        self.restart()
        self.given = 0
        return 0

    def tell(self) -> int:
        return self.given
