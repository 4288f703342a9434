"""`gradc completion`: a script that lets a shell complete verbs, flags and their choices.

eval "$(gradc completion bash)"                                  # in ~/.bashrc
gradc completion zsh > ~/.zfunc/_gradc                           # a folder of $fpath
gradc completion fish > ~/.config/fish/completions/gradc.fish
"""

from __future__ import annotations

import argparse
import importlib
import json
from argparse import Namespace

from ..records import record
from .exits import Exit
from .options import Parser, add_common
from .terminal import Terminal

SUMMARY = "a script that lets the shell complete verbs and flags"
SHELLS = ("bash", "zsh", "fish")


@record
class Flag:
    """One flag of a verb: its spellings, its help, and what may follow it."""

    names: tuple[str, ...]
    help: str
    takes: bool
    choices: tuple[str, ...]


def parser() -> Parser:
    """The flags of `gradc completion`."""
    made = Parser(
        "completion", __doc__.splitlines()[0], examples=__doc__.split("\n\n", 1)[1]
    )
    made.add_argument("shell", choices=SHELLS, help="which shell's script")
    add_common(made, program=False)
    return made


def run(args: Namespace, terminal: Terminal) -> Exit:
    """Print the script."""
    text = {"bash": bash, "zsh": zsh, "fish": fish}[args.shell](verbs())
    terminal.product(json.dumps({args.shell: text}) if args.json else text)
    return Exit.OK


def verbs() -> dict[str, list[Flag]]:
    """The flags of every verb, as its own parser has them."""
    from .main import VERBS

    found = {}
    for verb in VERBS:
        module = importlib.import_module(f".{verb}", __package__)
        found[verb] = [
            Flag(
                tuple(action.option_strings),
                str(action.help or "").replace("%(prog)s", verb),
                action.nargs != 0,
                tuple(map(str, action.choices or ())),
            )
            for action in module.parser()._actions
            if action.option_strings and action.help is not argparse.SUPPRESS
        ]
    return found


def bash(table: dict[str, list[Flag]]) -> str:
    """A function for `complete -F`: files where neither verb nor flag nor choice fits."""
    flags = "\n".join(
        f"        {verb}) flags='{' '.join(n for f in found for n in f.names)}' ;;"
        for verb, found in table.items()
    )
    choices = "\n".join(
        f"        {verb}:{name}) words='{' '.join(flag.choices)}' ;;"
        for verb, found in table.items()
        for flag in found
        if flag.choices
        for name in flag.names
    )
    return f"""\
# bash completion for gradc; written by `gradc completion bash`
_gradc() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    local verb=${{COMP_WORDS[1]}} flags='' words=''
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '{" ".join(table)} --help --version' -- "$word"))
        return
    fi
    case "$verb:$before" in
{choices}
    esac
    if [ -n "$words" ]; then
        COMPREPLY=($(compgen -W "$words" -- "$word"))
        return
    fi
    case "$verb" in
{flags}
    esac
    case "$word" in
        -*) COMPREPLY=($(compgen -W "$flags" -- "$word")) ;;
    esac
}}
complete -o default -F _gradc gradc
"""


def zsh(table: dict[str, list[Flag]]) -> str:
    """A function for `$fpath`, by `_arguments`."""
    from .main import VERBS

    cases = []
    for verb, found in table.items():
        specs = []
        for flag in found:
            told = _quoted(flag.help.replace("[", "(").replace("]", ")"))
            for name in flag.names:
                value = ""
                if flag.takes:
                    value = (
                        f":value:({' '.join(flag.choices)})"
                        if flag.choices
                        else ":value:_files"
                    )
                specs.append(f"            '*{name}[{told}]{value}'")
        lines = " \\\n".join([*specs, "            '*:file:_files'"])
        cases.append(f"        {verb}) _arguments \\\n{lines} ;;")
    described = "\n".join(
        f"        '{verb}:{_quoted(VERBS[verb].replace(':', ' '))}'" for verb in table
    )
    body = "\n".join(cases)
    return f"""\
#compdef gradc
# zsh completion for gradc; written by `gradc completion zsh`
_gradc() {{
    local -a verbs
    verbs=(
{described}
    )
    if (( CURRENT == 2 )); then
        _describe verb verbs
        return
    fi
    local verb=$words[2]
    shift words
    (( CURRENT-- ))
    case $verb in
{body}
    esac
}}
_gradc "$@"
"""


def fish(table: dict[str, list[Flag]]) -> str:
    """Lines of `complete -c gradc`."""
    from .main import VERBS

    lines = ["# fish completion for gradc; written by `gradc completion fish`"]
    for verb, found in table.items():
        lines.append(
            f"complete -c gradc -n __fish_use_subcommand -a {verb} -d '{_quoted(VERBS[verb])}'"
        )
        for flag in found:
            parts = [f"complete -c gradc -n '__fish_seen_subcommand_from {verb}'"]
            for name in flag.names:
                long = name.startswith("--")
                parts.append(f"-l {name[2:]}" if long else f"-{_dash(name)} {name[1:]}")
            if flag.choices:
                parts.append(f"-x -a '{' '.join(flag.choices)}'")
            elif flag.takes:
                parts.append("-r")
            parts.append(f"-d '{_quoted(flag.help)}'")
            lines.append(" ".join(parts))
    return "\n".join(lines) + "\n"


def _dash(name: str) -> str:
    return "s" if len(name) == 2 else "o"


def _quoted(text: str) -> str:
    """For between single quotes of any of the three shells."""
    return " ".join(text.split()).replace("'", "’").replace("\\", "")
