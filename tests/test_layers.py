"""Which part of perfkit may import which: the house as DESIGN draws it, held by a test."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import perfkit

ROOT = Path(perfkit.__file__).parent

# A module may import from its own level's part, and from any level below it.
LEVELS = (
    ("cli",),
    ("commands",),
    ("traffic", "demo"),
    ("scenarios", "load", "migrate", "report"),
    ("gates",),
    ("analysis", "stack"),
    ("service", "cost"),
    ("queue",),
    ("cache", "dynamodb"),
    ("processes",),
    ("measure",),
    ("embedded", "workloads"),
    ("capacity", "files", "runs", "settings"),
    ("units", "errors", "console", "hosts"),
)
LEVEL_OF = {part: number for number, parts in enumerate(LEVELS) for part in parts}

# side by side on one level, in this direction only
BESIDE = {
    ("workloads", "embedded"),  # a workload's expressions are read by the engine's parser
    ("runs", "files"),
    ("runs", "capacity"),  # what a stored entry takes beside its size
}

OF_COURSES = ("semester", "Enrollments", "instructor", "student")
MAY_USE_A_TERMINAL = ("cli.py", "commands/", "report/terminal.py")
TERMINAL = ("typer", "rich", "click")
HEAVY = (
    "aiohttp",
    "boto3",
    "botocore",
    "fastapi",
    "hdrh",
    "jinja2",
    "orjson",
    "pydantic",
    "redis",
    "sqlite3",
    "tabulate",
    "uvicorn",
)


@pytest.fixture(scope="module")
def modules() -> dict[str, ast.Module]:
    """Return all modules, parsed, by their file."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text())
        for path in sorted(ROOT.rglob("*.py"))
    }


@functools.cache
def imported(tree: ast.AST) -> tuple[str, ...]:
    """Return what a module imports, worked out once for all tests: walking them all takes a while."""
    found: list[str] = []
    for node in statements(tree):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    return tuple(found)


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what a tree holds but for expressions, most of it, in which nothing is imported."""
    inside = [tree]
    while inside:
        node = inside.pop()
        yield node
        inside += (each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.expr))


def part_of(relative: str) -> str:
    return relative.split("/", 1)[0].removesuffix(".py")


def test_imports_point_one_way(modules: dict[str, ast.Module]) -> None:
    wrong = []
    for relative, tree in modules.items():
        part = part_of(relative)
        if part not in LEVEL_OF:
            continue
        for name in imported(tree):
            if not name.startswith("perfkit."):
                continue
            other = name.split(".")[1]
            if other == part or other not in LEVEL_OF:
                continue
            if LEVEL_OF[other] > LEVEL_OF[part] or (part, other) in BESIDE:
                continue
            wrong.append(f"{relative} imports {name}")

    assert sorted(set(wrong)) == []


def test_every_part_has_a_level(modules: dict[str, ast.Module]) -> None:
    parts = {part_of(relative) for relative in modules} - {"__init__", "__main__"}

    assert parts <= LEVEL_OF.keys()


def test_of_the_scenarios_only_those_about_the_service_know_it(
    modules: dict[str, ast.Module],
) -> None:
    knowing = {
        relative
        for relative, tree in modules.items()
        if part_of(relative) == "scenarios" and not relative.startswith("scenarios/service/")
        for name in imported(tree)
        if name.startswith("perfkit.service")
    }

    assert knowing == set()


def test_no_circles_within_a_package(modules: dict[str, ast.Module]) -> None:
    graph: dict[str, set[str]] = {}
    names = {relative.removesuffix(".py").replace("/", "."): relative for relative in modules}
    for name, relative in names.items():
        wanted = {entry.removeprefix("perfkit.") for entry in _eager(modules[relative])}
        graph[name] = {entry for entry in wanted if entry in names and entry != name}

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join([*path[path.index(name) :], name])
        if name not in seen:
            for other in sorted(graph[name]):
                visit(other, (*path, name))
            seen.add(name)

    seen: set[str] = set()
    for name in sorted(graph):
        visit(name, ())


def _eager(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports when it is imported itself."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(ast.Module(body=[node], type_ignores=[]))


def test_only_commands_know_the_terminal(modules: dict[str, ast.Module]) -> None:
    wrong = [
        f"{relative} imports {name}"
        for relative, tree in modules.items()
        if not relative.startswith(MAY_USE_A_TERMINAL)
        for name in imported(tree)
        if name.split(".", 1)[0] in TERMINAL
    ]

    assert wrong == []


def test_no_module_gives_a_name_twice(modules: dict[str, ast.Module]) -> None:
    """Of two constants of one name the first has the value of the second, and nothing complains."""
    twice = []
    for relative, tree in modules.items():
        names = [
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        ]
        twice += [f"{relative}: {name}" for name in sorted(set(names)) if names.count(name) > 1]

    assert twice == []


@pytest.mark.processes
def test_the_command_line_loads_nothing_heavy() -> None:
    """`perfkit --help` must answer at once; each command imports what it needs when it runs."""
    code = f"import sys, perfkit.cli; print([m for m in {HEAVY!r} if m in sys.modules])"

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert answer.stdout == "[]\n"
    assert answer.stderr == ""


@pytest.mark.processes
def test_saved_runs_are_read_without_what_looks_at_processes() -> None:
    code = "import sys, perfkit.runs.store; print('psutil' in sys.modules)"

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert answer.stdout == "False\n"


def test_nothing_outside_the_workload_and_the_service_knows_about_courses(
    modules: dict[str, ast.Module],
) -> None:
    knowing = []
    for relative, tree in modules.items():
        if relative.startswith(("service/", "commands/serve.py")):
            continue
        if not any(word in (ROOT / relative).read_text() for word in OF_COURSES):
            continue
        # prose may name the built-in workload; code may not handle its tables
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if id(node) in docstrings:
                continue
            if isinstance(node, ast.Name | ast.Attribute):
                text = node.id if isinstance(node, ast.Name) else node.attr
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            if any(word in text for word in OF_COURSES):
                knowing.append(f"{relative}:{node.lineno}: {text[:60]!r}")

    assert knowing == []
