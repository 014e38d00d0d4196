"""Does the suite catch lies? Change one formula of the kernels at a time and see whether a test fails.

    python tests/mutate.py                    all mutants, about 20 minutes
    python tests/mutate.py --only Softmax     those of one kernel, function or file
    python tests/mutate.py --list             show them, run nothing

A mutant is a sign flipped, a sum made a difference, a factor or a transpose dropped, a constant or an axis changed, a
comparison turned, sin for cos, two arguments swapped. The script collects the tests once; for each mutant it forks,
puts the changed code into the function in place and runs the tests of the kernels that depend on it. A mutant that no
test notices survives: tests/mutants.md says of each survivor why it is no error. The script fails if fewer than 95 %
die, or if a survivor is not listed there.
"""

import argparse
import ast
import contextlib
import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

os.environ.update(HYPOTHESIS_PROFILE="mutation", OPENBLAS_NUM_THREADS="1", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import hypothesis.extra.numpy  # noqa: E402, F401 - imported before the forks
import pytest  # noqa: E402
import scipy.integrate  # noqa: E402
import scipy.special  # noqa: E402
import scipy.stats  # noqa: E402, F401

from minidl import testing  # noqa: E402, F401

LEAST_KILLED = 0.95
TIMEOUT = 120
FILES = [path for path in sorted((ROOT / "minidl" / "kernels").glob("*.py")) if path.name != "__init__.py"]
SURVIVORS = (ROOT / "tests" / "mutants.md").read_text(encoding="utf-8")

# What each operator, comparison and function becomes.
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
COMPARISONS = {
    ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE), ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip
FUNCTIONS = {
    "sin": "cos", "cos": "sin", "tan": "sin", "sinh": "cosh", "cosh": "sinh", "tanh": "sinh", "exp": "expm1",
    "expm1": "exp", "log": "log1p", "log1p": "log", "sqrt": "square", "square": "sqrt", "arcsin": "arccos",
    "arccos": "arcsin", "arctan": "arctanh", "arcsinh": "arccosh", "arccosh": "arcsinh", "arctanh": "arctan",
    "erf": "erfc", "erfc": "erf", "negative": "positive", "sign": "negative", "maximum": "minimum",
    "minimum": "maximum", "add": "subtract", "subtract": "add", "multiply": "divide", "divide": "multiply",
    "greater": "less", "less": "greater", "cumsum": "cumprod", "cumprod": "cumsum", "prod": "sum", "ones": "zeros",
    "ones_like": "zeros_like", "zeros": "ones", "zeros_like": "ones_like", "isfinite": "isnan",
}  # fmt: skip
# Functions whose two first arguments may be confused, and those that may be forgotten around their first argument.
ORDERED = {"subtract", "divide", "power", "matmul", "greater", "less", "where", "copyto", "take_along_axis"}
DROPPABLE = {
    "_transpose", "unbroadcast", "expand", "expand_dims", "squeeze", "flip", "moveaxis", "swapaxes", "asarray",
    "sorted", "negative", "absolute",
}  # fmt: skip
DROPPABLE_METHODS = {"reshape", "copy", "astype", "transpose"}
DROPPABLE_KEYWORDS = {"where", "axis", "keepdims", "kind", "initial", "dtype"}


@dataclass
class Mutant:
    """A function with one change: its new code, or new values of a default or of a constant."""

    module: str
    name: str
    change: str
    code: CodeType | None = None
    value: object = None

    @property
    def key(self) -> str:
        return f"`{self.module}.{self.name}`: {self.change}"

    def install(self) -> None:
        """Make the change in this process."""
        module = importlib.import_module(f"minidl.kernels.{self.module}")
        owner, _, attribute = self.name.rpartition(".")
        place = getattr(module, owner) if owner else module
        if self.code is not None:
            getattr(place, attribute).__code__ = self.code
        elif owner:
            fields = list(place.__dataclass_fields__)
            defaults = list(place.__init__.__defaults__)
            defaults[fields.index(attribute) - len(fields)] = self.value
            place.__init__.__defaults__ = tuple(defaults)
        else:
            setattr(module, attribute, self.value)


@dataclass
class Edit:
    """One place in a syntax tree, and what to put there."""

    place: object
    field: str | int
    new: object

    @property
    def old(self) -> object:
        return self.place[self.field] if isinstance(self.field, int) else getattr(self.place, self.field)

    @contextlib.contextmanager
    def made(self) -> Iterator[None]:
        old = self.old
        self._put(self.new)
        yield
        self._put(old)

    def _put(self, value: object) -> None:
        if isinstance(self.field, int):
            self.place[self.field] = value
        else:
            setattr(self.place, self.field, value)


def edits_of(node: ast.AST, place: object, field: str | int) -> Iterator[Edit]:
    """The changes that can be made to the node that stands at a place."""
    match node:
        case ast.BinOp(left, op, right):
            if type(op) in OPERATORS:
                yield Edit(node, "op", OPERATORS[type(op)]())
            yield Edit(place, field, left)
            if isinstance(op, ast.Mult):
                yield Edit(place, field, right)
            if isinstance(op, (ast.Sub, ast.Div, ast.Pow, ast.MatMult)):
                yield Edit(place, field, ast.BinOp(right, op, left))
        case ast.UnaryOp(ast.USub() | ast.Not() | ast.Invert(), operand):
            yield Edit(place, field, operand)
        case ast.Compare(_, ops, _):
            for k, op in enumerate(ops):
                for new in COMPARISONS[type(op)]:
                    yield Edit(ops, k, new())
        case ast.BoolOp(op, values):
            yield Edit(node, "op", OPERATORS[type(op)]())
            for value in values:
                yield Edit(place, field, value)
        case ast.IfExp(test, _, _) | ast.If(test, _, _):
            yield Edit(node, "test", ast.UnaryOp(ast.Not(), test))
        case ast.Constant(bool() as value):
            yield Edit(node, "value", not value)
        case ast.Constant(int() | float() as value):
            yield Edit(node, "value", value + 1)
            if value:
                yield Edit(node, "value", -value)
        case ast.AugAssign(_, op, _):
            yield Edit(node, "op", OPERATORS[type(op)]())
            yield Edit(place, field, ast.Pass())
        case ast.Expr(ast.Call()):
            yield Edit(place, field, ast.Pass())
        case ast.Attribute(value, "real" | "T"):
            yield Edit(place, field, value)
        case ast.Return(ast.Tuple(elements)) if len(elements) > 1:
            for k in range(len(elements) - 1):
                swapped = [*elements[:k], elements[k + 1], elements[k], *elements[k + 2 :]]
                yield Edit(node, "value", ast.Tuple(swapped, ast.Load()))
    if isinstance(node, ast.Call):
        yield from edits_of_call(node, place, field)


def edits_of_call(node: ast.Call, place: object, field: str | int) -> Iterator[Edit]:
    """Another function, arguments swapped, the call or one of its keywords forgotten."""
    function, arguments, keywords = node.func, node.args, node.keywords
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    of_numpy = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    if name in FUNCTIONS and of_numpy:
        yield Edit(function, "attr", FUNCTIONS[name])
    if name in ORDERED and len(arguments) > 1:
        yield Edit(node, "args", [arguments[1], arguments[0], *arguments[2:]])
    if name in DROPPABLE and arguments:
        yield Edit(place, field, arguments[name == "unbroadcast"])
    if name in DROPPABLE_METHODS and isinstance(function, ast.Attribute) and ast.unparse(function.value) != "np":
        yield Edit(place, field, function.value)
    for k, keyword in enumerate(keywords):
        if keyword.arg in DROPPABLE_KEYWORDS:
            yield Edit(node, "keywords", [*keywords[:k], *keywords[k + 1 :]])


def walk(place: object, field: str | int, node: object, statement: ast.stmt) -> Iterator[tuple[ast.stmt, Edit]]:
    """All edits below a node, each with the statement it changes; annotations and messages are left alone."""
    if isinstance(node, list):
        for k, item in enumerate(node):
            yield from walk(node, k, item, item if isinstance(item, ast.stmt) else statement)
    elif isinstance(node, ast.AST) and not isinstance(node, (ast.Raise, ast.Import, ast.ImportFrom, ast.JoinedStr)):
        for edit in edits_of(node, place, field):
            yield statement, edit
        for name, child in ast.iter_fields(node):
            if name != "annotation":
                yield from walk(node, name, child, statement)


def text(statement: ast.stmt) -> str:
    """A statement in one line; of a compound one only its head."""
    return ast.unparse(statement).splitlines()[0]


def functions_of(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """All functions and methods but `reference`, which is a specification, with their qualified names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name != "Kernel":
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name != "reference":
                    yield f"{node.name}.{method.name}", method


def code_of(module: CodeType, name: str) -> CodeType:
    """The code object with this qualified name."""
    pending = [module]
    while pending:
        code = pending.pop()
        if code.co_qualname == name:
            return code
        pending.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
    raise LookupError(name)


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All mutants of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name, function in functions_of(tree):
        for statement, edit in walk(function, "body", function.body, function):
            if isinstance(edit.new, ast.Tuple) and function.name != "backward":
                continue  # A forward pass that exchanges y and what it saved fails at once and proves nothing.
            before = text(statement)
            with edit.made():
                after = "nothing" if isinstance(edit.new, ast.Pass) else text(statement)
                code = code_of(compile(ast.fix_missing_locations(tree), path, "exec"), name)
            if before != after:
                yield Mutant(path.stem, name, f"`{before}` → `{after}`", code)
    for name, statement, value in constants_of(tree):
        new = not value if isinstance(value, bool) else value + 1
        yield Mutant(path.stem, name, f"`{text(statement)}` → `{new}`", value=new)


def constants_of(tree: ast.Module) -> Iterator[tuple[str, ast.stmt, bool | float]]:
    """The constants of a module, and the defaults of its dataclasses, that are numbers or truth values."""
    for scope, body in [("", tree.body), *((f"{c.name}.", c.body) for c in tree.body if isinstance(c, ast.ClassDef))]:
        for statement in body:
            match statement:
                case ast.AnnAssign(ast.Name(name), value=ast.expr() as node) | ast.Assign([ast.Name(name)], node):
                    with contextlib.suppress(ValueError):
                        value = ast.literal_eval(node)
                        if isinstance(value, (bool, int, float)):
                            yield scope + name, statement, value


def dependents() -> dict[str, set[str]]:
    """For each function and class of the kernels, the kernels whose code reaches it by name."""
    uses: dict[str, set[str]] = {}
    kernels = set()
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                uses[node.name] = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                if isinstance(node, ast.ClassDef) and node.name != "Kernel":
                    kernels.add(node.name)
    reached = {name: {name} for name in uses}
    for _ in uses:
        for name, used in uses.items():
            reached[name] |= {other for one in used & set(uses) for other in reached[one]}
    return {name: {kernel for kernel in kernels if name in reached[kernel]} for name in uses}


class Mutation:
    """A pytest plugin that runs the collected tests against one mutant after the other, instead of once."""

    def __init__(self, mutants: list[Mutant], jobs: int) -> None:
        self.mutants = mutants
        self.jobs = jobs
        self.survivors: list[Mutant] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if not passes(session, session.items):
            session.shouldfail = "the tests fail without any mutation"
            return True
        reach = dependents()
        waiting = list(reversed(self.mutants))
        running: dict[int, Mutant] = {}
        while waiting or running:
            while waiting and len(running) < self.jobs:
                mutant = waiting.pop()
                running[start(session, mutant, reach)] = mutant
            pid, status = os.wait()
            mutant = running.pop(pid)
            if status == 0:
                self.survivors.append(mutant)
                print(f"survived{'' if mutant.key in SURVIVORS else ', unexplained'}: {mutant.key}", flush=True)
            done = len(self.mutants) - len(waiting) - len(running)
            if done % 100 == 0:
                print(f"{done} of {len(self.mutants)}", file=sys.stderr, flush=True)
        return True


def passes(session: pytest.Session, items: list[pytest.Item]) -> bool:
    """Whether all these tests pass; stops at the first that does not."""
    for item in items:
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if session.testsfailed:
            return False
    return True


def relevant(items: list[pytest.Item], name: str, reach: dict[str, set[str]]) -> list[pytest.Item]:
    """The tests of the kernels that reach what was changed: the rows of the table, its own first, then the others."""

    def order(item: pytest.Item) -> int | None:
        row = item.callspec.params.get("row") if hasattr(item, "callspec") else None
        if row is None:
            return 2
        kernel = row.kernel.__name__
        return 0 if kernel == name else 1 if kernel in reach.get(name, {kernel}) else None

    return sorted((item for item in items if order(item) is not None), key=order)


def start(session: pytest.Session, mutant: Mutant, reach: dict[str, set[str]]) -> int:
    """Run the tests against a mutant in a process of its own, which ends with status 0 if it survives."""
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            signal.alarm(TIMEOUT)
            mutant.install()
            os._exit(int(not passes(session, relevant(session.items, mutant.name.partition(".")[0], reach))))
        os._exit(1)
    return pid


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="the name of a kernel, a function or a file (part of it)")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    options = parser.parse_args()
    mutants = [m for path in FILES for m in mutants_of(path) if options.only in f"{m.module}.{m.name}"]
    if options.list:
        for mutant in mutants:
            print(mutant.key)
        print(f"{len(mutants)} mutants")
        return 0

    begin = time.perf_counter()
    mutation = Mutation(mutants, options.jobs)
    quiet = ["-c", str(ROOT / "pyproject.toml"), "-o", "addopts=--import-mode=importlib", "--assert=plain"]
    quiet += ["-p", "no:terminal", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    code = pytest.main([*quiet, str(ROOT / "tests" / "kernels")], plugins=[mutation])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        print(f"the tests of the kernels do not run without any mutation: {code!r}")
        return 2
    killed = len(mutants) - len(mutation.survivors)
    unexplained = sum(mutant.key not in SURVIVORS for mutant in mutation.survivors)
    share = killed / max(len(mutants), 1)
    print(
        f"{len(mutants)} mutants: {killed} killed ({share:.1%}), {len(mutation.survivors)} survived, {unexplained} of "
        f"them unexplained; {time.perf_counter() - begin:.0f} s"
    )
    return int(share < LEAST_KILLED or unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
