"""`python -m gpuaas_client`: the command of this interpreter, whatever is on PATH."""

from gpuaas_client.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
