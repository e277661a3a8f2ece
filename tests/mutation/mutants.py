"""Every small change of a module that a test ought to notice: pure, from source text to source texts."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
}
_ENUMS = ("Answer", "Doing", "Verdict", "Why")


@dataclass(frozen=True)
class Mutant:
    """`name` stays the same while the function and the changed expression do, whatever is added above them."""

    name: str
    line: int
    source: str


@dataclass(frozen=True)
class _Change:
    """`apply` alters the node's copy in place, or answers the node to put in its place."""

    what: str
    apply: Callable[[ast.AST], ast.AST | None]


def mutants(source: str) -> Iterator[Mutant]:
    """All mutants of a module, one change each, in the order of the text."""
    tree = ast.parse(source)
    members = _members(tree)
    seen: dict[str, int] = {}
    for path, function in _places(tree):
        node = _at(tree, path)
        for change in _changes(node, members):
            mutated = copy.deepcopy(tree)
            _put(mutated, path, change)
            name = f"{function}: {_short(node)}: {change.what}"
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                name = f"{name} ({seen[name]})"
            yield Mutant(name, getattr(node, "lineno", 0), ast.unparse(ast.fix_missing_locations(mutated)))


Path = tuple[tuple[str, int | None], ...]


def _places(tree: ast.Module) -> Iterator[tuple[Path, str]]:
    """Every node inside a function, with the function's name; annotations and docstrings change nothing."""

    def walk(node: ast.AST, path: Path, function: str) -> Iterator[tuple[Path, str]]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            function = f"{function}.{node.name}".lstrip(".")
        inside = isinstance(node, ast.FunctionDef)
        if function:
            yield path, function
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list") or (inside and field == "args"):
                continue
            if isinstance(value, ast.AST):
                yield from walk(value, (*path, (field, None)), function)
            elif isinstance(value, list):
                for index, each in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
                    if isinstance(each, ast.AST):
                        yield from walk(each, (*path, (field, index)), function)

    yield from walk(tree, (), "")


def _changes(node: ast.AST, members: dict[str, list[str]]) -> Iterator[_Change]:
    match node:
        case ast.Compare():
            for index, op in enumerate(node.ops):
                if type(op) in _SWAPS:
                    yield _swap("ops", index, op)
        case ast.BoolOp():
            yield _swap("op", None, node.op)
        case ast.BinOp() | ast.AugAssign() if type(node.op) in _SWAPS:
            yield _swap("op", None, node.op)
        case ast.UnaryOp(op=ast.Not()):
            yield _Change("without not", lambda found: found.operand)  # type: ignore[attr-defined]
        case ast.Constant(value=bool(value)):
            yield _Change(f"{not value}", lambda _: ast.Constant(not value))
        case ast.Constant(value=int(value)) | ast.Constant(value=float(value)):
            yield _Change(f"{value + 1}", lambda _: ast.Constant(value + 1))
        case ast.If() | ast.IfExp() | ast.While():
            for always in (True, False):
                if not (isinstance(node, ast.While) and always):
                    yield _Change(f"always {always}", _setting("test", ast.Constant(always)))
        case ast.Expr(value=ast.Call()):
            yield _Change("deleted", lambda _: ast.Pass())
        case ast.Call() if isinstance(node.func, ast.Name) and node.func.id == "replace":
            for index, keyword in enumerate(node.keywords):
                yield _Change(f"without {keyword.arg}", _dropping("keywords", index))
        case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in members:
            others = members[name]
            other = others[(others.index(attr) + 1) % len(others)]
            yield _Change(other, _setting("attr", other))
        case ast.match_case():
            if node.guard is not None:
                yield _Change("without its guard", _setting("guard", None))
        case ast.MatchOr():
            for index in range(len(node.patterns)):
                yield _Change(f"without {ast.unparse(node.patterns[index])}", _dropping("patterns", index))
        case _:
            pass


def _swap(field: str, index: int | None, op: ast.AST) -> _Change:
    other = _SWAPS[type(op)]

    def apply(node: ast.AST) -> None:
        if index is None:
            setattr(node, field, other())
        else:
            getattr(node, field)[index] = other()

    return _Change(f"{type(op).__name__} as {other.__name__}", apply)


def _setting(field: str, value: object) -> Callable[[ast.AST], None]:
    return lambda node: setattr(node, field, value)


def _dropping(field: str, index: int) -> Callable[[ast.AST], None]:
    def apply(node: ast.AST) -> None:
        del getattr(node, field)[index]

    return apply


def _at(tree: ast.AST, path: Path) -> ast.AST:
    for field, index in path:
        found = getattr(tree, field)
        tree = found if index is None else found[index]
    return tree


def _put(tree: ast.AST, path: Path, change: _Change) -> None:
    new = change.apply(_at(tree, path))
    if new is None:
        return
    parent = _at(tree, path[:-1])
    field, index = path[-1]
    if index is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[index] = new


def _members(tree: ast.Module) -> dict[str, list[str]]:
    """The members of the enumerations that are defined or imported here."""
    from storage_guard import outcome

    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return {name: [member.name for member in getattr(outcome, name)] for name in _ENUMS if name in names}


def _short(node: ast.AST) -> str:
    if isinstance(node, ast.match_case):
        return f"case {ast.unparse(node.pattern)}"
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return f"if {ast.unparse(node.test)}"
    return ast.unparse(node).splitlines()[0]
