"""Which pictures are derained, and where each result goes: decided before anything is run."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jdnet_jax.messages import one_line
from jdnet_jax.pictures import has_picture_suffix, has_readable_suffix, output_format


@dataclass(frozen=True)
class Job:
    """One picture to derain.

    Attributes:
        source: the picture file.
        output: where its derained version goes.
    """

    source: Path
    output: Path


@dataclass(frozen=True)
class Plan:
    """What a batch will do.

    Attributes:
        jobs: the pictures to derain, in order.
        skipped: what was found and is left alone, each with the reason in a few words.
        unreadable: the sub-folders that cannot be listed, each with a one-line message.
    """

    jobs: tuple[Job, ...]
    skipped: tuple[tuple[Path, str], ...]
    unreadable: tuple[tuple[Path, str], ...] = ()


def plan_derain(
    inputs: Sequence[Path],
    output: Path,
    *,
    overwrite: bool = False,
    skip_existing: bool = False,
    recursive: bool = True,
    suffix: str | None = None,
) -> Plan:
    """Decides what goes where. Nothing is read or written but names.

    One file given with an output that ends like a picture goes to exactly that file. In every other
    case `output` is a folder: a file keeps its name there, a folder's pictures keep their names and
    sub-folders. From folders, what has the suffix of a picture is taken, also where it turns out
    later to be a pipe or a link that leads nowhere; hidden files, others, links to folders and the
    output folder itself are skipped. A file that is named is always taken. A sub-folder that cannot
    be listed keeps nothing else from being planned.

    Args:
        inputs: files and folders.
        output: a file or a folder, which need not exist.
        overwrite: whether files that exist may be replaced, the inputs themselves included.
        skip_existing: whether pictures whose output exists are left alone.
        recursive: whether folders are searched with their sub-folders.
        suffix: of all outputs in the folder, such as '.png', instead of their sources' own.

    Raises:
        FileNotFoundError: an input does not exist.
        FileExistsError: an output exists, and neither `overwrite` nor `skip_existing` is given.
        OSError: a folder among the inputs cannot be listed.
        PictureError: pictures are not written in the format of `suffix` or of `output`.
        ValueError: there is no picture; two pictures would become one file; an output would replace
            another input; `output` is a file where a folder is needed; both flags are given.
    """
    if overwrite and skip_existing:
        raise ValueError("overwrite and skip_existing exclude each other; choose one")
    if suffix is not None:
        output_format(f"*{suffix}")
    for path in inputs:
        if not path.exists():
            what = "a link that leads nowhere" if path.is_symlink() else "no such file or folder"
            raise FileNotFoundError(f"{path}: {what}; give pictures or folders")
    skipped: list[tuple[Path, str]] = []
    unreadable: list[tuple[Path, str]] = []
    if _is_one_file(inputs, output):
        if suffix is not None and output.suffix.lower() != suffix:
            raise ValueError(f"{output}: the suffix is asked to be {suffix}; give one of the two")
        output_format(output)
        jobs = [Job(inputs[0], output)]
    else:
        jobs = list(_jobs_in_folder(inputs, output, recursive, suffix, skipped, unreadable))
    if not jobs and not unreadable:
        seen = f"{len(skipped)} other entries" if skipped else "nothing at all"
        names = ", ".join(map(str, inputs)) or "no input"
        raise ValueError(f"{names}: no picture there, but {seen}; give pictures or their folder")
    _refuse_collisions(jobs)
    existing = [job for job in jobs if os.path.lexists(job.output)]
    for job in existing:
        if job.output.is_dir():
            raise ValueError(f"{job.output}: the output is a folder; choose another name")
    if skip_existing:
        skipped += [(job.source, "output exists") for job in existing]
        done = set(existing)
        jobs = [job for job in jobs if job not in done]
    elif existing and not overwrite:
        first = existing[0]
        what = "is the input itself" if _same(first.source, first.output) else "exists"
        raise FileExistsError(
            f"{first.output}: the output {what} ({len(existing)} of {len(jobs)} exist); choose"
            " another output, or give --overwrite or --skip-existing"
        )
    return Plan(tuple(jobs), tuple(skipped), tuple(unreadable))


def _is_one_file(inputs: Sequence[Path], output: Path) -> bool:
    if output.is_dir() or not (output.exists() or has_picture_suffix(output)):
        return False
    if len(inputs) == 1 and not inputs[0].is_dir():
        return True
    what = f"{len(inputs)} inputs" if len(inputs) != 1 else "a folder"
    raise ValueError(f"{output}: the output of {what} is a folder; give a folder's name")


def _jobs_in_folder(
    inputs: Sequence[Path],
    output: Path,
    recursive: bool,
    suffix: str | None,
    skipped: list[tuple[Path, str]],
    unreadable: list[tuple[Path, str]],
) -> Iterator[Job]:
    seen = set()
    for path in inputs:
        if path.is_dir():
            inside = _walk(path, output, recursive, skipped, unreadable)
            found = [(file, file.relative_to(path)) for file in inside]
        else:
            found = [(path, Path(path.name))]
        for source, name in found:
            job = Job(source, output / (name.with_suffix(suffix) if suffix else name))
            key = (os.path.realpath(source), job.output)
            if key not in seen:  # a picture may be named twice, or beside its folder
                seen.add(key)
                yield job


def _walk(
    folder: Path,
    output: Path,
    recursive: bool,
    skipped: list[tuple[Path, str]],
    unreadable: list[tuple[Path, str]],
) -> Iterator[Path]:
    """The files of a folder that look like pictures, sorted; the two lists take all else."""

    def note(error: OSError) -> None:  # os.walk passes over a folder it cannot list
        path = Path(error.filename)
        problem = f"the folder cannot be read ({error.strerror or error})"
        remedy = "give yourself the permission to read it, or give other folders"
        message = one_line(f"{path}: {problem}; {remedy}")
        if path == folder:  # nothing of what was asked for
            raise OSError(message) from error
        unreadable.append((path, message))

    for name, folders, files in os.walk(folder, onerror=note):
        here = Path(name)
        deeper = []
        for entry in sorted(folders):
            path = here / entry
            if entry.startswith("."):
                skipped.append((path, "hidden"))
            # Not path.is_symlink(), which raises where names can be listed and nothing else.
            elif os.path.islink(path):
                skipped.append((path, "link to a folder"))
            elif _same(path, output):
                skipped.append((path, "output folder"))
            elif not recursive:
                skipped.append((path, "sub-folder"))
            else:
                deeper.append(entry)
        folders[:] = deeper
        for entry in sorted(files):
            path = here / entry
            if entry.startswith("."):
                skipped.append((path, "hidden"))
            elif not has_readable_suffix(path):
                skipped.append((path, "not a picture"))
            else:
                yield path


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    """No output may be the output, or replace the yet unread source, of another picture."""
    by_output: dict[str, Job] = {}
    for job in jobs:
        other = by_output.setdefault(os.path.realpath(job.output), job)
        if other is not job:
            raise ValueError(
                f"{job.output}: both {other.source} and {job.source} would go there; derain them"
                " into different folders"
            )
    sources = {os.path.realpath(job.source): job for job in jobs}
    for name, job in by_output.items():
        other = sources.get(name, job)
        if other is not job:
            raise ValueError(
                f"{job.output}: the derained {job.source} would replace another input; choose"
                " another output folder"
            )


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
