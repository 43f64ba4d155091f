"""Deraining the pictures of a plan: read, derain, write, and tell what became of each."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from jdnet_jax.ahead import computed_ahead
from jdnet_jax.derain_plan import Job, Plan
from jdnet_jax.messages import one_line
from jdnet_jax.pictures import (
    Picture,
    PictureError,
    PictureWarning,
    Samples,
    check_output,
    read_picture,
    thread_warnings,
    write_picture,
)
from jdnet_jax.whole_files import make_writable

Restore = Callable[[Samples], Samples]
"""Takes a rainy picture, uint8 or uint16 [h, w, 3], and gives the derained one, kind kept."""

# PictureError is a ValueError; RuntimeError is what an accelerator raises when its memory is full.
# Anything else is a fault of the program and stops the batch.
_OF_ONE_PICTURE = (OSError, ValueError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class Summary:
    """What became of a batch.

    Attributes:
        done: the files written.
        skipped: what was left alone, each with the reason.
        failed: the sources of which there is no derained version, sub-folders that cannot be listed
            among them, each with a one-line message.
        damaged: the sources that were derained although something in their file is damaged (an
            EXIF block, say, which is left out), each with a one-line message.
    """

    done: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...]
    failed: tuple[tuple[Path, str], ...]
    damaged: tuple[tuple[Path, str], ...] = ()


def run_plan(
    plan: Plan,
    restore: Restore,
    *,
    overwrite: bool,
    progress: bool,
    tell: Callable[[str], None] = lambda _: None,
    at_once: int = 1,
) -> Summary:
    """Derains the pictures of a plan.

    A picture that fails does not stop the others. Where several are derained at once, one thread
    reads and writes, and others derain the next pictures in the meantime.

    Args:
        plan: what goes where.
        restore: derains one picture; see `Restore`.
        overwrite: whether files that exist may be replaced.
        progress: whether several pictures get a progress bar on stderr.
        tell: is given what fails and what is damaged, a line each, when it happens: the batch may
            never come to its end.
        at_once: how many threads call `restore` at the same time; see `computed_ahead`.
    """
    done: list[Path] = []
    failed = list(plan.unreadable)
    for _, message in failed:
        tell(f"error: {message}")
    damaged: list[tuple[Path, str]] = []
    hidden = not progress or len(plan.jobs) < 2
    count = len(plan.jobs)
    with tqdm(
        total=count, desc="derain", unit="picture", disable=hidden or None, dynamic_ncols=True
    ) as bar:

        def fail(source: Path, error: Exception) -> None:
            failed.append((source, _message(source, error)))
            tell(f"error: {failed[-1][1]}")
            bar.set_postfix(failed=len(failed))
            bar.update()

        def readable() -> Iterator[tuple[Job, Picture, list[str]]]:
            for job in plan.jobs:
                try:
                    picture, told = _read(job)
                except _OF_ONE_PICTURE as error:
                    fail(job.source, error)
                else:
                    yield job, picture, told

        pictures = computed_ahead(lambda read: restore(read[1].rgb), readable(), at_once=at_once)
        try:
            with contextlib.closing(pictures):
                for (job, picture, told), derained in pictures:
                    try:
                        write_picture(job.output, picture, derained.result(), overwrite=overwrite)
                    except _OF_ONE_PICTURE as error:
                        fail(job.source, error)
                        continue
                    done.append(job.output)
                    damaged += [(job.source, message) for message in told]
                    for message in told:
                        tell(f"warning: {message}")
                    bar.update()
        except KeyboardInterrupt:
            tell(
                f"{len(done)} of {count} pictures derained, {len(failed)} failed; "
                "--skip-existing goes on"
            )
            raise
    return Summary(tuple(done), plan.skipped, tuple(failed), tuple(damaged))


def _read(job: Job) -> tuple[Picture, list[str]]:
    """A picture that can be written when it is derained, and what is damaged in its file."""
    with thread_warnings(PictureWarning) as told:
        picture = read_picture(job.source)
    # Before the minutes that a large picture may take.
    check_output(job.output, picture)
    make_writable(job.output.parent)
    return picture, [str(warning) for warning in told]


def _message(source: Path, error: Exception) -> str:
    """One line that names the picture."""
    if isinstance(error, PictureError) and Path(error.path) == source:
        return str(error)
    lines = str(error).splitlines() or [type(error).__name__]
    return one_line(f"{source}: {lines[0]}")
