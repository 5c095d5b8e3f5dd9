"""How much a MIG slice is at work, by NVML's GPU performance monitoring: Hopper and later.

NVML has no utilisation of slices; GPM counts per GPU instance, so slices that are compute instances
of one share its number. A number is of the time between two samples, here two questions.
Source: NVML API reference, "GPM Functions" (the device is the slice's GPU; samples are at least
100 ms apart).
"""

import contextlib
import math
from collections.abc import Container
from typing import Any, Final

import pynvml  # type: ignore[import-untyped]

# When anything ran at all, and how many multiprocessors did: the larger one counts.
_METRICS: Final = (pynvml.NVML_GPM_METRIC_GRAPHICS_UTIL, pynvml.NVML_GPM_METRIC_SM_UTIL)


class Gpm:
    """The last sample of each slice, by uuid. Samples are the library's: `keep` frees others."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}

    def percent(self, uuid: str, gpu: Any, instance: int) -> int | None:
        """Of the time since the last question, rounded up; None at the first, where the device has
        no GPM, and where it does not say both numbers. Raises: pynvml.NVMLError.
        """
        last = self._last.pop(uuid, None)
        try:
            if not pynvml.nvmlGpmQueryDeviceSupport(gpu).isSupportedDevice:
                return None
            fresh = pynvml.nvmlGpmSampleAlloc()
            self._last[uuid] = fresh
            pynvml.nvmlGpmMigSampleGet(gpu, instance, fresh)
            return None if last is None else _between(last, fresh)
        except pynvml.NVMLError:
            # Nothing is known of the time since the sample before: the next one begins anew.
            self._drop(uuid)
            raise
        finally:
            _free(last)

    def keep(self, uuids: Container[str]) -> None:
        """Forgets all slices but these."""
        for uuid in [one for one in self._last if one not in uuids]:
            self._drop(uuid)

    def _drop(self, uuid: str) -> None:
        _free(self._last.pop(uuid, None))


def _free(sample: Any) -> None:
    if sample is not None:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlGpmSampleFree(sample)


def _between(first: Any, second: Any) -> int | None:
    asked = pynvml.c_nvmlGpmMetricsGet_t()
    asked.version = pynvml.NVML_GPM_METRICS_GET_VERSION
    asked.numMetrics = len(_METRICS)
    asked.sample1, asked.sample2 = first, second
    for place, metric in enumerate(_METRICS):
        asked.metrics[place].metricId = metric
    pynvml.nvmlGpmMetricsGet(asked)
    said = asked.metrics[: len(_METRICS)]
    if any(one.nvmlReturn != pynvml.NVML_SUCCESS or not math.isfinite(one.value) for one in said):
        return None
    return math.ceil(max(float(one.value) for one in said))
