"""Does the suite notice a lie? Change one thing in the kernels at a time and see whether a test fails.

    python tests/mutate.py [--only NAME ...] [--tests PATH ...] [--jobs N] [--seconds S] [--list]

A mutant is minidl/kernels with a sign, a factor, a constant, an axis, a comparison, a function changed, a statement or
a call left out, two arguments swapped. The tests of tests/kernels and tests/ops that reach the changed function run
against it, the quickest first, until one fails: then it is killed. A mutant that lives on is harmless, and
tests/mutants.md says why, or it shows what the tests do not see. The exit status is 0 if at least 95 % are killed
(running out of time counts as that) and tests/mutants.md names every survivor.

pytest collects the tests once; each mutant lives in a fork of that process, in which the changed function gets other
code. So this runs on POSIX systems only. `HYPOTHESIS_PROFILE=ci python tests/mutate.py` tries more examples.
"""

import __future__

import argparse
import ast
import copy
import importlib
import inspect
import os
import resource
import signal
import sys
import time
import types
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
from tqdm import tqdm

ROOT = Path(__file__).parent.parent
SURVIVORS = ROOT / "tests" / "mutants.md"
ENOUGH = 0.95
MEMORY = 8 * 2**30

# ---- What can be wrong ---------------------------------------------------------------------------------------------

OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd, ast.And: ast.Or,
    ast.Or: ast.And, ast.MatMult: ast.Mult,
}  # fmt: skip
COMPARISONS = {
    ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.Lt), ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.Gt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip
PAIRS = (
    "add subtract, multiply divide, minimum maximum, greater less, sqrt square, exp expm1, log log1p, sin cos,"
    "tan tanh, sinh cosh, arcsin arccos, arctan arcsinh, arctanh tanh, arccosh arcsinh, erf erfc, cumsum cumprod,"
    "prod sum, ones zeros, zeros_like ones_like, isfinite isnan, any all, min max, negative positive, sign positive"
)
TWINS = {a: b for pair in PAIRS.split(",") for a, b in [pair.split(), pair.split()[::-1]]}
# Calls whose argument could stand alone, and calls whose arguments may change places or that then fail anyhow.
DROPPABLE = {
    "_transpose", "argsort", "asarray", "astype", "copy", "cumprod", "cumsum", "exp", "expand", "expand_dims", "flip",
    "isfinite", "log", "minimum", "maximum", "moveaxis", "normalize_axes", "reshape", "sign", "sorted", "sqrt",
    "squeeze", "sum_axes", "swapaxes", "transpose", "unbroadcast",
}  # fmt: skip
SYMMETRIC = {
    "_broadcast", "add", "broadcast_shapes", "empty", "isinstance", "max", "maximum", "min", "minimum", "multiply",
    "result_type", "swapaxes",
}  # fmt: skip


def alternatives(node):
    """What could stand in the place of a statement or an expression."""
    match node:
        case ast.Expr() | ast.Assign([ast.Subscript()]):
            yield ast.Pass()
        case ast.Assign([ast.Name(name)], value) if any(getattr(n, "id", None) == name for n in ast.walk(value)):
            yield ast.Pass()
        case ast.AugAssign(target, op, value):
            yield ast.Pass()
            yield ast.AugAssign(target, OPERATORS[type(op)](), value)
        case ast.Return(ast.Tuple(elements)):
            for k in range(len(elements) - 1):
                swapped = [*elements[:k], elements[k + 1], elements[k], *elements[k + 2 :]]
                yield ast.Return(ast.Tuple(swapped, ast.Load()))
        case ast.If(_, body, other):
            yield from (ast.If(ast.Constant(always), body, other) for always in (True, False))
        case ast.IfExp(_, body, other):
            yield from (body, other)
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.BinOp(left, op, right):
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
            yield left
            yield right if isinstance(op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr) else ast.BinOp(right, op, left)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(OPERATORS[type(op)](), values)
            for k in range(len(values)):
                rest = values[:k] + values[k + 1 :]
                yield ast.BoolOp(op, rest) if len(rest) > 1 else rest[0]
        case ast.Compare(left, ops, comparators):
            for k, op in enumerate(ops):
                for turned in COMPARISONS[type(op)]:
                    yield ast.Compare(left, [*ops[:k], turned(), *ops[k + 1 :]], comparators)
        case ast.Attribute(owner, "real" | "T"):
            yield owner
        case ast.Attribute(ast.Name("np" | "math"), "inf" | "nan" | "pi"):
            yield ast.Constant(1.0)
        case ast.Subscript(whole, index, ast.Load()) if any(isinstance(n, ast.Slice) for n in ast.walk(index)):
            yield whole
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(float() as value):
            yield ast.Constant(value * 1.1 or 1.0)
        case ast.Constant(str() as value) if value:
            yield ast.Constant(value[:-1])
        case ast.Call(function, arguments, keywords):
            yield from calls(function, arguments, keywords)


def calls(function, arguments, keywords):
    """f(a, b, …) as g(a, b), as f(b, a), as a, as b, and without one of its keywords."""
    name = getattr(function, "id", "") or getattr(function, "attr", "")
    owner = getattr(function, "value", None)
    data = [a for a in arguments if getattr(a, "id", None) != "memory"]
    out = next((k.value for k in keywords if k.arg == "out"), None)
    if name in TWINS:
        twin = ast.Attribute(owner, TWINS[name], ast.Load()) if owner else ast.Name(TWINS[name], ast.Load())
        yield ast.Call(twin, arguments, keywords)
    if len(data) > 1 and name not in SYMMETRIC:
        yield ast.Call(function, [*arguments[:-2], arguments[-1], arguments[-2]], keywords)
    if out and {k.arg for k in keywords} <= {"out", "where"}:
        positive = ast.Attribute(ast.Name("np", ast.Load()), "positive", ast.Load())
        yield from (ast.Call(positive, [a], keywords) for a in data if ast.dump(a) != ast.dump(out))
    elif name in DROPPABLE:
        yield data[0] if owner is None or getattr(owner, "id", None) == "np" else owner
    for k in keywords:
        if k.arg in ("where", "axis", "dtype", "kind"):
            yield ast.Call(function, arguments, [other for other in keywords if other is not k])


# ---- The mutants ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """A top-level statement of a module, changed in one of its functions, defaults or constants."""

    module: types.ModuleType
    part: str
    change: str
    statement: ast.stmt

    def __str__(self):
        return f"{self.part}: {self.change}"

    def come_alive(self):
        """Put the changed code into the functions that exist, as others have imported them already."""
        namespace = dict(vars(self.module))
        tree = ast.fix_missing_locations(ast.Module([self.statement], []))
        exec(compile(tree, self.module.__file__, "exec", __future__.annotations.compiler_flag), namespace)
        name = self.part.split(".")[1]
        old, new = getattr(self.module, name), namespace[name]
        if isinstance(self.statement, ast.Assign):
            setattr(self.module, name, new)
        before = dict(functions(old))
        for key, function in functions(new):
            there = before[key]
            there.__code__, there.__defaults__ = function.__code__, function.__defaults__


def functions(value):
    """The function itself, or the methods and properties of a class, with their names; without their decorators."""
    members = vars(value).items() if isinstance(value, type) else [("", value)]
    members = [(name, inspect.unwrap(getattr(f, "fget", f))) for name, f in members]
    return [(name, f) for name, f in members if isinstance(f, types.FunctionType)]


def functions_of(module):
    """The functions and methods that a module defines, by the names that mutants have."""
    own = [(name, x) for name, x in vars(module).items() if getattr(x, "__module__", None) == module.__name__]
    return {f"{stem(module)}.{name}.{key}".rstrip("."): f for name, x in own for key, f in functions(x)}


def modules():
    files = sorted((ROOT / "minidl" / "kernels").glob("*.py"))
    return [importlib.import_module(f"minidl.kernels.{file.stem}") for file in files if file.stem != "__init__"]


def stem(module):
    return module.__name__.rpartition(".")[2]


def mutants(module):
    """All mutants of a module, each once."""
    for statement in ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body:
        original = ast.unparse(statement).splitlines()
        seen = {tuple(original)}
        for name, part in parts(statement):
            for node in formulas(part):
                for alternative in alternatives(node):
                    changed = replaced(statement, node, alternative)
                    lines = ast.unparse(changed).splitlines()
                    if tuple(lines) not in seen:
                        seen.add(tuple(lines))
                        old, new = next((a, b) for a, b in zip(original, lines, strict=False) if a != b)
                        yield Mutant(module, f"{stem(module)}.{name}", f"`{old.strip()}` → `{new.strip()}`", changed)


def parts(statement):
    """The functions, defaults and constants of a top-level statement, with their names; a `reference` is none."""
    match statement:
        case ast.FunctionDef(name):
            yield name, statement
        case ast.Assign([ast.Name(name)], ast.Constant()):
            yield name, statement
        case ast.ClassDef(name, _, _, body):
            for member in body:
                if isinstance(member, ast.FunctionDef) and member.name != "reference":
                    yield f"{name}.{member.name}", member
                elif isinstance(member, ast.AnnAssign):
                    yield f"{name}.__init__", member


def formulas(node):
    """Everything below a node that says what is computed."""
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns", "decorator_list"):
            for child in value if isinstance(value, list) else [value]:
                match child:
                    case ast.Expr(ast.Constant()) | ast.Raise() | ast.ImportFrom():
                        pass  # docstrings, errors, imports
                    case ast.keyword("copy" | "optimize" | "strict"):
                        pass  # speed, and guards against mistakes elsewhere
                    case ast.AST():
                        yield child
                        yield from formulas(child)


def replaced(statement, node, alternative):
    copies = {}
    copied = copy.deepcopy(statement, copies)

    class Replacement(ast.NodeTransformer):
        def visit(self, here):
            return alternative if here is copies[id(node)] else self.generic_visit(here)

    return ast.fix_missing_locations(Replacement().visit(copied))


# ---- The tests -----------------------------------------------------------------------------------------------------


class Laboratory:
    """A plugin that lets pytest collect the tests and then runs them in its own way."""

    def __init__(self, options):
        self.options = options
        self.failures = []
        self.failed = self.failures.append
        self.status = 2

    def pytest_runtest_makereport(self, item, call):
        if call.excinfo is not None:
            self.failed(item.nodeid)

    def pytest_runtestloop(self, session):
        from hypothesis import Phase, settings

        settings.register_profile("mutate", settings.default, phases=[Phase.explicit, Phase.generate])
        settings.load_profile("mutate")
        every = [m for module in modules() for m in mutants(module)]
        chosen = list(dict.fromkeys(m for name in self.options.only for m in every if name in str(m)))
        if self.options.list:
            print(*chosen, f"{len(chosen)} mutants", sep="\n")
        else:
            started = time.time()
            reaching = self.reaching(session.items)
            if self.failures or self.fates({None: session.items}) != {None: "survived"}:
                pytest.exit(f"Tests fail or take too long without any mutation: {self.failures}")
            fates = self.fates({mutant: tests_of(mutant, reaching) for mutant in chosen})
            self.status = report(fates, (time.time() - started) / 60)
        return True

    def reaching(self, items):
        """The tests that call each function, the quickest first."""
        names = {id(f.__code__): name for module in modules() for name, f in functions_of(module).items()}
        calling, seconds = defaultdict(set), {}

        def note(frame, event, _):
            if event == "call" and id(frame.f_code) in names:
                calling[names[id(frame.f_code)]].add(item)

        for item in items:
            begin = time.process_time()
            sys.setprofile(note)
            run(item)
            sys.setprofile(None)
            seconds[item] = time.process_time() - begin
        return {function: sorted(tests, key=seconds.get) for function, tests in calling.items()}

    def fates(self, tests_of_mutants):
        """What becomes of each mutant: "killed", "timed out" or "survived"."""
        fates, running = {}, {}
        bar = tqdm(total=len(tests_of_mutants), unit=" mutants", mininterval=5)

        def wait():
            pid, status = os.wait()
            mutant = running.pop(pid)
            timed_out = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
            fates[mutant] = "timed out" if timed_out else "killed" if status else "survived"
            if mutant and fates[mutant] == "survived":
                bar.write(f"survived: {mutant}")
            bar.update()

        for mutant, tests in tests_of_mutants.items():
            if len(running) == self.options.jobs:
                wait()
            pid = os.fork()
            if not pid:
                self.live(mutant, tests)
            running[pid] = mutant
        while running:
            wait()
        bar.close()
        return fates

    def live(self, mutant, tests):
        """The life of a mutant in a process of its own, which ends with status 0 if no test fails."""
        self.failed = lambda _: os._exit(1)
        status = 0  # a mutant that Python does not compile is not killed by a test
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            resource.setrlimit(resource.RLIMIT_CPU, (self.options.seconds, self.options.seconds + 1))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            if mutant:
                mutant.come_alive()
            status = 1
            for item in tests:
                run(item)
            status = 0
        finally:
            os._exit(status)


def run(item):
    """Run one test; what it says ends in `Laboratory.failed`. What was computed before it is forgotten."""
    for module in modules():
        for value in vars(module).values():
            getattr(value, "cache_clear", int)()
    item.ihook.pytest_runtest_protocol(item=item, nextitem=None)


def tests_of(mutant, reaching):
    """The tests that reach what is changed; a constant is reached through the functions that use it."""
    constant = mutant.part.rpartition(".")[2]
    users = [name for name, f in functions_of(mutant.module).items() if constant in f.__code__.co_names]
    return list(dict.fromkeys(test for name in [mutant.part, *users] for test in reaching.get(name, [])))


def report(fates, minutes):
    """Print what happened; the exit status."""
    survivors = [str(mutant) for mutant, fate in fates.items() if fate == "survived"]
    explained = SURVIVORS.read_text(encoding="utf-8")
    new = [mutant for mutant in survivors if mutant not in explained]
    noticed = 1 - len(survivors) / max(len(fates), 1)
    print(f"\n{len(fates)} mutants, {noticed:.1%} noticed, {minutes:.1f} minutes: {dict(Counter(fates.values()))}")
    print(f"{len(new)} survivors are not in {SURVIVORS.name}{':' if new else ''}", *new, sep="\n- ")
    return 0 if noticed >= ENOUGH and not new else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="NAME", help="mutants whose description contains NAME, in this order"
    )
    parser.add_argument("--tests", nargs="+", default=["tests/kernels", "tests/ops"], metavar="PATH", help="run these")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes at a time")
    parser.add_argument("--seconds", type=int, default=60, metavar="S", help="of processor time for one mutant")
    parser.add_argument("--list", action="store_true", help="describe the mutants and run nothing")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    options = parser.parse_args()
    laboratory = Laboratory(options)
    pytest.main(["-q", "-s", "-p", "no:cacheprovider", *options.tests], plugins=[laboratory])
    sys.exit(laboratory.status)


if __name__ == "__main__":
    main()
