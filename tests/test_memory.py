"""How much memory a process may take."""

import jax
import psutil
import pytest

from jdnet_jax import memory
from jdnet_jax.memory import _left_of_limits, available_bytes

MANY = 2**60


def group(folder, files, *, limit, used, cached):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(files, (limit, used), strict=True):
        (folder / name).write_text(f"{content}\n")
    # Of groups of version 1, what has no "total" leaves out the groups within.
    total = "" if files == V2 else "total_"
    numbers = {"anon": 7000, "active_file": 9000, "inactive_file": 8000, "file_mapped": 6000}
    numbers |= {f"{total}active_file": cached // 5, f"{total}inactive_file": cached - cached // 5}
    told = "".join(f"{name} {number}\n" for name, number in numbers.items())
    (folder / "memory.stat").write_text(told)


V2 = ("memory.max", "memory.current")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")


@pytest.mark.parametrize(
    ("line", "top", "files"),
    [
        ("0::/jobs/mine", "sys/fs/cgroup", V2),
        ("4:cpu,memory:/jobs/mine", "sys/fs/cgroup/memory", V1),
    ],
)
def test_the_tightest_limit_of_a_group_and_those_around_it_holds(tmp_path, line, top, files):
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_text(f"9:name=systemd:/\n{line}\n")
    top = tmp_path / top

    def left():
        return min(_left_of_limits(tmp_path))

    assert left() > MANY  # a group of which nothing is told
    unlimited = "max" if files == V2 else 2**62
    group(top / "jobs" / "mine", files, limit=unlimited, used=10, cached=0)
    assert left() > MANY
    group(top / "jobs", files, limit=1000, used=700, cached=50)
    assert left() == 350
    group(top / "jobs" / "mine", files, limit=400, used=390, cached=20)
    assert left() == 30
    group(top, files, limit=2000, used=2100, cached=0)
    assert left() == 0
    (top / "memory.stat").unlink()
    group(top / "jobs" / "mine", files, limit=unlimited, used=10, cached=0)
    (top / files[0]).write_text("2400")
    assert left() == 300


def test_a_system_without_groups_has_no_limit(tmp_path):
    assert min(_left_of_limits(tmp_path)) > MANY


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator tells its own memory")
def test_available_memory_is_within_both(monkeypatch):
    assert 0 < available_bytes() <= psutil.virtual_memory().total
    monkeypatch.setattr(memory, "_left_of_limits", lambda root: iter([2**63, 12345]))
    assert available_bytes() == 12345
