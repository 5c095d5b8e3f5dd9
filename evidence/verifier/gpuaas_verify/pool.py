"""Work on one source spread over processes, results in order; in this one when that is cheaper."""

import gc
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType
from typing import Self

from gpuaas_verify.errors import Unreadable
from gpuaas_verify.source import DirectorySource, Reader, Source
from gpuaas_verify.tarball import open_tar


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Workers make many tuples and hardly a cycle; looking for cycles this often takes a tenth of their
# time.
COLLECT_EVERY = 50_000
_opened: dict[str, Reader] = {}


def start_method() -> str:
    """`fork` where nothing but this thread could hold a lock at that moment; `spawn`, 0.2 s dearer,
    elsewhere.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return "spawn"
    # Threads that Python did not start count too.
    return "fork" if len(list(Path("/proc/self/task").iterdir())) == 1 else "spawn"


def _open(path: str) -> None:
    """Runs once in each worker; the parent has checked every header of a tar already."""
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)
    where = Path(path)
    _opened["bundle"] = DirectorySource(where) if where.is_dir() else open_tar(where)


def _work[T, R](function: Callable[[Reader, T], R], task: T) -> R:
    return function(_opened["bundle"], task)


class Pool:
    """Runs `function(source, task)` for tasks, in worker processes that open the source themselves.

    Workers are forked where that is safe, else spawned. With one job, or a source only this process
    can read, everything runs here.
    """

    def __init__(self, source: Source, jobs: int) -> None:
        self._source = source
        self._jobs = jobs
        self._executor: ProcessPoolExecutor | None = None
        if jobs > 1 and source.path is not None:
            context = multiprocessing.get_context(start_method())
            self._executor = ProcessPoolExecutor(
                jobs, mp_context=context, initializer=_open, initargs=(str(source.path),)
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def map[T, R](self, function: Callable[[Reader, T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Results in the order of the tasks, a few tasks ahead of the reader and no more.

        Raises: what `function` raises; Unreadable when a worker dies.
        """
        if self._executor is None:
            for task in tasks:
                yield function(self._source, task)
            return
        ahead: deque[Future[R]] = deque()
        try:
            for task in tasks:
                ahead.append(self._executor.submit(_work, function, task))
                if len(ahead) > 3 * self._jobs:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        except BrokenProcessPool as error:
            raise Unreadable("a worker process ended; try --jobs 1") from error
