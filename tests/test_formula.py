"""Formulas as text: what is written for a dtype, and what errors say. Nothing is compiled here."""

import functools
import importlib.util
import math
import re
import textwrap

import numpy as np
import pytest
from numba import njit

from numbanet._source import FormulaError, reads
from numbanet.formula import Translator
from numbanet.math import twin

DTYPES = ("float32", "float64")
NUMBER = 3
TABLE = [1.0, 2.0]


def translate(formula, dtype="float32", rows=0):
    """The text, and what stands in the place of the formula."""
    translator = Translator(dtype, twin)
    name = translator.row(formula, rows)[0] if rows else translator.scalar(formula)
    text = translator.text()
    scope = {"inline": lambda function: function, "twins": twin}
    exec(text, scope)
    return text, scope[name]


def body(formula, dtype="float32", rows=0):
    """Text of the last function, without its head, in one line."""
    text = translate(formula, dtype, rows)[0]
    return " ".join(text.split("@inline")[1].split(":\n", 1)[1].split())


def load(tmp_path, source, name="formulas"):
    """Module from a file that a user might write."""
    path = tmp_path / f"{name}.py"
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- literals, names and calls --------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("formula", "expected"), [
    (lambda x: 2 * x + 0.5, "return T(2.0) * x + T(0.5)"),
    (lambda x: -1 * x, "return -T(1.0) * x"),
    (lambda x: x**2 + x**-1 + 2**x + x**0.5, "return x ** 2 + x ** (-1) + T(2.0) ** x + x ** T(0.5)"),
    (lambda x: pow(x, 3), "return x ** 3"),
    (lambda x: x * NUMBER, "return x * T(3.0)"),
    (lambda x: x * math.pi, "return x * T(3.141592653589793)"),
    (lambda x: x * np.e, "return x * T(2.718281828459045)"),
    (lambda x: min(x, math.inf), "return min_f00(x, T(inf))"),
    (lambda x: max(x, -math.inf, math.nan), "return max_f00(max_f00(x, -T(inf)), T(nan))"),
    (lambda x: 1e400 * x, "return T(inf) * x"),
    (lambda x: True if x > 1 else x, "return True if x > T(1.0) else x"),
    (lambda x: 0 < x <= 1 and not (x and x != 2), "return T(0.0) < x <= T(1.0) and (not (x and x != T(2.0)))"),
    (lambda x: abs(x) // 2 % 3, "return abs(x) // T(2.0) % T(3.0)"),
    (lambda x: int(x) + bool(x), "return T(int(x)) + T(bool(x))"),
])  # fmt: skip
def test_expressions(formula, expected, dtype):
    text, _ = translate(formula, dtype)
    assert body(formula, dtype) == expected.replace("f00", f"f{dtype[-2:]}")
    assert f"from numpy import {dtype} as T" in text


def test_both_dtypes_in_one_process():
    formula = lambda x: math.exp(0.1 * x)
    for _ in range(2):
        for dtype, ending, other in (("float32", "f32", "f64"), ("float64", "f64", "f32")):
            text, function = translate(formula, dtype)
            assert f"exp_{ending}" in text
            assert f"exp_{other}" not in text
            assert function.__globals__["T"] is getattr(np, dtype)


def test_functions_of_math():
    from math import tanh as renamed

    def formula(x):
        return renamed(x) + math.fabs(x) + math.hypot(x, 1)

    text, _ = translate(formula)
    assert "from numbanet.math import fabs_f32, hypot_f32, tanh_f32" in text
    assert body(formula) == "return tanh_f32(x) + fabs_f32(x) + hypot_f32(x, T(1.0))"


def test_statements():
    def formula(x, k):
        """Not part of it."""
        a: float = x / 2
        b = c = a
        b += 1
        if b > k:
            c, b = b, c
        elif b < -1:
            c *= 2
        else:
            pass
        return a if c else -b

    function = translate(formula)[1]
    for x in (-9.0, -2.0, -0.5, 0.0, 3.0):
        for k in (0.5, 2.0):
            assert function(x, k) == formula(x, k)


def test_assigning_to_an_argument():
    def formula(x):
        x = x * 2
        return x

    assert translate(formula)[1](3.0) == 6


def test_helpers_are_taken_along_once():
    def inner(x):
        return 3 * x

    def outer(x):
        return inner(x) + inner(inner(x))

    text, function = translate(lambda x: outer(x) * inner(x))
    assert text.count("@inline") == 3
    assert function(2.0) == 24 * 6


def test_helper_of_numba():
    helper = njit(lambda x: x + 1)
    assert translate(lambda x: helper(x))[1](2.0) == 3


def test_names_of_formulas_do_not_clash():
    def formula_0(x):
        return x + 1

    def formula_1(x):
        return 10 * formula_0(x)

    assert translate(formula_1)[1](2.0) == 30


@pytest.mark.parametrize("name", ["T", "inf", "nan", "inline", "view", "_i", "exp_f32", "formula_0", "op", "work"])
def test_any_name_is_free_for_parameters(name, tmp_path):
    """A temperature is called T."""
    module = load(tmp_path, f"""
        import math

        def by_parameter(x, {name}):
            return math.exp(2 * x / {name}) + min(x, math.inf)

        def by_local(x):
            {name} = 2 * x + 0.5
            return {name} * 1.5 + math.exp(0)
    """)
    function = translate(module.by_parameter, "float64")[1]
    assert function(1.5, 4.0) == pytest.approx(module.by_parameter(1.5, 4.0), rel=1e-14)
    assert translate(module.by_local, "float64")[1](3.0) == pytest.approx(module.by_local(3.0), rel=1e-14)


def test_default_values_of_helpers(tmp_path):
    module = load(tmp_path, """
        def helper(x, k=2.0):
            return k * x

        def formula(x):
            return helper(x) + helper(x, 3)
    """)
    try:
        function = translate(module.formula)[1]
    except FormulaError as error:
        assert "formulas.py" in str(error)  # noqa: PT017
    else:
        assert function(2.0) == 10


def test_closures_become_numbers():
    def make(k):
        return lambda x: k * x

    assert body(make(2)) == "return T(2.0) * x"
    assert body(make(np.float32(0.5))) == "return T(0.5) * x"
    assert body(make(np.int64(3))) == "return T(3.0) * x"
    assert body(make(True)) == "return True * x"


def test_numbers_are_read_when_the_formula_is_translated(tmp_path):
    module = load(tmp_path, "K = 2\ndef formula(x):\n    return K * x\n")
    assert body(module.formula) == "return T(2.0) * x"
    module.K = 5
    assert body(module.formula) == "return T(5.0) * x"


# -- which source it is ---------------------------------------------------------------------


def test_lambdas_in_a_line():
    several = [lambda x: x + 1, lambda x: x + 2, lambda y: y + 3, lambda x, y: x + 4, lambda x: 5, lambda x: x]
    bodies = [body(f) for f in several]
    assert bodies == ["return x + T(1.0)", "return x + T(2.0)", "return y + T(3.0)", "return x + T(4.0)",
                      "return T(5.0)", "return x"]  # fmt: skip


def test_lambdas_behind_other_characters():
    ö, a, b = "äöü€𝛼", lambda x: x + 1, lambda x: x - 1  # positions count bytes
    assert (ö[0], body(a), body(b)) == ("ä", "return x + T(1.0)", "return x - T(1.0)")


def test_lambda_over_lines():
    formula = (
        lambda x:
            x
            + 1
    )  # fmt: skip
    other = {
        "a": lambda x: math.exp(
            x
        ),
        "b": lambda x: (
            x * 2),
    }  # fmt: skip
    assert body(formula) == "return x + T(1.0)"
    assert body(other["a"]) == "return exp_f32(x)"
    assert body(other["b"]) == "return x * T(2.0)"


def test_lambda_within_a_lambda():
    make = lambda k: (lambda x: x * k)
    same = (lambda: (lambda x: x + 1))()
    assert body(make(4)) == "return x * T(4.0)"
    assert body(same) == "return x + T(1.0)"


def test_decorated_function():
    def keep(function):
        return function

    @keep
    @functools.lru_cache
    def cached(x):
        return x

    @keep
    def formula(x):
        return x + 7

    assert body(formula) == "return x + T(7.0)"
    with pytest.raises(FormulaError, match="must be a plain Python function"):
        translate(cached)


def test_functions_of_one_name(tmp_path):
    module = load(tmp_path, """
        def formula(x):
            return x + 1

        first = formula

        def formula(x):
            return x + 2

        class Owner:
            @staticmethod
            def formula(x):
                return x + 3
    """)
    assert [body(f) for f in (module.first, module.formula, module.Owner.formula)] == [
        "return x + T(1.0)", "return x + T(2.0)", "return x + T(3.0)"]  # fmt: skip


def test_reads():
    assert reads(lambda x, y: x * y, 0)
    assert not reads(lambda x, y: 1 - y * y, 0)
    assert not reads(lambda x, y: 1.0, 1)

    def formula(x, y):
        """Mentions x here only."""
        t = y
        return t

    assert not reads(formula, 0)
    assert reads(formula, 1)
    assert reads(njit(lambda x, y: x), 0)


# -- rows -----------------------------------------------------------------------------------


def run_row(formula, *rows, params=(), dtype="float64"):
    """Run the translated formula on rows of shape (n, lanes); returns what it returned."""
    translator = Translator(dtype, twin)
    name, scratch = translator.row(formula, len(rows))
    scope = {"inline": lambda function: function}
    exec(translator.text(), scope)
    lanes = rows[0].shape[1]
    result = np.full(lanes, np.nan)
    with np.errstate(all="ignore"):
        scope[name](*rows, *params, np.full((scratch, lanes), np.nan), result, lanes)
    return result


def plain_row(formula, *rows, params=()):
    """Run the formula itself, lane by lane."""
    rows = [row.T.copy() for row in rows]
    results = [formula(*(row[i] for row in rows), *params) for i in range(len(rows[0]))]
    return [row.T for row in rows], results


def assert_row(formula, rows, params=()):
    rng = np.random.default_rng(0)
    data = [rng.normal(size=(5, 8)) for _ in range(rows)]
    expected, results = plain_row(formula, *data, params=params)
    result = run_row(formula, *data, params=params)
    for actual, wanted in zip(data, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-13)
    if results[0] is not None:
        np.testing.assert_allclose(result, results, rtol=1e-13)


def test_row_of_statements_loops_and_indices():
    def formula(x, y, k):
        """Everything at once."""
        total = 0
        for j in range(len(x)):
            if x[j] > 0:
                total += k * x[j]
            else:
                total -= 1
            y[j] = j + total / len(x)
        first, last = x[0], x[-1]
        for j in range(1, len(x) - 1, 2):
            y[j] = first + last * j
            for i in range(j + 1):
                y[i] += math.tanh(x[j])
        y[len(y) - 1] = 0
        return total + (1 if first < last else 2)

    assert_row(formula, 2, params=(1.5,))


def test_row_is_one_loop_over_lanes_for_each_run_of_statements():
    def formula(x, y):
        a = 1.0
        b = a * 2
        for j in range(len(x)):
            y[j] = x[j] * b
            y[j] += a
        c = a + b
        y[0] += c

    text = translate(formula, rows=2)[0]
    assert text.count("for _i in range(_lanes)") == 3
    assert text.count("for j in range(x.shape[0])") == 1
    assert_row(formula, 2)


def test_row_with_a_helper():
    def helper(a, b):
        return a * b if a > b else math.exp(a)

    def formula(x, y):
        for j in range(len(x)):
            y[j] = helper(x[j], y[j])

    assert_row(formula, 2)


def test_projection_of_a_row():
    def formula(w, limit):
        square = 0.0
        for j in range(len(w)):
            square += w[j] * w[j]
        scale = limit / math.sqrt(square)
        for j in range(len(w)):
            w[j] = w[j] * min(scale, 1)

    assert_row(formula, 1, params=(0.7,))


def accepted_or_explained(formula, rows, params=(), line=None):
    """What a row formula does in Python is what it does here, or it is an error that says where."""
    try:
        translate(formula, "float64", rows)
    except FormulaError as error:
        assert re.search(rf"test_formula\.py:{line or '[0-9]+'}: formula ", str(error))  # noqa: PT017
    else:
        assert_row(formula, rows, params)


def test_row_that_returns_early():
    def formula(x, y):
        for j in range(len(x)):
            y[j] = x[j]
        if x[0] > 0:
            return 1.0
        y[0] = 7.0
        return 2.0

    accepted_or_explained(formula, 2)


def test_row_that_returns_from_a_loop():
    def formula(x, y):
        for j in range(len(x)):
            y[j] = x[j]
            return 1.0
        return 2.0

    accepted_or_explained(formula, 2)


def test_row_with_a_loop_that_has_an_else():
    def formula(x, y):
        for j in range(len(x)):
            y[j] = x[j]
        else:
            y[0] = 9.0

    accepted_or_explained(formula, 2)


def test_row_whose_length_has_a_name():
    def formula(x, y):
        n = len(x)
        for j in range(n):
            y[j] = x[j] / n

    accepted_or_explained(formula, 2)


def test_row_with_an_index_in_a_variable():
    def formula(x, y):
        best = 0
        for j in range(len(x)):
            if x[j] > x[best]:
                best = j
        y[best] = 1.0

    accepted_or_explained(formula, 2)


def test_row_walked_without_indices():
    def formula(x, y):
        total = 0.0
        for value in x:
            total += value
        y[0] = total

    accepted_or_explained(formula, 2)


def test_row_given_to_max():
    def formula(x, y):
        y[0] = max(x)

    accepted_or_explained(formula, 2)


def test_row_as_a_number():
    def formula(x, y):
        y[0] = x * 2

    with pytest.raises(FormulaError, match=r"test_formula\.py:\d+: formula "):
        translate(formula, rows=2)


def test_scalar_formula_with_a_loop():
    def formula(x):
        total = 0.0
        for _ in range(3):
            total += x
        return total

    try:
        function = translate(formula)[1]
    except FormulaError as error:
        assert re.search(r"test_formula\.py:\d+: formula ", str(error))  # noqa: PT017
    else:
        assert function(2.0) == 6


# -- what can't be compiled -----------------------------------------------------------------

BAD = {  # the line that is wrong carries a mark; what the error says
    "numpy call": ("def formula(x):\n    y = 1\n    return np.exp(x)  # <-", "calls <ufunc 'exp'>"),
    "method": ("def formula(x):\n    return x.clip(0)  # <-", "uses the name 'x'|uses 'x'|'x.clip'"),
    "string": ("def formula(x):\n    return 'text' if x else 1  # <-", "uses the literal 'text'; only numbers"),
    "none": ("def formula(x):\n    return None  # <-", "uses the literal None"),
    "complex": ("def formula(x):\n    return x * 1j  # <-", "uses the literal 1j"),
    "while": ("def formula(x):\n    while x > 1:  # <-\n        x = x / 2\n    return x", "uses While"),
    "try": ("def formula(x):\n    try:  # <-\n        return x\n    finally:\n        pass", "uses Try"),
    "raise": ("def formula(x):\n    if x > 1:\n        raise ValueError  # <-\n    return x", "uses Raise"),
    "assert": ("def formula(x):\n    assert x > 1  # <-\n    return x", "uses Assert"),
    "inner function": ("def formula(x):\n    def g(y):  # <-\n        return y\n    return g(x)", "uses FunctionDef"),
    "inner lambda": ("def formula(x):\n    return (lambda y: y)(x)  # <-", "as a function|uses Lambda"),
    "comprehension": ("def formula(x):\n    return max([y for y in (x, 1)])  # <-", "uses ListComp"),
    "list": ("def formula(x):\n    return max([x, 1])  # <-", "uses List"),
    "walrus": ("def formula(x):\n    return (t := x) * t  # <-", "uses NamedExpr"),
    "f-string": ("def formula(x):\n    return float(f'{x}')  # <-", "uses JoinedStr"),
    "unknown name": ("def formula(x):\n    return x * missing  # <-", "'missing'.* not defined"),
    "unknown function": ("def formula(x):\n    return missing(x)  # <-", "'missing'.* not defined"),
    "unsupported built-in": ("def formula(x):\n    return round(x)  # <-", "'round'"),
    "unsupported sum": ("def formula(x):\n    return sum((x, 1))  # <-", "'sum'"),
    "typing error in math": ("def formula(x):\n    return math.tahn(x)  # <-", "'math.tahn', which does not exist"),
    "unsupported math": ("def formula(x):\n    return math.fsum(x)  # <-", r"math\.fsum.*Known: acos"),
    "keywords": ("def g(x):\n    return x\ndef formula(x):\n    return g(x=x)  # <-", "calls g with keyword arguments"),
    "array": ("A = np.ones(3)\ndef formula(x):\n    return x * A  # <-", "uses 'A', a ndarray; only numbers"),
    "element of a list": ("A = [1.0]\ndef formula(x):\n    return x * A[0]  # <-", r"indexes 'A', which is not a row"),
    "element of an argument": ("def formula(x):\n    return x[0]  # <-", "indexes 'x', which is not a row"),
    "attribute": ("class A:\n    k = 2\ndef formula(x):\n    return A.k * x  # <-", "only attributes of modules"),
    "module": ("def formula(x):\n    return x * math  # <-", "uses 'math', a module"),
    "class": ("class A:\n    pass\ndef formula(x):\n    return A(x)  # <-", "calls <class"),
    "print": ("def formula(x):\n    print(x)  # <-\n    return x", "'print'"),
    "delete": ("def formula(x):\n    t = x\n    del t  # <-\n    return x", "uses Delete"),
    "global": ("def formula(x):\n    global K  # <-\n    return x", "uses Global"),
    "helper": ("def helper(x):\n    return np.sin(x)  # <-\ndef formula(x):\n    return helper(x)", "'helper' calls"),
    "lambda": ("formula = lambda x: (\n    x *\n    'a')  # <-", "'<lambda>' uses the literal 'a'"),
    "bare annotation": ("def formula(x):\n    t: float  # <-\n    t = x\n    return t", "formula"),
    "nothing returned": ("def formula(x):  # <-\n    pass", "return"),
    "nothing returned at the end": ("def formula(x):  # <-\n    if x > 0:\n        return x", "return"),
    "no value on one way": ("def formula(x):\n    if x > 0:\n        z = x\n    return z  # <-", "may use 'z'"),
    "no value yet": ("def formula(x):\n    x += z  # <-\n    z = x\n    return z", "may use 'z' before it has a value"),
    "added to nothing": ("def formula(x):\n    z += x  # <-\n    return z", "may use 'z' before it has a value"),
}
BAD_ROWS = {
    "while": ("def formula(x, y):\n    j = 0\n    while j < 3:  # <-\n        j += 1", "loop inside an if|uses While"),
    "while in a loop": ("def formula(x, y):\n    for j in range(3):\n        while y[j]:  # <-\n            y[j] = 0",
                        "loop inside an if|uses While"),
    "loop in an if": ("def formula(x, y):\n    if x[0] > 1:  # <-\n        for j in range(3):\n            y[j] = 0",
                      "has a loop inside an if"),
    "break": ("def formula(x, y):\n    for j in range(len(x)):\n        if x[j] > 1:\n            break  # <-",
              "uses Break"),
    "slice": ("def formula(x, y):\n    y[:] = x[:]  # <-", "uses Slice"),
    "method": ("def formula(x, y):\n    y[0] = x.sum()  # <-", "'x'"),
    "length of a number": ("def formula(x, y):\n    k = x[0]\n    y[0] = len(k)  # <-", "takes the length of 'k'"),
    "row for a helper": ("def g(r):\n    return r[0]\ndef formula(x, y):\n    y[0] = g(x)  # <-", "uses the row 'x'"),
    "enumerate": ("def formula(x, y):\n    for j, v in enumerate(x):  # <-\n        y[j] = v", "'enumerate'"),
    "numpy": ("def formula(x, y):\n    y[0] = np.sum(x)  # <-", "uses the row 'x' as a number"),
    "no sum yet": ("def formula(x, y):\n    for j in range(len(x)):\n        s += x[j]  # <-\n    y[0] = s",
                   "may use 's' before it has a value"),
    "parameter changed": ("def formula(x, y, k):\n    y[0] = k\n    k = 2  # <-", "assigns to its argument 'k'"),
}
PRELUDE = "import math\nimport numpy as np\n\n"


def check_message(tmp_path, source, message, rows):
    module = load(tmp_path, PRELUDE + source + "\n")
    lines = (PRELUDE + source).splitlines()
    marked = next(i for i, line in enumerate(lines, 1) if line.endswith("# <-"))
    with pytest.raises(FormulaError, match=message) as caught:
        translate(module.formula, rows=rows)
    first, _, rest = str(caught.value).partition(": formula ")
    assert rest.startswith("'")
    assert first.startswith(str(tmp_path / "formulas.py") + ":")
    return int(first.rpartition(":")[2]), marked


@pytest.mark.parametrize("case", BAD)
def test_message(case, tmp_path):
    line, marked = check_message(tmp_path, *BAD[case], rows=0)
    assert line == marked


@pytest.mark.parametrize("case", BAD_ROWS)
def test_message_about_a_row(case, tmp_path):
    line, marked = check_message(tmp_path, *BAD_ROWS[case], rows=2)
    if case != "parameter changed":  # whose line is that of the first statement
        assert abs(line - marked) <= (1 if "while" in case else 0)


def test_values_on_every_way():
    """What one branch leaves open is not asked for there; a loop is run through."""
    def formula(x):
        if x > 2:
            z = 1.0
        elif x > 1:
            return x
        else:
            z = 2.0
        for _ in range(3):
            last = z * x
        return last

    _, found = translate(formula)
    assert [found(x) for x in (3, 1.5, 1)] == [3, 1.5, 2]


def test_places_of_lines():
    def inner(x):
        y = 2 * x
        return y

    def formula(x):
        if x > 0:
            return inner(x)
        return 0.0

    translator = Translator("float32", twin)
    translator.scalar(formula)
    lines, places = translator.text().splitlines(), translator.places()
    by_text = {lines[n - 1].strip(): place for n, place in places.items()}
    start = inner.__code__.co_firstlineno
    for text, line, name in (("y = T(2.0) * x", 1, "inner"), ("return y", 2, "inner"), ("return T(0.0)", 7, "formula"),
                             ("return formula_1(x)", 6, "formula"), ("if x > T(0.0):", 5, "formula")):
        assert by_text[text] == f"{__file__}:{start + line}: formula 'test_places_of_lines.<locals>.{name}'"


def test_source_that_is_nowhere():
    scope = {}
    exec("def formula(x):\n    return x", scope)
    with pytest.raises(FormulaError, match=r"the source of formula 'formula' can't be read.*define it in a file"):
        translate(scope["formula"])


def test_source_that_has_changed(tmp_path):
    module = load(tmp_path, "import math\n\nformula = lambda x: math.exp(x) + 1\n")
    (tmp_path / "formulas.py").write_text("import math\n\nfirst = 1\nsecond = 2\nother = 3\n", encoding="utf-8")
    with pytest.raises(FormulaError, match=r"formulas\.py:3: .*was the file changed"):
        translate(module.formula)


def test_source_that_calls_another_function(tmp_path):
    """As where the file is new and its .pyc is not: the two must not be mixed."""
    module = load(tmp_path, "import math\n\nformula = lambda x: math.sinh(x) + 1\n")
    (tmp_path / "formulas.py").write_text("import math\n\nformula = lambda x: math.cosh(x) + 1\n", encoding="utf-8")
    with pytest.raises(FormulaError, match=r"formulas\.py:3: .*is an old \.pyc beside it"):
        translate(module.formula)


@pytest.mark.parametrize("formula", [math.exp, functools.partial(pow, 2), int, object(), "x + 1"])
def test_what_is_no_function(formula):
    with pytest.raises(FormulaError, match="must be a plain Python function"):
        translate(formula)


def test_message_comes_through_the_trainer():
    import numbanet as nn

    activation = nn.Activation("mine", forward=lambda x: np.tanh(x))
    model = nn.Sequential([nn.Dense(2, activation=activation)], input_shape=(3,))
    with pytest.raises(TypeError, match=r"test_formula\.py:\d+: formula '.*<lambda>' calls <ufunc 'tanh'>"):
        model.predict(np.zeros((1, 3)))
