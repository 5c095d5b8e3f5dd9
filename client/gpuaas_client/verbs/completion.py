"""`gpuaas completion SHELL`: the script by which a shell completes verbs, options and ids."""

from typing import Final

import click
from click.shell_completion import get_completion_class

from gpuaas_client.command import Verb

_HELP: Final = """The script that completes `gpuaas` in a shell, to be kept where it reads such.

\b
bash  gpuaas completion bash > ~/.local/share/bash-completion/completions/gpuaas
zsh   gpuaas completion zsh > ~/.zfunc/_gpuaas     (~/.zfunc in fpath, before compinit)
fish  gpuaas completion fish > ~/.config/fish/completions/gpuaas.fish
"""


@click.command(
    "completion", cls=Verb, help=_HELP, short_help="The script by which a shell completes words"
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    kind = get_completion_class(shell)
    assert kind is not None, "one of the choices"
    root = context.find_root()
    click.echo(kind(root.command, {}, "gpuaas", "_GPUAAS_COMPLETE").source())


VERBS: Final = (completion,)
