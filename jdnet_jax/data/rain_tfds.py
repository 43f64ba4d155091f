"""Rain100H, Rain100L and Rain12 as tensorflow-datasets builders, without TensorFlow.

The sets may not be passed on, so the builders take the user's download from `manual_dir`, in any
layout of `jdnet_jax.data.pair_layouts`, and write it once as ArrayRecord. `TfdsPairs`
reads it as pairs; with tensorflow-datasets alone it is:

    tfds.data_source("rain100h", split="test", data_dir=..., download_and_prepare_kwargs={
        "download_config": tfds.download.DownloadConfig(manual_dir=...)})

Which edition was downloaded (`jdnet_jax.data.rain_sets`) is kept with the data.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from jdnet_jax.data.folders import FolderPairs
from jdnet_jax.data.pairs import Pair, PairError, background_id, check_index
from jdnet_jax.data.picture_files import png_bytes, read_rgb
from jdnet_jax.data.rain_sets import RAIN12, RAIN100H, RAIN100L, PublishedSet


class RainBuilder(
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]  # tensorflow-datasets has no types
):
    """What the three builders have in common; reads `manual_dir`, writes ArrayRecord.

    An example is `{"name", "background", "rainy", "clean"}`: the name of the rainy file, the name
    of the background (`jdnet_jax.data.pairs.background_id`) and two encoded pictures. Plain
    RGB files in PNG or JPEG are stored byte for byte, all other pictures, such as the halves of
    one-file pairs, as PNG of the same pixels. Examples are in the natural order of their names.

    `builder.info.metadata` tells by split the `edition` (one line for people) and the
    `fingerprint` of the download, its `download_digest`. A fault of the download raises PairError
    and leaves no data.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    published: ClassVar[PublishedSet]
    # Otherwise looked up through importlib_resources, which tensorflow-datasets does not install.
    code_path = Path(__file__)

    def __init__(self, *, file_format: str = "array_record", **kwargs: Any) -> None:
        super().__init__(file_format=file_format, **kwargs)

    @classmethod
    def open_download(cls, manual_dir: str | Path) -> dict[str, FolderPairs]:
        """Opens the user's download.

        Args:
            manual_dir: A folder with a folder per split, or the folder of one split.

        Returns:
            The pairs of each split that is there, under their edition.

        Raises:
            PairError: No split is found, or one twice, or its pictures are not in order.
        """
        root = Path(manual_dir)
        if not root.is_dir():
            raise PairError(f"{root}: manual_dir is a folder, and there is none; check the path")
        inside = sorted(folder for folder in root.iterdir() if folder.is_dir())
        found = {
            split: [folder for folder in inside if folder.name.lower() in names]
            for split, names in cls.published.folders.items()
        }
        if not any(found.values()):
            alone = len(found) == 1
            own_name = root.resolve().name.lower()
            found = {
                split: [root] if alone or own_name in names else []
                for split, names in cls.published.folders.items()
            }
        if not any(found.values()):
            raise PairError(
                f"{root}: no split of {cls.published.title} found in"
                f" {', '.join(f.name for f in inside[:6]) or 'no folder'}; name the folders so:"
                f" {cls.published.folder_list()}"
            )
        download = {}
        for split, folders in found.items():
            if len(folders) > 1:
                raise PairError(
                    f"{root}: a split is in one folder, but {split} is in"
                    f" {' and '.join(folder.name for folder in folders)}; move one elsewhere"
                )
            for folder in folders:
                pairs = FolderPairs(folder)
                pairs.edition = cls.published.edition(split, len(pairs))
                download[split] = pairs
        return download

    def _info(self) -> tfds.core.DatasetInfo:
        # Not dataset_info_from_configs, which wants the README and tag files of a tfds package.
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.published.title}: rainy pictures and the clean ones under them.",
            features=tfds.features.FeaturesDict(
                {
                    "name": tfds.features.Text(),
                    "background": tfds.features.Text(),
                    "rainy": tfds.features.Image(shape=(None, None, 3)),
                    "clean": tfds.features.Image(shape=(None, None, 3)),
                }
            ),
            homepage=self.published.homepage,
            citation=self.published.citation,
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        download = self.open_download(dl_manager.manual_dir)
        self.info.metadata.update(
            edition={split: pairs.edition for split, pairs in download.items()},
            fingerprint={split: download_digest(pairs) for split, pairs in download.items()},
        )
        return {split: self._generate_examples(pairs) for split, pairs in download.items()}

    def _generate_examples(self, pairs: FolderPairs) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(len(pairs)):
            pair, files = pairs[index], pairs.files(index)
            if files.clean is not None and files.plain:
                rainy, clean = files.rainy.read_bytes(), files.clean.read_bytes()
            else:
                rainy, clean = png_bytes(pair["rainy"]), png_bytes(pair["clean"])
            yield (
                index,
                {
                    "name": pair["name"],
                    "background": background_id(pair["clean"]),
                    "rainy": rainy,
                    "clean": clean,
                },
            )


class Rain100H(RainBuilder):
    """Rain100H (Yang et al., CVPR 2017): heavy rain in up to five directions."""

    name = "rain100h"
    published = RAIN100H
    MANUAL_DOWNLOAD_INSTRUCTIONS = RAIN100H.instructions()


class Rain100L(RainBuilder):
    """Rain100L (Yang et al., CVPR 2017): light rain in one direction."""

    name = "rain100l"
    published = RAIN100L
    MANUAL_DOWNLOAD_INSTRUCTIONS = RAIN100L.instructions()


class Rain12(RainBuilder):
    """Rain12 (Li et al., CVPR 2016): twelve rendered pairs, a test set only."""

    name = "rain12"
    published = RAIN12
    MANUAL_DOWNLOAD_INSTRUCTIONS = RAIN12.instructions()


BUILDERS: Mapping[str, type[RainBuilder]] = {b.name: b for b in (Rain100H, Rain100L, Rain12)}


def download_digest(pairs: FolderPairs) -> str:
    """Tells downloads apart without reading them through.

    It covers the name, the size and the last 64 bytes of every file. A PNG ends in the checksums of
    its pixels, so that two downloads with one digest have the same pictures.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for index in range(len(pairs)):
        files = pairs.files(index)
        for path in (files.rainy, files.clean):
            if path is not None:
                size = path.stat().st_size
                with path.open("rb") as file:
                    file.seek(max(0, size - 64))
                    digest.update(f"{path.name} {size} ".encode() + file.read())
    return digest.hexdigest()[:16]


class TfdsPairs:
    """A split of Rain100H, Rain100L or Rain12 from its ArrayRecord files; a PairSource.

    With `manual_dir` the data set is prepared where it is not yet; where it is, the download is
    compared with the one it was prepared from. Pairs are in the order, and pictures are decoded by
    the same code, as by FolderPairs on the download.

    Args:
        name: `rain100h`, `rain100l` or `rain12`.
        split: `train` or `test`.
        data_dir: Where prepared data sets lie, each in `<name>/<version>`.
        manual_dir: The user's download, see `RainBuilder.open_download`.

    Attributes:
        edition: Which edition was prepared.

    Raises:
        PairError: Nothing is prepared and no download given, the download is not the one that was
            prepared, it has a fault, or the data set has no such split.
    """

    def __init__(
        self, name: str, split: str, *, data_dir: str | Path, manual_dir: str | Path | None = None
    ) -> None:
        if name not in BUILDERS:
            raise PairError(f"data sets are {', '.join(BUILDERS)}; got {name!r}")
        builder = BUILDERS[name](data_dir=str(data_dir))
        if manual_dir is not None:
            _prepare(builder, Path(manual_dir))
        elif not builder.data_path.exists():
            raise PairError(
                f"{builder.data_path}: a data set is prepared before it is read, and this one is"
                f" not; give manual_dir, the folder of your download."
                f" {builder.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        if split not in builder.info.splits:
            raise PairError(
                f"{builder.data_path}: the splits prepared are {', '.join(builder.info.splits)},"
                f" not {split!r}; to add one, delete this folder and prepare from a manual_dir with"
                f" {builder.published.folder_list()}"
            )
        self.edition: str = builder.info.metadata["edition"][split]
        self._where = f"{name} {split}"
        skip = tfds.decode.SkipDecoding()
        self._records = builder.as_data_source(split, decoders={"rainy": skip, "clean": skip})

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self._records)

    def __getitem__(self, index: int) -> Pair:
        """The pair at `index`, decoded.

        Raises:
            IndexError: There is no such pair.
            PairError: The pixels are damaged.
        """
        record = self._records[check_index(index, len(self))]
        name = record["name"].decode()
        return {
            "name": name,
            "rainy": read_rgb(record["rainy"], name=f"{self._where} {name} (rainy)"),
            "clean": read_rgb(record["clean"], name=f"{self._where} {name} (clean)"),
        }

    def name(self, index: int) -> str:
        """The name of the pair at `index`; reads its record, and decodes no picture."""
        return self._records[check_index(index, len(self))]["name"].decode()

    def background(self, index: int) -> str:
        """The name of the background; the first call reads every record, decoding none."""
        return self._backgrounds[check_index(index, len(self))]

    @cached_property
    def _backgrounds(self) -> list[str]:
        return [record["background"].decode() for record in self._records]


def _prepare(builder: RainBuilder, manual_dir: Path) -> None:
    if not builder.data_path.exists():
        builder.open_download(manual_dir)  # tensorflow-datasets has a poorer message than ours
        config = tfds.download.DownloadConfig(manual_dir=str(manual_dir))
        with tempfile.TemporaryDirectory() as never_filled:
            try:
                builder.download_and_prepare(download_dir=never_filled, download_config=config)
            except FileExistsError:  # another process has prepared it in the meantime
                builder.info.read_from_directory(builder.data_path)
            else:
                return
    now = builder.open_download(manual_dir)
    prepared = builder.info.metadata
    if {split: download_digest(pairs) for split, pairs in now.items()} != prepared["fingerprint"]:
        raise PairError(
            f"{builder.data_path} was prepared from another download"
            f" ({'; '.join(prepared['edition'].values())}) than {manual_dir} is now"
            f" ({'; '.join(pairs.edition for pairs in now.values())}). Delete the folder to prepare"
            f" it again, give another data_dir, or leave manual_dir out to read what is there"
        )
