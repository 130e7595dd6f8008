"""Architecture files, and the reference document's two architectures that come with perfkit."""

from dataclasses import replace
from importlib import resources
from pathlib import Path

from perfkit.cost import toml_file
from perfkit.cost.architecture import ArchitectureFile, Architectures
from perfkit.errors import ArchitectureError

__all__ = ["load_architectures"]


def load_architectures(path: Path | None = None) -> Architectures:
    """
    Return what a file describes; None is the reference document's "before" and "after".

    A file with nothing but `[traffic]` adds that to the reference document's.

    Raises:
        ArchitectureError: The file cannot be read or says what it may not: a line for each
            problem, with the key, the value and what would be accepted.
    """
    if path is None:
        folder = resources.files("perfkit.cost").joinpath("architectures")
        return _read_architectures(
            folder.joinpath("reference.toml").read_bytes(), source="built-in"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = (
            f"cannot read the architecture file {path} ({error.strerror});"
            " docs/cost.md has one to start from"
        )
        raise ArchitectureError(msg) from error
    found = _read_architectures(content, source=str(path), file=str(path))
    if found.before is None and found.after is None:
        # what runs is left to the reference document; its file is not this one
        return replace(
            load_architectures(),
            traffic=found.traffic,
            states_a_rate=found.states_a_rate,
            states_writes=found.states_writes,
        )
    return found


def _read_architectures(content: bytes, *, source: str, file: str = "") -> Architectures:
    """
    Return what *content* describes.

    Args:
        content: An architecture file's bytes.
        source: What to call it in messages.
        file: Where it is, for reports.

    Raises:
        ArchitectureError: It says what it may not.
    """
    found = toml_file.read(ArchitectureFile, content, source=source, error=ArchitectureError)
    return Architectures(
        name=found.name or Path(file).stem or "architecture",
        before=found.before,
        after=found.after,
        quoted_source=found.quoted_source,
        traffic=None if found.traffic is None else found.traffic.assumptions(),
        states_a_rate=found.traffic is not None and found.traffic.states_a_rate,
        states_writes=found.traffic is not None and found.traffic.states_writes,
        file=file,
    )
