"""`python -m tests.nvml.asker LIBRARY`: one NVML in a process of its own, asked by lines of JSON.

In: `["inventory"]`, `["read", uuid]`, `["occupants", uuid]`, `["utilisation", uuid]`, `["events"]`, `["origin"]`, `["nodes",
dev, proc]`; out: one line of JSON each, `{"error": code}` for a refusal. NVML is a global of
the process that loads it, so tests never load one into their own.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from agent.device_nodes import nodes_of
from agent.devices import DeviceError
from agent.nvml import Nvml, open_nvml


def answer(source: Nvml, question: list[str]) -> Any:
    match question:
        case ["inventory"]:
            return source.inventory()
        case ["read", gpu]:
            return source.read(gpu)
        case ["occupants", gpu]:
            return source.occupants(gpu)
        case ["utilisation", gpu]:
            return source.utilisation(gpu)
        case ["events"]:
            return source.events()
        case ["origin"]:
            return source.origin
        case ["nodes", dev, proc]:
            return [nodes_of(unit, Path(dev), Path(proc)) for unit in source.inventory()]
        case _:
            raise AssertionError(question)


def say(value: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    try:
        source = open_nvml(Path(sys.argv[1]))
    except DeviceError as error:
        say({"error": error.code})
        return
    say("open")
    for line in sys.stdin:
        try:
            say(answer(source, msgspec.json.decode(line)))
        except DeviceError as error:
            say({"error": error.code})
    source.close()


if __name__ == "__main__":
    main()
