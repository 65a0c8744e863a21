"""The documents of the benchmarks: every run's samples are kept, and documents rendered from all that are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

FOLDER = Path(__file__).resolve().parent.parent / "docs"


class _Results(Protocol):
    @property
    def scale_factor(self) -> str: ...

    def model_dump_json(self, *, indent: int) -> str: ...


_Kept = TypeVar("_Kept", bound=_Results)


@dataclass(frozen=True)
class Document(Generic[_Kept]):
    """One benchmark's document and the folder of its samples and plots.

    Attributes:
        name: of the document without its ending, and of the folder.
        read: results from the text of a kept file.
        lines: the document's lines, from all kept results in the order of their scale factors.
        plot: writes the plots of one run into the folder, and names their files.
    """

    name: str
    read: Callable[[str], _Kept]
    lines: Callable[[Sequence[_Kept]], Iterable[str]]
    plot: Callable[[_Kept, Path], Sequence[Path]]

    @property
    def _folder(self) -> Path:
        return FOLDER / self.name

    def write(self, results: _Kept) -> list[Path]:
        """Keeps the samples, and renders the document from all that are kept.

        Returns:
            The files written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"sf{results.scale_factor}.json"
        file.write_text(results.model_dump_json(indent=1) + "\n")
        return [file, *self.render()]

    def render(self) -> list[Path]:
        """Renders the document from all kept samples."""
        kept = [self.read(file.read_text()) for file in self._folder.glob("sf*.json")]
        kept.sort(key=lambda results: float(results.scale_factor))
        document = FOLDER / f"{self.name}.md"
        document.write_text("\n".join(self.lines(kept)) + "\n")
        # The scale factor that is run by default, or else the largest.
        shown = next((results for results in kept if results.scale_factor == "1"), kept[-1])
        return [document, *self.plot(shown, self._folder)]
