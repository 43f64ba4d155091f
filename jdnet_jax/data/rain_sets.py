"""What is known of Rain100H, Rain100L and Rain12 as they were published.

Rain100H and Rain100L exist in two editions whose scores do not compare: their authors replaced the
original (100 test pairs, the one that most published scores are taken on) by a second (200 test
pairs, the count that the JDNet paper names, section 4). Which one a download is, is told by its
count.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_YANG = """\
@inproceedings{yang2017deep,
  title={Deep Joint Rain Detection and Removal from a Single Image},
  author={Yang, Wenhan and Tan, Robby T. and Feng, Jiashi and Liu, Jiaying and Guo, Zongming and
    Yan, Shuicheng},
  booktitle={CVPR}, year={2017}}"""
_LI = """\
@inproceedings{li2016rain,
  title={Rain Streak Removal Using Layer Priors},
  author={Li, Yu and Tan, Robby T. and Guo, Xiaojie and Lu, Jiangbo and Brown, Michael S.},
  booktitle={CVPR}, year={2016}}"""
_YANG_PAGE = "https://www.icst.pku.edu.cn/struct/Projects/joint_rain_removal.html"


@dataclass(frozen=True)
class PublishedSet:
    """A data set as it was published.

    Attributes:
        title: Its name in papers.
        homepage: Where the user gets it.
        citation: BibTeX.
        folders: By split, the names (lower case) under which the split's folder goes about.
        editions: By split and number of pairs, what is known of such a download.
    """

    title: str
    homepage: str
    citation: str
    folders: Mapping[str, tuple[str, ...]]
    editions: Mapping[str, Mapping[int, str]]

    def folder_list(self) -> str:
        """The folder names of each split, for people."""
        return "; ".join(f"{split}: {' or '.join(names)}" for split, names in self.folders.items())

    def instructions(self) -> str:
        """What the user has to download and how to lay it out."""
        return (
            f"Download {self.title} from {self.homepage} and unpack it into one folder per split"
            f" in manual_dir ({self.folder_list()}; upper or lower case), or give such a folder"
            " itself. In it, rainy and clean pictures are in two folders (rainy, rain or input;"
            " clean, norain, target or groundtruth), or together as rain-N and norain-N, or a"
            " picture of double width per pair, clean left and rainy right."
        )

    def edition(self, split: str, count: int) -> str:
        """One line that says what a download with `count` pairs is."""
        known = self.editions[split]
        counts = ", ".join(f"{n} is the {what}" for n, what in known.items())
        remark = known.get(count) or f"no published edition: {counts}"
        return f"{self.title} {split}, {count} pair{'' if count == 1 else 's'} ({remark})"


_RAIN100_TEST = {100: "original edition", 200: "second edition"}
RAIN100H = PublishedSet(
    title="Rain100H",
    homepage=_YANG_PAGE,
    citation=_YANG,
    folders={
        "train": ("train", "raintrainh", "rain_data_train_heavy"),
        "test": ("test", "rain100h", "rain_heavy_test"),
    },
    editions={
        # Ren et al. (CVPR 2019) found the backgrounds of 546 training pairs in the test set.
        "train": {
            1800: "full training set, 1800 in either edition",
            1254: "training set of the original edition without the 546 pairs whose background is"
            " in the test set",
        },
        "test": _RAIN100_TEST,
    },
)
RAIN100L = PublishedSet(
    title="Rain100L",
    homepage=_YANG_PAGE,
    citation=_YANG,
    folders={
        "train": ("train", "raintrainl", "rain_data_train_light"),
        "test": ("test", "rain100l", "rain_data_test_light"),
    },
    editions={"train": {200: "original edition", 1800: "second edition"}, "test": _RAIN100_TEST},
)
RAIN12 = PublishedSet(
    title="Rain12",
    homepage="http://yu-li.github.io/paper/li_cvpr16_rain.zip",
    citation=_LI,
    folders={"test": ("test", "rain12")},
    editions={"test": {12: "complete set"}},
)
