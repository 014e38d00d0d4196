"""Does the suite catch lies? Change one formula of the kernels at a time and see whether a test fails.

    python tests/mutate.py                    all mutants, about 20 minutes
    python tests/mutate.py --only Softmax     those of one kernel, function or file
    python tests/mutate.py --list             show them, run nothing

A mutant is a sign flipped, a sum made a difference, a factor or a transpose dropped, a constant or an axis changed, a
comparison turned, sin for cos, two arguments swapped. The script imports everything once; for each mutant it forks, puts
the changed code into the function in place and runs the tests of the kernels that depend on it. A mutant that no test
notices survives: tests/mutants.md says of each survivor why it is no error. The script fails if fewer than 95 % die, or
if a survivor is not listed there.
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

os.environ.update(HYPOTHESIS_PROFILE="mutation", OPENBLAS_NUM_THREADS="1", CI="")
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
    "_transpose", "unbroadcast", "expand", "expand_dims", "squeeze", "flip", "moveaxis", "swapaxes", "asarray", "sorted",
    "negative", "absolute",
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
        first = arguments[1] if name in ("unbroadcast",) else arguments[0]
        yield Edit(place, field, first)
    if name in DROPPABLE_METHODS and isinstance(function, ast.Attribute) and not (of_numpy and function.value.id == "np"):
        yield Edit(place, field, function.value)
    for k, keyword in enumerate(keywords):
        if keyword.arg in DROPPABLE_KEYWORDS:
            yield Edit(node, "keywords", [*keywords[:k], *keywords[k + 1 :]])


def walk(place: object, field: str | int, node: object, statement: ast.stmt) -> Iterator[tuple[ast.stmt, Edit]]:
    """All edits below a node, each with the statement it changes; annotations, messages and docstrings are left alone."""
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
    for scope, body in [("", tree.body), *((f"{c.name}.", c.body) for c in tree.body if isinstance(c, ast.ClassDef))]:
        for statement in body:
            target = statement.target if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [None])[0]
            value = constant_value(getattr(statement, "value", None))
            if isinstance(target, ast.Name) and value is not None:
                new = not value if isinstance(value, bool) else value + 1
                yield Mutant(path.stem, scope + target.id, f"`{text(statement)}` → `{new}`", value=new)


def constant_value(node: ast.expr | None) -> bool | float | None:
    """The number or truth value that an expression spells."""
    with contextlib.suppress(ValueError, TypeError):
        value = ast.literal_eval(node)
        return value if isinstance(value, (bool, int, float)) else None
    return None


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


def notices(mutant: Mutant | None, arguments: list[str]) -> bool:
    """Whether a test fails; runs in a process of its own, which never comes back."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    signal.alarm(TIMEOUT)
    if mutant is not None:
        mutant.install()
    # Hypothesis is imported already, which pytest would warn about.
    quiet = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return pytest.main([*quiet, "-c", str(ROOT / "pyproject.toml"), *arguments]) != pytest.ExitCode.OK


def stages(mutant: Mutant, kernels: set[str]) -> list[list[str]]:
    """Pytest's arguments, the quickest first: the tests that name the kernels, all of the kernels, all operations."""
    everything = [str(ROOT / "tests" / "kernels")]
    named = [*everything, "-k", " or ".join(sorted(kernels))] if 0 < len(kernels) < 12 else everything
    return [named, everything, [str(ROOT / "tests" / "ops")]]


def fork(mutant: Mutant | None, arguments: list[str]) -> int:
    """Start a process that ends with status 1 if a test notices the mutant; gives its number."""
    pid = os.fork()
    if not pid:
        status = 1
        with contextlib.suppress(BaseException):
            status = int(notices(mutant, arguments))
        os._exit(status)
    return pid


def survivors_of(mutants: list[Mutant], jobs: int) -> Iterator[Mutant]:
    """Run all mutants, `jobs` at a time, through the stages; those that no test notices."""
    reach = dependents()
    waiting = [(m, stages(m, reach.get(m.name.partition(".")[0], set()))) for m in reversed(mutants)]
    running: dict[int, tuple[Mutant, list[list[str]]]] = {}
    done = 0
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant, left = waiting.pop()
            running[fork(mutant, left[0])] = mutant, left[1:]
        pid, status = os.wait()
        mutant, left = running.pop(pid)
        if status:
            done += 1
        elif left:
            waiting.append((mutant, left))
        else:
            done += 1
            yield mutant
        print(f"\r{done} of {len(mutants)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


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

    start = time.perf_counter()
    if os.waitpid(fork(None, [str(ROOT / "tests" / "kernels")]), 0)[1]:
        print("the tests of the kernels fail without any mutation")
        return 2
    survivors = 0
    unexplained = 0
    for mutant in survivors_of(mutants, options.jobs):
        survivors += 1
        known = mutant.key in SURVIVORS
        unexplained += not known
        print(f"\rsurvived{'' if known else ', unexplained'}: {mutant.key}", flush=True)
    killed = len(mutants) - survivors
    share = killed / max(len(mutants), 1)
    print(
        f"{len(mutants)} mutants, {killed} killed ({share:.1%}), {survivors} survived, {unexplained} of them unexplained, "
        f"in {time.perf_counter() - start:.0f} s"
    )
    return int(share < LEAST_KILLED or unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
