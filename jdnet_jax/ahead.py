"""Results that threads compute while those before them are still being used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Input = TypeVar("Input")
Result = TypeVar("Result")


def computed_ahead(
    function: Callable[[Input], Result], inputs: Iterable[Input], *, at_once: int
) -> Generator[tuple[Input, Future[Result]], None, None]:
    """Calls a function for each input, in threads, and gives the results in order.

    Inputs are taken by the thread that asks for results, one more than there are threads before it
    gets the first. Close the generator to have no further input begun; calls that are running are
    not waited for.

    Args:
        function: What is computed. What holds for one thread alone, as JAX's and NumPy's settings
            in a `with` block do, does not hold for it.
        inputs: Inputs, of which `at_once + 2` are held at a time, the one in use among them.
        at_once: Number of threads; with 1 there is none: each result is computed by the thread that
            asks, and nothing ahead.

    Yields:
        Every input with what will be its result, or the error instead.
    """
    if at_once == 1:
        yield from ((given, _computed(function, given)) for given in inputs)
        return
    threads = ThreadPoolExecutor(at_once)
    waiting: deque[tuple[Input, Future[Result]]] = deque()
    try:
        for given in inputs:
            waiting.append((given, threads.submit(function, given)))
            if len(waiting) > at_once:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _computed(function: Callable[[Input], Result], given: Input) -> Future[Result]:
    result: Future[Result] = Future()
    try:
        result.set_result(function(given))
    except Exception as error:
        result.set_exception(error)
    return result
