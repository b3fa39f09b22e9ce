"""Commands of packages that may not be imported here: they join the command line through the entry points
`elias.commands`, each of which names a typer application. One whose name exists already adds its commands to that
group; one that is a single command of this name is that command. One that cannot be imported is missed, and said."""

from importlib.metadata import entry_points

import typer

from managers.uim.cli.output import say


def add_to(parent: typer.Typer) -> None:
    for entry in sorted(entry_points(group="elias.commands"), key=lambda one: one.name):
        try:
            commands = entry.load()
        except (ImportError, AttributeError) as error:
            say(f"the commands `{entry.name}` are missing: {error}; install their package again, or remove it")
        else:
            mount(parent, entry.name, commands)


def mount(parent: typer.Typer, name: str, commands: typer.Typer) -> None:
    group = next((found.typer_instance for found in parent.registered_groups if found.name == name), None)
    if group is not None:
        group.registered_commands += commands.registered_commands
    elif [one.name for one in commands.registered_commands] == [name]:
        parent.registered_commands += commands.registered_commands
    else:
        parent.add_typer(commands, name=name)
