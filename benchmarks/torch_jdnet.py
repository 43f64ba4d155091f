"""JDNet in PyTorch, written from the paper's equations: the peer that speed is compared with.

    python -m benchmarks.torch_jdnet check ARRAYS.npz      compares with arrays of the authors
    python -m benchmarks.torch_jdnet time infer|train      prints seconds per call
    python -m benchmarks.torch_jdnet serve infer|train     a call for each line that comes in

`time` and `serve` use a GPU where there is one. It is what a PyTorch user would write (attention by
unfolding the footprint) and a second opinion on what the network computes;
`tests/data/make_block_arrays.py` makes the blocks' test data with it. Names follow the authors'
state dict, so that their weights load as they are. Arrays are NCHW. PyTorch is needed here and for
the authors' checkpoints: measured with torch 2.13.0.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.timing import serve, times


def act() -> nn.Module:
    """LeakyReLU with the paper's slope."""
    return nn.LeakyReLU(0.2)


class Attend(nn.Module):
    """Pairwise attention over a footprint of pixels (Eqs. 2-4)."""

    def __init__(self, c: int, footprint: int = 7) -> None:
        super().__init__()
        rel, mid = c // 16, c // 4
        self.k = footprint
        self.conv1, self.conv2 = nn.Conv2d(c, rel, 1), nn.Conv2d(c, rel, 1)
        self.conv3 = nn.Conv2d(c, mid, 1)
        self.conv_w = nn.Sequential(
            act(), nn.Conv2d(rel + 2, rel, 1, bias=False), nn.Conv2d(rel, mid // 8, 1)
        )
        self.conv_p = nn.Conv2d(2, 2, 1)

    def patches(self, x: Tensor) -> Tensor:
        """The footprint of every pixel, [b, c, h, w] to [b, c, k * k, h * w]."""
        p = self.k // 2
        b, c, h, w = x.shape
        padded = F.pad(x, (p,) * 4, mode="reflect")
        return F.unfold(padded, self.k).view(b, c, self.k**2, h * w)

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to [b, c / 4, h, w]."""
        b, _, h, w = x.shape
        q, k, v = self.conv1(x), self.conv2(x), self.conv3(x)
        ys, xs = torch.meshgrid(
            torch.linspace(-1, 1, h, dtype=x.dtype, device=x.device),
            torch.linspace(-1, 1, w, dtype=x.dtype, device=x.device),
            indexing="ij",
        )
        pos = self.conv_p(torch.stack([xs, ys])[None])
        rel = q.flatten(2).unsqueeze(2) - self.patches(k)
        rel_pos = (pos.flatten(2).unsqueeze(2) - self.patches(pos)).expand(b, -1, -1, -1)
        weight = self.conv_w(torch.cat([rel, rel_pos], 1)).softmax(2)
        values = self.patches(v).view(b, -1, weight.shape[1], self.k**2, h * w)
        return (values * weight[:, None]).sum(3).reshape(b, -1, h, w)


class SelfAttention(nn.Module):
    """Normalisation, attention, normalisation, expansion, and the input added (Figure 3)."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.bn1, self.sam, self.bn2 = nn.BatchNorm2d(c), Attend(c), nn.BatchNorm2d(c // 4)
        self.conv, self.relu = nn.Conv2d(c // 4, c, 1), act()

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to the same shape."""
        return x + self.conv(self.relu(self.bn2(self.sam(self.relu(self.bn1(x))))))


class ScaleBlock(nn.Module):
    """From one scale to the next (Eqs. 7 and 8)."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.convert = nn.Sequential(nn.Conv2d(c, c, 3, 2, 1), act())
        self.res = nn.Sequential(nn.Conv2d(c, c, 3, 1, 1), act(), nn.Conv2d(c, c, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to half of the sides, rounded up."""
        x = self.convert(x)
        return x + self.res(x)


class Calibrated(nn.Module):
    """The gated branch of the self-calibrated convolution (Eqs. 10-13)."""

    def __init__(self, c: int, r: int = 4) -> None:
        super().__init__()
        self.k2 = nn.Sequential(nn.AvgPool2d(r, r), nn.Conv2d(c, c, 3, 1, 1))
        self.k3 = nn.Sequential(nn.Conv2d(c, c, 3, 1, 1))
        self.k4 = nn.Sequential(nn.Conv2d(c, c, 3, 1, 1), act())

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to the same shape."""
        gate = torch.sigmoid(x + F.interpolate(self.k2(x), x.shape[2:]))
        return self.k4(self.k3(x) * gate)


class SelfCalibrated(nn.Module):
    """Self-calibrated convolution (Figure 5)."""

    def __init__(self, c: int) -> None:
        super().__init__()
        h = c // 2
        self.conv1_a, self.conv1_b = nn.Conv2d(c, h, 1), nn.Conv2d(c, h, 1)
        self.k1 = nn.Sequential(nn.Conv2d(h, h, 3, 1, 1), act())
        self.scconv, self.conv3, self.relu = Calibrated(h), nn.Conv2d(c, c, 1), act()

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to the same shape."""
        a = self.k1(self.relu(self.conv1_a(x)))
        b = self.scconv(self.relu(self.conv1_b(x)))
        return self.relu(x + self.conv3(torch.cat([a, b], 1)))


class JointUnit(nn.Module):
    """Attention, aggregation of n + 1 scales and self-calibrated convolution."""

    def __init__(self, c: int, n: int, attention: bool, calibrated: bool) -> None:
        super().__init__()
        if attention:
            self.san = SelfAttention(c)
        self.res_list = nn.ModuleList(ScaleBlock(c) for _ in range(n))
        self.conv11 = nn.Sequential(nn.Conv2d((n + 1) * c, c, 1), act())
        if calibrated:
            self.scn = SelfCalibrated(c)

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to the same shape."""
        x = self.san(x) if hasattr(self, "san") else x
        scales, s = [x], x
        for block in self.res_list:
            s = block(s)
            scales.append(F.interpolate(s, x.shape[2:]))
        y = self.conv11(torch.cat(scales, 1)) + x
        return self.scn(y) if hasattr(self, "scn") else y


class Dense(nn.Module):
    """The densely connected trunk (Figure 2)."""

    def __init__(self, units: int, c: int, *, attention: bool, calibrated: bool) -> None:
        super().__init__()
        self.units = nn.ModuleList(JointUnit(c, 4, attention, calibrated) for _ in range(units))
        self.conv1x1 = nn.ModuleList(
            nn.Sequential(nn.Conv2d((i + 2) * c, c, 1), act()) for i in range(units)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to the same shape."""
        features = [x]
        for unit, fuse in zip(self.units, self.conv1x1, strict=True):
            features.append(unit(x))
            x = fuse(torch.cat(features, 1))
        return x


class JDNet(nn.Module):
    """The picture without the rain that the network estimates (Eq. 1)."""

    def __init__(
        self,
        units: int = 32,
        channels: int = 32,
        *,
        attention: bool = True,
        calibrated: bool = True,
    ) -> None:
        super().__init__()
        self.enterBlock = nn.Sequential(nn.Conv2d(3, channels, 3, 1, 1), act())
        self.derain_net = Dense(units, channels, attention=attention, calibrated=calibrated)
        self.exitBlock = nn.Sequential(nn.Conv2d(channels, 3, 3, 1, 1), act())

    def forward(self, x: Tensor) -> Tensor:
        """[b, 3, h, w] to the same shape."""
        return x - self.exitBlock(self.derain_net(self.enterBlock(x)))


def check(file: str) -> float:
    """Largest absolute difference from the outputs in a file of `w:` and `eval_in:` arrays."""
    arrays = np.load(file)
    names = [key[2:] for key in arrays.files if key.startswith("w:")]
    units = 1 + max(int(n.split(".")[2]) for n in names if n.startswith("derain_net.units"))
    net = JDNet(
        units,
        attention=any(".san." in name for name in names),
        calibrated=any(".scn." in name for name in names),
    )
    net.load_state_dict({name: torch.tensor(arrays["w:" + name]) for name in names})
    net = net.double().eval()
    worst = 0.0
    for key in arrays.files:
        if key.startswith("eval_in:"):
            with torch.no_grad():
                output = net(torch.tensor(arrays[key]).double()).numpy()
            worst = max(worst, float(abs(output - arrays[key.replace("_in", "_out")]).max()))
    return worst


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def network(arguments: argparse.Namespace) -> nn.Module:
    """The network on the device there is, compiled where that is asked for."""
    net: nn.Module = JDNet(arguments.units).to(DEVICE)
    if arguments.compile:
        net.compile()  # in place, where torch.compile would wrap it
    return net


def precision(arguments: argparse.Namespace) -> torch.autocast:
    """What to compute under: bfloat16 where the operation allows, or float32."""
    return torch.autocast(DEVICE, torch.bfloat16, enabled=arguments.dtype == "bfloat16")


def finish() -> None:
    """Returns when the device has done its work."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def device_memory() -> dict[str, float]:
    """Most MiB that were used of the device's memory, and how many there are; nothing on CPU."""
    if DEVICE == "cpu":
        return {}
    return {
        "device_mib": torch.cuda.max_memory_allocated() / 2**20,
        "device_limit_mib": torch.cuda.mem_get_info()[1] / 2**20,
    }


def inference(arguments: argparse.Namespace) -> Callable[[], None]:
    """One picture of 320x480 through the full network."""
    net, x = network(arguments).eval(), torch.rand(1, 3, 320, 480)

    def call() -> None:
        with torch.no_grad(), precision(arguments):
            net(x.to(DEVICE)).float().cpu()

    return call


def training(arguments: argparse.Namespace) -> Callable[[], None]:
    """One step of Adam on crops of 64x64."""
    net = network(arguments)
    optimizer = torch.optim.Adam(net.parameters(), 5e-4)
    x, y = (torch.rand(arguments.crops, 3, 64, 64) for _ in range(2))

    def call() -> None:
        optimizer.zero_grad()
        with precision(arguments):
            rain_free = net(x.to(DEVICE))
        ((rain_free.float() - y.to(DEVICE)) ** 2).mean().backward()
        optimizer.step()
        finish()

    return call


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check").add_argument("file")
    for name in ("time", "serve"):
        command = commands.add_parser(name)
        command.add_argument("what", choices=["infer", "train"])
        command.add_argument("--crops", type=int, default=4)
        command.add_argument("--units", type=int, default=32)
        command.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
        command.add_argument("--compile", action="store_true", help="with torch.compile")
    arguments = parser.parse_args()
    if arguments.command == "check":
        worst = check(arguments.file)
        print(f"largest absolute difference {worst:.2e}")
        raise SystemExit(int(worst > 1e-9))
    call = {"infer": inference, "train": training}[arguments.what](arguments)
    if arguments.command == "serve":
        serve(call, device_memory)
        return
    print(f"{min(times(call, 2)):.2f} s")


if __name__ == "__main__":
    main()
