import sys

from gpuaas_verify.cli import main

if __name__ == "__main__":
    sys.exit(main())
