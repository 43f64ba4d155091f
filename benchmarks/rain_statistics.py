"""Statistics of a rain layer as a pair shows it: where no channel of the rainy picture is white."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Layer = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_DEGREES = np.arange(-45, 46)
# Of the differences of neighbouring pixels, in levels of 255.
_DIFFERENCE_EDGES = (-25, -8, -1.5, 1.5, 8, 25)


def observe(rainy: npt.NDArray[np.uint8], clean: npt.NDArray[np.uint8]) -> tuple[Layer, Mask]:
    """The rain in 255ths, [h, w], and where the pair tells it."""
    rain = (rainy.astype(np.int16) - clean).max(axis=-1).astype(np.float32)
    return rain, np.asarray((rainy < 255).any(axis=-1))


def statistics(rain: Layer, told: Mask) -> dict[str, float]:
    """Some numbers that tell one kind of rain from another, by name."""
    values = rain[told]
    mean, deviation = float(values.mean()), float(values.std())
    found = {
        "saturated": 1 - float(told.mean()),
        "dry": float((values < 0.5).mean()),
        "nearly dry": float((values < 5).mean()),
        "mean": mean,
        "median": float(np.median(values)),
        "90th percentile": float(np.percentile(values, 90)),
        "99th percentile": float(np.percentile(values, 99)),
        "skewness": float(((values - mean) ** 3).mean() / deviation**3),
    }
    found |= _gradients(rain, told)
    centred = np.where(told, rain - mean, 0).astype(np.float32)
    spectrum = _angular_spectrum(centred)
    found |= _directions(spectrum)
    found |= _correlations(centred, told, angle=float(_DEGREES[spectrum.argmax()]))
    kernel = np.ones((3, 3), np.uint8)
    inner = cv2.erode(told.astype(np.uint8), kernel) > 0
    flat = (cv2.dilate(rain, kernel) - cv2.erode(rain, kernel) < 8) & (rain > 18)
    found["flat"] = float(flat[inner].mean()) if inner.any() else 0.0
    return found


def co_occurrences(rain: Layer, told: Mask) -> npt.NDArray[np.float64]:
    """Log frequency of pairs of neighbouring differences down and across, [98]."""
    found = []
    for layer, mask in ((rain, told), (rain.T, told.T)):
        steps = np.digitize(np.diff(layer, axis=0), _DIFFERENCE_EDGES)
        pairs = (steps[1:] * 7 + steps[:-1])[mask[2:] & mask[1:-1] & mask[:-2]]
        counts = np.bincount(pairs, minlength=49)
        found.append(np.log(counts / max(counts.sum(), 1) + 1e-3))
    return np.concatenate(found)


def _gradients(rain: Layer, told: Mask) -> dict[str, float]:
    found = {}
    for name, layer, mask in (("down", rain, told), ("across", rain.T, told.T)):
        first = np.abs(np.diff(layer, axis=0))[mask[1:] & mask[:-1]].mean()
        second = np.abs(np.diff(layer, 2, axis=0))[mask[2:] & mask[1:-1] & mask[:-2]].mean()
        found[f"gradient {name}"] = float(first)
        found[f"sharpness {name}"] = float(second / first)
    return found


def _angular_spectrum(centred: Layer) -> npt.NDArray[np.float64]:
    """Share of the power by the direction of the streaks, in degrees from the vertical."""
    height, width = centred.shape
    side = min(height, width)
    window = np.outer(np.hanning(side), np.hanning(side))
    down, across = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    frequency = np.hypot(down, across)
    used = (frequency > 0.1) & (frequency < 0.5) & (across > 0)
    angle = np.rad2deg(np.arctan(-down / np.where(across == 0, 1, across)))[used]
    total = np.zeros(len(_DEGREES))
    for top, left in {(0, 0), (height - side, width - side)}:
        square = centred[top : top + side, left : left + side]
        power = np.abs(np.fft.rfft2((square - square.mean()) * window)) ** 2
        edges = np.append(_DEGREES - 0.5, _DEGREES[-1] + 0.5)
        total += np.histogram(angle, edges, weights=power[used] * frequency[used])[0]
    smooth: npt.NDArray[np.float64] = np.convolve(total / total.sum(), [0.25, 0.5, 0.25], "same")
    return smooth


def _directions(spectrum: npt.NDArray[np.float64]) -> dict[str, float]:
    rest, shares = spectrum.copy(), []
    for _ in range(3):
        peak = int(rest.argmax())
        shares.append(float(rest[max(0, peak - 2) : peak + 3].sum()))
        rest[max(0, peak - 3) : peak + 4] = 0
    return {
        "main direction": float(abs(_DEGREES[spectrum.argmax()])),
        "angle spread": float(1 / (spectrum**2).sum()),
        "1st direction": shares[0],
        "2nd direction": shares[1],
        "3rd direction": shares[2],
        "oblique": float(spectrum[np.abs(_DEGREES) > 19].sum()),
    }


def _correlations(centred: Layer, told: Mask, *, angle: float) -> dict[str, float]:
    """Across the streaks they tell of widths, along them of lengths."""
    weight = told.astype(np.float32)
    variance = (centred**2).sum() / weight.sum()

    def at(down: int, across: int) -> float:
        height, width = centred.shape
        to = (
            slice(max(0, down), height + min(0, down)),
            slice(max(0, across), width + min(0, across)),
        )
        of = (
            slice(max(0, -down), height - max(0, down)),
            slice(max(0, -across), width - max(0, across)),
        )
        pairs = max(float((weight[to] * weight[of]).sum()), 1.0)
        return float((centred[to] * centred[of]).sum() / pairs / variance)

    slope = np.tan(np.deg2rad(angle))
    found = {f"across, {lag} px": at(0, lag) for lag in (1, 2, 3, 6)}
    return found | {f"along, {lag} px": at(lag, round(lag * slope)) for lag in (4, 10, 40, 80)}
