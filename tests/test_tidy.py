"""Rules about the code itself. Each one names the file and says what to do."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("rules", "ingest", "alerts", "console", "simulators", "jianwei")
MODULES = sorted(p.relative_to(ROOT) for room in ROOMS for p in (ROOT / room).rglob("*.py"))
TESTS = sorted(p.relative_to(ROOT) for p in (ROOT / "tests").rglob("*.py"))
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base", "core", "types"}
BANNED_CLASS = re.compile(r"(Manager|Service|Handler|Helper|Util)s?$")
TABLES = ("rules/checks", "ingest/sources", "ingest/formats", "ingest/stores", "alerts/channels")
REMINDER = re.compile(r"\b(TO" + "DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
CATALOGUE_CODE = re.compile(r"^[aw]\d{5}$")


def parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_module_is_small_and_well_named(path: Path) -> None:
    source = (ROOT / path).read_text()
    assert path.stem not in BANNED_NAMES, "name the thing it holds, not the shelf it stands on"
    assert source.count("\n") <= 400, "split along a noun"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines: push ifs up and fors down"
        if isinstance(node, ast.ClassDef):
            assert not BANNED_CLASS.search(node.name), f"{node.name}: say what it does"


@pytest.mark.parametrize("path", MODULES + TESTS, ids=str)
def test_no_reminders_are_left(path: Path) -> None:
    found = REMINDER.findall((ROOT / path).read_text())
    assert not found, "do it, or file it; a reminder in the code is neither"


@pytest.mark.parametrize("folder", TABLES)
def test_every_plugin_stands_in_its_table(folder: str) -> None:
    table = (ROOT / folder / "__init__.py").read_text()
    missing = [p.stem for p in (ROOT / folder).glob("*.py") if p.stem != "__init__" and p.stem not in table]
    assert not missing, f"add {missing} to {folder}/__init__.py"


def test_every_module_is_reached() -> None:
    imported = {
        part
        for path in [*MODULES, *TESTS]
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [*(n.name for n in node.names), getattr(node, "module", None) or ""]
        for part in name.split(".")
    }
    # Alembic runs migrations by their place, so nobody imports them.
    modules = [p for p in MODULES if "migrations" not in p.parts]
    dead = [str(p) for p in modules if p.stem not in imported | {"__init__", "__main__"}]
    assert not dead, f"never imported: {dead}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_parameter_code_stands_in_python(path: Path) -> None:
    """Limits and parameter codes are data: they live in the catalogue and in scenarios."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    codes = [
        node.value
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        and CATALOGUE_CODE.match(node.value)
    ]
    assert not codes, f"move {codes} into the catalogue"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_queues_are_bounded(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in {"Queue", "SimpleQueue", "LifoQueue", "PriorityQueue"}:
                assert any(k.arg == "maxsize" for k in node.keywords), f"{path}: {name} needs maxsize="


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_tests(room: str) -> None:
    assert list((ROOT / "tests" / room).rglob("test_*.py")), f"tests/{room} is empty"


@pytest.mark.parametrize("path", [p for p in MODULES if p.parts[0] == "rules"], ids=str)
def test_rules_roll_no_dice_and_ask_no_clock_by_way_of_a_library(path: Path) -> None:
    """Import contracts see modules; numpy has dice and a clock inside."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"random", "default_rng", "now", "today", "utcnow"}, f"line {node.lineno}"
        if isinstance(node, ast.Constant):
            assert node.value not in {"now", "today"}, f"line {node.lineno}: numpy reads the clock for it"
