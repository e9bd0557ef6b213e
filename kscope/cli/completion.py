"""`kscope completion`, and the values that shells can complete."""

import click
from click.shell_completion import get_completion_class

from kscope.cli import COMPLETING, cli

SHELLS = ("bash", "zsh", "fish")
# click asks whether zsh has just loaded the file as a function. That is so for the first Tab alone:
# the second one would register the function instead of completing a word.
_ZSH_LOADED = ("$zsh_eval_context[-1] == loadautofunc", "$funcstack[1] == _kscope")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script with which bash, zsh or fish complete the words of kscope.

    Packages install the scripts. For your own installation, put the first line into ~/.bashrc, the
    second into ~/.zshrc after compinit, or run the third once:

    \b
    eval "$(kscope completion bash)"
    eval "$(kscope completion zsh)"
    kscope completion fish > ~/.config/fish/completions/kscope.fish
    """
    click.echo(script(shell), nl=False)


def script(shell: str) -> str:
    """Return the text for one of SHELLS; it calls the `kscope` that is on the path."""
    made = get_completion_class(shell)
    assert made is not None
    # Not source(): that runs a bash to find out its version.
    with_names = made(cli, {}, "kscope", COMPLETING)
    text = with_names.source_template % with_names.source_vars()
    return text.replace(*_ZSH_LOADED)
