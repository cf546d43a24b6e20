"""Every command tells how it is used, with an example that can be copied, and what its exit codes mean."""

import pytest

from jianwei.commands import COMMANDS, GROUPS
from tests.jianwei.command_line import Ask

ALONE: list[tuple[str, ...]] = [(name,) for name in COMMANDS]
IN_GROUPS: list[tuple[str, ...]] = [
    (group, command.name or "") for group, commands in GROUPS.items() for command in commands.registered_commands
]


@pytest.mark.parametrize("words", ALONE + IN_GROUPS, ids=" ".join)
def test_help_has_an_example_on_a_line_of_its_own_and_the_exit_codes(ask: Ask, words: tuple[str, ...]) -> None:
    said = ask(*words, "--help")

    starts = " ".join(("jianwei", *words))
    examples = [line.strip() for line in said.out.splitlines() if line.strip().startswith(starts)]
    assert said.code == 0
    assert examples
    assert all(line.count(starts) == 1 for line in examples), "examples ran together"
    assert "Exit codes: 0 done and well, 1 not done" in said.out


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_alone_names_its_commands(ask: Ask, group: str) -> None:
    said = ask(group)

    names = {command.name for command in GROUPS[group].registered_commands}
    assert names <= set(said.out.replace("│", " ").split())


def test_an_unknown_command_is_wrong_usage(ask: Ask) -> None:
    said = ask("simulat")

    assert said.code == 2
    assert "simulat" in said.err
